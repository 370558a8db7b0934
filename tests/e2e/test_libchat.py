#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed library: built against by its pkg-config file, and used by programs that know nothing but chat.h."""

import atexit
import functools
import os
import re
import shutil
import signal
import sys
import tempfile
import types

import harness as h
import libchat

EXAMPLES = os.path.join(h.TOP, "tests", "examples")
PASSWORDS = {"alice": "wonderland", "bob": "builder", "carol": "singer", "echo": "echoecho"}


@functools.lru_cache(maxsize=None)
def installed():
    """A directory with the library, its headers and its pkg-config file, as `make install' puts them; removed at the end."""
    h.check(shutil.which("make") and shutil.which("pkg-config"), "make and pkg-config")
    root = tempfile.mkdtemp(prefix="chat-e2e-libchat-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    h.run(["make", "-C", h.BUILD, "install-libLTLIBRARIES", "install-chatincludeHEADERS", "install-pkgconfigDATA",
           f"DESTDIR={root}"], env=env, timeout=600)
    return root


@functools.lru_cache(maxsize=None)
def pkg_config(*args):
    root = installed()
    found = [os.path.join(path, "pkgconfig") for path, dirs, _ in os.walk(root) if "pkgconfig" in dirs]
    h.equal(len(found), 1, "folders with pkg-config files")
    env = dict(os.environ, PKG_CONFIG_LIBDIR=found[0], PKG_CONFIG_PATH="", PKG_CONFIG_SYSROOT_DIR=root)
    return h.run(["pkg-config", *args, "libchat"], env=env)[0].split()


def library_dir():
    """Where libchat.so is; the directory of the -L that pkg-config gives."""
    return next(flag[2:] for flag in pkg_config("--libs") if flag.startswith("-L"))


@functools.lru_cache(maxsize=None)
def echo_bot():
    """The example, built as its users would."""
    compiler = os.environ.get("CHECK_CC", "cc").split()
    program = os.path.join(installed(), "echo_bot")
    sanitize = [] if h.SANITIZER == "no" else ["-fsanitize=" + h.SANITIZER]
    h.run([*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", *sanitize,
           os.path.join(EXAMPLES, "echo_bot.c"), "-o", program, *pkg_config("--cflags", "--libs")])
    return program


class Bot(h.Process):
    def __init__(self, server, data=None):
        self.data = data or os.path.join(h.temp_dir(), "data")
        env = dict(os.environ, LD_LIBRARY_PATH=library_dir())
        super().__init__([echo_bot(), "echo", server.address, str(server.port), self.data, server.fingerprint],
                         env=env)
        self.send_line(PASSWORDS["echo"])


def library_path():
    return os.path.join(library_dir(), "libchat.so.0")


@functools.lru_cache(maxsize=None)
def library():
    if h.SANITIZER != "no":
        raise h.Skip("the library is built with a sanitizer, which Python's interpreter is not")
    return libchat.Library(library_path())


def start(**conf):
    return h.Server(accounts=PASSWORDS, **conf)


def clients(server, *names, **more):
    """Started one after the other, each logged in."""
    result = [library().client(name, server, password=PASSWORDS[name], **more) for name in names]
    for client in result:
        client.wait("synced")
    return result


def together(creator, *others, name="ops"):
    """A room of the creator's, with the others in it."""
    room = creator.done(creator.create(name)).room
    creator.done(creator.invite(room, *[other.account for other in others]))
    for other in others:
        other.wait("invited", target_self=True)
        other.done(other.accept(room))
    for other in others:
        creator.wait("joined", actor=other.account)
    return room


# ---- the library as it is installed ----


def test_installed_files():
    """make install gives library, headers and pkg-config file, which name nothing of the build tree."""
    h.equal(len(pkg_config("--cflags", "--libs")), 3)
    h.match(r"^0\.\d+\.\d+$", pkg_config("--modversion")[0])
    for flag in pkg_config("--cflags", "--libs")[:2]:
        h.check(flag[2:].startswith(installed()) and os.path.isdir(flag[2:]), flag)
    h.equal(sorted(os.listdir(os.path.join(pkg_config("--cflags")[0][2:], "chat"))), ["chat.h", "err.h"])


def test_example_is_short():
    """The echo bot has fewer than 100 lines, and calls nothing but chat.h and the C library."""
    text = h.read(os.path.join(EXAMPLES, "echo_bot.c"))
    h.check(text.count("\n") < 100, f"{text.count(chr(10))} lines")
    h.equal(re.findall(r"#include (\S+)", text), ["<stdio.h>", "<string.h>", "<chat/chat.h>"])


def test_example_of_the_page():
    """The program in libchat(3) is one."""
    page = h.read(os.path.join(h.TOP, "man", "libchat.3"))
    text = h.match(r"(?s)\n\.Sh EXAMPLES\n.*?\n\.Bd [^\n]*\n(.*?)\n\.Ed\n", page)[1]
    h.run([*os.environ.get("CHECK_CC", "cc").split(), "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x",
           "c", "-", *pkg_config("--cflags")], stdin=text.replace("\\e", "\\"))


