#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chat-client without a terminal: lines in, lines out, and how it ends."""

import os
import re
import signal
import sys

import harness as h

ACCOUNTS = {"alice": "alice-secret", "bob": "bob-secret"}


def password_file(user, mode=0o600):
    return h.write(os.path.join(h.temp_dir(), "password"), ACCOUNTS[user] + "\n", mode)


def argv(server, user, *args, data=None):
    return [h.CLIENT, "-u", user, "--data-dir", data or os.path.join(h.temp_dir(), "data"), *args, server.address,
            str(server.port)]


def first_args(user):
    return "--accept-new", "--password-file", password_file(user)


def lines(out):
    """Without times and dates."""
    return [re.sub(r"^\d\d:\d\d ", "", line) for line in out.splitlines() if not line.startswith("=== ")]


def say(server, user, text, *args, data, status=0):
    """One run: (lines, standard error)."""
    out, err = h.run(argv(server, user, *args, data=data), stdin=text, status=status)
    return lines(out), err


class Listener(h.Process):
    """chat-client --stay with nothing on its input; logged in and caught up with when this returns."""

    def __init__(self, server, user, data, *args):
        super().__init__(argv(server, user, "--stay", *args, data=data), name=f"chat-client {user}")
        self.wait_line("logged in")


def test_a_conversation():
    """A script of commands and texts: each line means what it says when those before it have ended."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = os.path.join(h.temp_dir(), "alice"), os.path.join(h.temp_dir(), "bob")
        say(server, "bob", "", *first_args("bob"), data=bob)
        out, _ = say(server, "alice", "/create ops\n/invite bob\n/topic lunch at one\nhello\n//etc is full\n/msg bob psst\n",
                     *first_args("alice"), data=alice)
        h.equal(out, [
            "-- logged in",
            "[ops] -- you created the room",
            "[ops] -- you invited bob",
            "[ops] -- you set the topic: lunch at one",
            "[ops] <alice> hello",
            "[ops] <alice> /etc is full",
            "[@bob] -- you created the room",
            "[@bob] <alice> psst",
        ])
        out, _ = say(server, "bob", "/accept ops\nhere I am\n/topic\n/members\n/leave\n", data=bob)
        h.equal(out[:2], ["-- logged in", "--- while you were away ---"])
        h.check("[ops] -- alice invited you: /accept ops or /decline ops" in out, "the invitation waited")
        h.check("[@alice] <alice> psst" in out, "and so did what was said")
        said = [line for line in out if line.startswith("[ops] <")]
        h.equal(said, ["[ops] <alice> hello", "[ops] <alice> /etc is full", "[ops] <bob> here I am"])
        h.equal(out.count("[ops] -- you joined"), 1)
        h.equal(out[out.index(said[2]) - 1:], [
            "--- now ---",
            "[ops] <bob> here I am",
            "-- the topic: lunch at one",
            "  alice           owner",
            "  bob             member, you",
            "[ops] -- you left",
            "-- you are in no room now",
        ])
        out, _ = say(server, "alice", "", data=alice)
        h.equal([line for line in out if "bob" in line and "[ops]" in line],
                ["[ops] -- bob joined", "[ops] <bob> here I am", "[ops] -- bob left"])


def test_many_lines():
    """Nothing of a long input is lost, doubled or reordered."""
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "alice")
        text = "".join(f"line {i}\n" for i in range(300))
        out, _ = say(server, "alice", "/create ops\n" + text, *first_args("alice"), data=data)
        h.equal(out[2:], [f"[ops] <alice> line {i}" for i in range(300)])


def test_stay():
    """--stay goes on listening behind the end of the input, and SIGTERM ends it."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = os.path.join(h.temp_dir(), "alice"), os.path.join(h.temp_dir(), "bob")
        say(server, "bob", "", *first_args("bob"), data=bob)
        say(server, "alice", "/create ops\n/invite bob\n", *first_args("alice"), data=alice)
        say(server, "bob", "/accept ops\n", data=bob)
        listener = Listener(server, "bob", bob)
        listener.popen.stdin.close()
        say(server, "alice", "anybody?\n", data=alice)
        listener.wait_line(r"^\d\d:\d\d \[ops\] <alice> anybody\?$")
        h.equal(listener.terminate(), 0)


def test_what_is_refused_shows_in_the_exit_status():
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "alice")
        out, _ = say(server, "alice", "hello\n/frobnicate\n/create\n/switch nowhere\n/passwd\n", *first_args("alice"),
                     data=data, status=1)
        h.equal(out, [
            "-- logged in",
            "! you are in no room  -> join or create one: /create ROOM",
            "! unknown command: /frobnicate  -> /help lists all; // begins a text with a slash",
            "! /create needs more than that  -> /create ROOM: make a room and go there",
            "! no room \"nowhere\"  -> make one: /create ROOM",
            "! /passwd asks for passwords  -> use a terminal, or --json and change_password",
        ])


