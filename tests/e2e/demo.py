#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a real server, three real clients, a short conversation, and what each of the four saw.

    demo.py --build-dir DIR --state-dir DIR [--stop]

The server is left running, to be joined; a second run finds it.  --stop ends it.
"""

import argparse
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading

PATIENCE = 60  # seconds until something that says nothing is taken for hung
PEOPLE = ("alice", "bob", "darth")
ROOM = "hangar"
SAID = "the plans are in the archive"


class Demo:
    """Paths, and the server that runs or not."""

    def __init__(self, build, state):
        self.build, self.dir = build, state
        self.state = os.path.join(state, "server")
        self.log = os.path.join(state, "server.log")
        self.out = os.path.join(state, "server.out")

    def program(self, name):
        where = {"chat-server": "src/server", "chat-client": "src/client"}.get(name, "src/tools")
        return os.path.join(self.build, where, name)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def ctl(self, *args):
        """Its answer, or None where no server runs."""
        done = subprocess.run([self.program("chatctl"), "-d", self.state, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, text=True)
        return done.stdout if done.returncode == 0 else None

    def address(self):
        with open(self.out, encoding="utf-8") as f:
            found = re.search(r"^listening on (\S+):(\d+)\b.* fingerprint ([0-9a-f]{64})$", f.read(), re.M)
        return found.groups()


def make_accounts(demo):
    os.makedirs(demo.state, mode=0o700, exist_ok=True)
    os.chmod(demo.dir, 0o700)
    for name in PEOPLE:
        password_file = demo.path(name + ".password")
        if os.path.exists(password_file):
            continue
        password = secrets.token_urlsafe(9)
        subprocess.run([demo.program("chat-passwd"), "-d", demo.state, "--stdin", "add", name],
                       input=password + "\n", stdout=subprocess.DEVNULL, text=True, check=True)
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
                  encoding="utf-8") as f:
            f.write(password + "\n")


def start_server(demo):
    """Starts it in a session of its own, and waits until it says that it is ready."""
    notify_path = demo.path("notify")
    if os.path.exists(notify_path):
        os.remove(notify_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(demo.out, "wb") as out, \
            open(demo.log, "ab") as log:
        notify.bind(notify_path)
        notify.settimeout(PATIENCE)
        server = subprocess.Popen([demo.program("chat-server"), "-d", demo.state, "-l", "127.0.0.1", "0"],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True,
                                  env=dict(os.environ, NOTIFY_SOCKET=notify_path))
        pidfd = os.pidfd_open(server.pid)
        ready, _, _ = select.select([notify, pidfd], [], [], PATIENCE)
        os.close(pidfd)
        if notify not in ready or b"READY=1" not in notify.recv(4096):
            with open(demo.log, encoding="utf-8") as f:
                sys.exit("the server did not start:\n" + f.read()[-2000:])
    os.remove(notify_path)
    with open(demo.path("server.pid"), "w", encoding="utf-8") as f:
        f.write(f"{server.pid}\n")


class Client:
    """chat-client as a person runs it, but with pipes: every line that it printed is in self.lines."""

    def __init__(self, demo, name, address):
        host, port, fingerprint = address
        self.name, self.lines, self.typed = name, [], []
        self.news = threading.Condition()
        self.ended = False
        self.popen = subprocess.Popen(
            [demo.program("chat-client"), "-u", name, "--plain", "--fingerprint", fingerprint, "--password-file",
             demo.path(name + ".password"), "--data-dir", demo.path(name), host, port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._follow, daemon=True).start()
        self.wait(r"-- logged in")

    def _follow(self):
        for line in self.popen.stdout:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait(self, pattern):
        regex = re.compile(pattern)

        def found():
            return self.ended or any(regex.search(line) for line in self.lines)

        with self.news:
            if not self.news.wait_for(found, PATIENCE) or not any(regex.search(line) for line in self.lines):
                print("\n".join(self.lines))
                sys.exit(f"{self.name}: nothing like {pattern!r} came")

    def type(self, line):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def close(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            sys.exit(f"{self.name}: the client does not end")
        with self.news:
            self.news.wait_for(lambda: self.ended, PATIENCE)


def converse(demo, first):
    """Alice and Bob talk in a room that Darth is not in."""
    address = demo.address()
    alice, bob, darth = (Client(demo, name, address) for name in PEOPLE)
    if first:
        alice.type(f"/create {ROOM}")
        alice.wait(rf"\[{ROOM}\] -- you created the room")
        alice.type("/invite bob")
        bob.wait(r"-- alice invited you")
        bob.type(f"/accept {ROOM}")
        alice.wait(r"-- bob joined")
    else:
        alice.type(f"/switch {ROOM}")
        bob.type(f"/switch {ROOM}")
    alice.type(SAID)
    bob.wait(rf"<alice> {SAID}")
    bob.type("got them, thank you")
    alice.wait(r"<bob> got them, thank you")
    darth.type(f"/accept {ROOM}")
    darth.type("/rooms")
    for client in (alice, bob, darth):
        client.close()
    return alice, bob, darth


def count(demo, text):
    """How many files of the server's state hold the text, and how many files there are."""
    held = files = 0
    for root, _, names in os.walk(demo.state):
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                files += 1
                with open(path, "rb") as f:
                    held += text.encode() in f.read()
    return held, files


def show(demo, clients):
    for client in clients:
        print(f"\n== what {client.name} saw")
        print("\n".join("   " + line for line in client.lines))
    print("\n== what the server stored")
    print("\n".join("   " + line for line in (demo.ctl("rooms") or "").splitlines()))
    for text in ("alice", ROOM, SAID):
        held, files = count(demo, text)
        print(f"   '{text}' is in {held} of its {files} files")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--stop", action="store_true")
    args = parser.parse_args()
    demo = Demo(os.path.abspath(args.build_dir), os.path.abspath(args.state_dir))
    running = demo.ctl("status") is not None
    if args.stop:
        if running:
            demo.ctl("drain")
        return 0
    os.makedirs(demo.dir, mode=0o700, exist_ok=True)
    make_accounts(demo)
    if running:
        print("== the server of an earlier demo is running")
    else:
        print("== starting a server")
        start_server(demo)
    first = not os.path.exists(demo.path("talked"))
    clients = converse(demo, first)
    with open(demo.path("talked"), "w", encoding="utf-8"):
        pass
    show(demo, clients)
    host, port, fingerprint = demo.address()
    with open(demo.path("server.pid"), encoding="utf-8") as f:
        pid = int(f.read())
    print(f"\n== the server goes on running (process {pid}); to join, type in another terminal one of")
    for name in PEOPLE:
        print(f"   {os.path.relpath(demo.program('chat-client'))} -u {name} --data-dir {os.path.relpath(demo.path(name))}"
              f" --fingerprint {fingerprint} {host} {port}")
    print(f"   to end it: kill {pid}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