def test_usage():
    """Without arguments the bot says how it is called."""
    env = dict(os.environ, LD_LIBRARY_PATH=library_dir())
    h.match("^usage: ", h.run([echo_bot()], status=2, env=env)[1])


def test_echo_bot():
    """The bot joins by itself and answers; after a restart it needs no password, and answers what it missed."""
    with start() as server, Bot(server) as bot:
        bot.wait_line("^synced")
        (alice,) = clients(server, "alice")
        with alice:
            room = alice.done(alice.create("hall")).room
            alice.done(alice.invite(room, "echo"))
            alice.wait("joined", actor="echo")
            alice.done(alice.send(room, "hello"))
            h.equal(alice.wait_message("hello", actor="echo").self, False)
            bot.terminate()
            alice.done(alice.send(room, "are you there?"))
            with Bot(server, data=bot.data) as again:
                alice.wait_message("are you there?", actor="echo")
                again.wait_line("^synced")
                h.equal([line for line in again.out if line.startswith("password_needed")], [])
            h.equal(alice.messages(room), [("alice", "hello"), ("echo", "hello"), ("alice", "are you there?"),
                                           ("echo", "are you there?")])


# ---- the whole path, through the public functions ----


def test_talk():
    """Two people talk; what DONE says is durable, each message comes once, in one order for all."""
    with start() as server:
        alice, bob = clients(server, "alice", "bob")
        with alice, bob:
            room = together(alice, bob)
            tokens = [alice.send(room, f"number {i}") for i in range(20)]
            seqs = [alice.done(token).seq for token in tokens]
            h.equal(seqs, sorted(seqs))
            for i in range(20):
                h.equal(bob.wait_message(f"number {i}").seq, seqs[i])
            bob.done(bob.send(room, "x" * 16384))
            for client in (alice, bob):
                client.wait_message("x" * 16384)
            h.equal(alice.messages(room), bob.messages(room))
            h.equal([event.type for event in alice.events if event.type == "queued"], ["queued"] * 20)
            rooms = bob.rooms()
            h.equal((rooms["ops"]["name"], rooms["ops"]["stay"], rooms["ops"]["member_count"]), ("ops", 2, 2))
            h.equal(rooms["ops"]["log_hash"].hex(), alice.rooms()["ops"]["log_hash"].hex())
            members = bob.members(room)
            h.equal({name: (m["role"], m["self"]) for name, m in members.items()}, {"alice": (3, False), "bob": (1, True)})
            h.equal(bob.find_room("ops").hex(), room.hex())
            h.equal(bob.find_room(room.hex()[:8].upper()).hex(), room.hex())


def test_whoami():
    """Who one is, where, and with which key of the server."""
    with start() as server:
        (alice,) = clients(server, "alice")
        with alice:
            who = alice.whoami()
            h.equal((who["account"], who["server"], who["fingerprint"], who["connected"]),
                    ("alice", f"127.0.0.1:{server.port}", server.fingerprint, True))
            h.check(libchat.is_digits(who["digits"]), who["digits"])


def test_restart_of_the_server():
    """A connection that is lost comes back by itself; what was said meanwhile is sent then, once."""
    with start() as server:
        alice, bob = clients(server, "alice", "bob")
        with alice, bob:
            room = together(alice, bob)
            h.equal(server.stop(), 0)
            lost = alice.wait("disconnected")
            h.check(lost.number > 0, lost)
            h.check(not alice.whoami()["connected"], "connected")
            token = alice.send(room, "into the void")
            alice.wait("queued", token=token)
            with h.Server(state=server.state, port=server.port):
                alice.done(token)
                bob.wait_message("into the void")
                h.equal(bob.messages(room), [("alice", "into the void")])


def test_killed_with_an_outbox():
    """What was queued survives a kill of the program: its next start sends it."""
    with start() as server:
        (bob,) = clients(server, "bob")
        data = os.path.join(h.temp_dir(), "data")
        with bob:
            (alice,) = clients(server, "alice", data=data)
            room = together(alice, bob)
            alice.close()
            # Another process says something without a server, hears that it is queued, and is killed.
            h.equal(server.stop(), 0)
            with h.Process([sys.executable, os.path.abspath(__file__), "--say", library_path(), str(server.port),
                            server.fingerprint, data, "last words"]) as child:
                child.wait_line("^queued")
                h.equal(child.terminate(signal.SIGKILL), -signal.SIGKILL)
            with h.Server(state=server.state, port=server.port):
                with library().client("alice", server, data=data) as again:
                    again.wait("synced")
                    bob.wait_message("last words")
                    again.wait_message("last words")
            h.equal(bob.messages(room), [("alice", "last words")])