def test_nobody_to_ask():
    """Without a terminal it says what to add, for the fingerprint (3) and the password (4)."""
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "data")
        _, err = say(server, "alice", "", data=data, status=3)
        h.check(server.fingerprint in err, "the fingerprint is shown")
        h.match(r"--fingerprint .*--accept-new", err)
        _, err = say(server, "alice", "", "--fingerprint", server.fingerprint, data=data, status=4)
        h.match(r"--password-file FILE", err)
        # The fingerprint was the right one, so the server is known now.
        say(server, "alice", "", "--password-file", password_file("alice"), data=data)


def test_the_password_file_is_private():
    with h.Server(accounts=ACCOUNTS) as server:
        for mode in (0o644, 0o640, 0o604, 0o620):
            path = password_file("alice", mode)
            _, err = say(server, "alice", "", "--accept-new", "--password-file", path, data=None, status=2)
            h.equal(err, f"chat-client: others than its owner can get at {path} (mode 0{mode:o}); "
                         f"type: chmod 600 {path}\n")
        h.equal(server.log("connected"), [], "nothing was sent")


def test_the_server_has_another_key():
    """Exit 5, the fingerprint that it has now, and a line that can be typed as it stands."""
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "it's a directory")
        say(server, "alice", "", *first_args("alice"), data=data)
        server.stop()
        for name in ("tls-key.pem", "tls-cert.pem"):
            os.remove(os.path.join(server.state, name))
        with h.Server(state=server.state, port=server.port) as changed:
            out, err = say(changed, "alice", "hello\n", data=data, status=5)
            h.equal(out, [])
            h.check(changed.fingerprint in err, "the fingerprint that it has now")
            line = h.match(r"type: (chat-client server forget .*)\n", err)[1]
            h.run(["sh", "-c", line.replace("chat-client", h.CLIENT, 1)])
            say(changed, "alice", "", "--fingerprint", changed.fingerprint, data=data)


def test_usage():
    for args, what in (([], "name the server"), (["--frob", "h"], "--frob is not an option"),
                       (["h", "99999"], "no port"), (["-u", "A", "h"], "no account name"),
                       (["--json", "--plain", "h"], "exclude each other")):
        _, err = h.run([h.CLIENT, *args], status=2)
        h.match(what, err)
    out, _ = h.run([h.CLIENT, "--help"])
    h.match(r"usage: chat-client \[-u USER\]", out)
    out, _ = h.run([h.CLIENT, "--version"])
    h.match(r"^chat-client, secure-chat \d", out)


def test_no_server():
    """Exit 3 at once; with --wait it keeps trying."""
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "alice")
        say(server, "alice", "/create ops\n", *first_args("alice"), data=data)
        server.stop()
        out, err = say(server, "alice", "hello\n", data=data, status=3)
        h.equal(out, [])
        h.match("refused", err)
        waiting = h.Process(argv(server, "alice", "--wait", data=data))
        waiting.wait_line("-- no connection: ")
        waiting.send_line("there it is")
        waiting.popen.stdin.close()
        with h.Server(state=server.state, port=server.port):
            waiting.wait_line(r"<alice> there it is$")
            h.equal(waiting.wait_exit(), 0)


def test_the_connection_is_lost():
    """Exit 6 with --no-reconnect."""
    with h.Server(accounts=ACCOUNTS) as server:
        client = h.Process(argv(server, "alice", "--no-reconnect", *first_args("alice")))
        client.wait_line("logged in")
        server.stop()
        h.equal(client.wait_exit(), 6)
        h.equal(len(client.err), 1)


def test_nobody_reads_the_output():
    """A reader that is gone ends it with one line; a reader that stands still does not keep it from ending."""
    with h.Server(accounts=ACCOUNTS) as server:
        data = os.path.join(h.temp_dir(), "alice")
        say(server, "alice", "/create ops\n", *first_args("alice"), data=data)
        gone = h.Process(["sh", "-c", '"$@" | true; exec 1>&2; echo done', "sh"] +
                         argv(server, "alice", data=data))
        gone.send_line("hello")
        gone.wait_line("^done$", gone.err)
        h.match("Broken pipe", gone.err[0])
        reader, writer = os.pipe()
        stuck = h.subprocess.Popen(argv(server, "alice", data=data), stdin=h.subprocess.PIPE, stdout=writer,
                                   stderr=h.subprocess.DEVNULL)
        os.close(writer)
        try:
            for _ in range(40):
                stuck.stdin.write(b"/help\n" * 40)
            stuck.stdin.flush()
            server.wait_log("login", account="alice", after=2)
            stuck.send_signal(signal.SIGTERM)
            stuck.wait(h.PATIENCE)
        finally:
            stuck.kill()
            stuck.stdin.close()
            os.close(reader)


def test_secrets_are_not_on_the_command_line():
    """Neither options nor subcommands take a secret as an argument, and none is in the environment or the lines."""
    with h.Server(accounts=ACCOUNTS) as server:
        client = h.Process(argv(server, "alice", *first_args("alice")))
        client.wait_line("logged in")
        for name in ("cmdline", "environ"):
            h.check(b"alice-secret" not in h.read(f"/proc/{client.pid}/{name}", "rb"), name)
        client.popen.stdin.close()
        h.equal(client.wait_exit(), 0)
        h.check("alice-secret" not in "\n".join(client.out + client.err), "the lines")


if __name__ == "__main__":
    sys.exit(h.main())