def test_two_processes_on_one_directory():
    """Several clients of one account on one data directory: both talk, both see everything, once."""
    with start() as server:
        data = os.path.join(h.temp_dir(), "data")
        (bob,) = clients(server, "bob")
        (one,) = clients(server, "alice", data=data)
        with bob, one:
            room = together(one, bob)
            (two,) = clients(server, "alice", data=data)
            with two:
                said = []
                for i in range(10):
                    for client in (one, two):
                        text = f"{i} {'one' if client is one else 'two'}"
                        client.done(client.send(room, text))
                        said.append(("alice", text))
                for client in (one, two, bob):
                    client.wait_message("9 two")
                h.equal(bob.messages(room), said)
                h.equal(one.messages(room), said)
                h.equal(two.messages(room), said)
                h.check(not [e for e in one.events + two.events if e.type == "warning"], "warnings")


def test_identity_moves():
    """An exported identity works on another machine: no password, the server is known, and all is readable."""
    with start() as server:
        data, other = os.path.join(h.temp_dir(), "data"), os.path.join(h.temp_dir(), "data")
        path = os.path.join(h.temp_dir(), "alice.identity")
        alice, bob = clients(server, "alice", data=data)[0], clients(server, "bob")[0]
        lib = library()
        with bob, alice:
            room = together(alice, bob)
            bob.done(bob.send(room, "before"))
            alice.wait_message("before")
            config = lib.config("alice", server, data, accept_new=False)
            lib.checked(lib.lib.chat_identity_export, config, path.encode(), b"a passphrase", 12)
            lib.lib.chat_config_free(config)
            h.equal(h.mode_of(path), 0o600)
            config = lib.config("alice", server, other, accept_new=False)
            lib.checked(lib.lib.chat_identity_import, config, path.encode(), b"a passphrase", 12)
            lib.lib.chat_config_free(config)
            with lib.client("alice", server, data=other, accept_new=False) as elsewhere:
                elsewhere.wait("synced")
                h.equal([e.type for e in elsewhere.events if e.type in ("password_needed", "server_unknown")], [])
                elsewhere.done(elsewhere.history(room, 100))
                texts = [e.text for e in elsewhere.events if e.type == "message"]
                h.equal(texts, ["before"])
                elsewhere.done(elsewhere.send(room, "from elsewhere"))
                alice.wait_message("from elsewhere")
                bob.wait_message("from elsewhere")


def test_wrong_password():
    """A wrong password is asked for again; the right one then does."""
    with start() as server:
        lib = library()
        with lib.client("alice", server, password="wrong") as alice:
            h.equal(alice.wait("password_needed").err, "ok")
            h.equal(alice.wait("password_needed").err, "login_refused")
            h.equal(lib.lib.chat_give_password(alice._client, b"wonderland", 10), 0)
            alice.wait("synced")


def test_changed_server():
    """A server with another key than the pinned one ends it, with the line to type if that was expected."""
    with start() as server, start() as impostor:
        data = os.path.join(h.temp_dir(), "data")
        lib = library()
        with lib.client("alice", server, password="wonderland", data=data, accept_new=True) as alice:
            alice.wait("synced")
        pins = os.path.join(data, "known_servers")
        h.write(pins, h.read(pins).replace(f"|{server.port}|", f"|{impostor.port}|"), 0o600)
        with lib.client("alice", impostor, data=data, accept_new=True) as alice:
            failed = alice.wait("failed")
            h.equal(failed.err, "peer_changed")
            h.equal(failed.mend, f"chat-client server forget 127.0.0.1 {impostor.port}")
            h.equal(alice.read(), None)
        h.equal(impostor.log("login"), [])


def test_many_events_slow_reader():
    """A program that takes its events late loses none, whatever came meanwhile."""
    with start() as server:
        alice, bob = clients(server, "alice", "bob", event_limit=16, fingerprint=server.fingerprint)
        with alice, bob:
            room = together(alice, bob)
            tokens = [alice.send(room, f"{i}") for i in range(500)]
            for token in tokens:
                alice.done(token)
            bob.wait_message("499")
            h.equal(bob.messages(room), [("alice", f"{i}") for i in range(500)])


def test_who():
    """Who is online, and how often."""
    with start() as server:
        alice, bob = clients(server, "alice", "bob")
        with alice, bob:
            h.equal(alice.done(alice.who()).online, {"alice": 1, "bob": 1})


def say(path, port, fingerprint, data, text):
    """What test_killed_with_an_outbox starts: alice says something in ops; waits to be killed."""
    server = types.SimpleNamespace(address="127.0.0.1", port=port, fingerprint=fingerprint)
    client = libchat.Library(path).client("alice", server, data=data)
    token = client.send(client.find_room("ops"), text)
    client.wait("queued", token=token)
    print("queued", flush=True)
    signal.pause()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--say"]:
        say(*sys.argv[2:])
    sys.exit(h.main())
