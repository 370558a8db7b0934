#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen on the line, and in what the server stores: nothing that tells equal messages from others."""

import os
import socket
import sqlite3
import sys
import threading

import harness as h
from test_chat import ACCOUNTS, Person, invite

WINDOW = 16
HEADER, SIGNATURE = 129, 64  # of a message, chat-protocol(7): who, when, in which epoch


class Tap:
    """A line to the server that writes down what goes over it, in both directions."""

    def __init__(self, server):
        self.address = "127.0.0.1"
        self._server = server
        self._listener = socket.create_server((self.address, 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._seen = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._server.connect()
            for sides in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=sides, daemon=True).start()

    def _pass_on(self, source, sink):
        try:
            while piece := source.recv(65536):
                with self._lock:
                    self._seen += piece
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def take(self):
        """What was seen since the last time."""
        with self._lock:
            seen, self._seen = bytes(self._seen), bytearray()
        return seen

    def close(self):
        self._listener.close()


def windows(data):
    return {data[i:i + WINDOW] for i in range(len(data) - WINDOW + 1)}


def shared(*pieces):
    """The windows that two of the pieces have in common, or one has twice."""
    seen, twice = set(), set()
    for piece in pieces:
        found = windows(piece)
        if len(found) < len(piece) - WINDOW + 1:
            twice.add(b"(within one)")
        twice |= seen & found
        seen |= found
    return twice


def test_equal_messages_on_the_line():
    """A message said twice, and by two people: no 16 bytes on the line are the same."""
    text = "the very same words, every time they are said"
    with h.Server(accounts=ACCOUNTS) as server:
        tap = Tap(server)
        alice = Person(server, "alice", port=tap.port)
        bob = Person(server, "bob")
        alice.user, bob.user = "alice", "bob"
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        said = []
        tap.take()
        for author in (alice, alice, bob):
            before = len(alice.texts("ops"))
            author.say("ops", text)
            alice.wait_until(lambda n=before: True if len(alice.texts("ops")) > n else None, "the text")
            said.append(tap.take())
        h.check(all(len(piece) > 300 for piece in said), "the tap saw them")
        h.equal(shared(*said), set())
        h.check(shared(said[0], said[0]), "the comparison sees what is the same")
        alice.quit()
        bob.quit()
        tap.close()
        h.equal(server.stop(), 0)


def stored_messages(server):
    """The messages as they lie in the server's database, in their order."""
    database = sqlite3.connect(f"file:{os.path.join(server.state, 'chat.db')}?mode=ro", uri=True)
    try:
        return [row[0] for row in database.execute("SELECT wire FROM entries WHERE kind = 2 ORDER BY entry_id")]
    finally:
        database.close()


def test_equal_messages_in_the_store():
    """Below TLS too: equal texts have nothing in common behind their headers, and short ones not even a length."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = Person(server, "alice"), Person(server, "bob")
        alice.user, bob.user = "alice", "bob"
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        for author in (alice, alice, bob):
            author.say("ops", "yes")
        alice.say("ops", "no, and that for several reasons")
        alice.quit()
        bob.quit()
        h.equal(server.stop(), 0)
        messages = stored_messages(server)
        h.equal(len(messages), 4)
        sealed = [message[HEADER:-SIGNATURE] for message in messages]
        h.equal(shared(*sealed), set())
        h.equal(shared(*(message[-SIGNATURE:] for message in messages)), set())
        # The headers do have something in common, as the epoch: the comparison is of what it should be.
        h.check(windows(messages[0][:HEADER]) & windows(messages[1][:HEADER]), "headers of one sender are alike")
        h.equal(len({len(message) for message in messages}), 1, "lengths of short messages")


if __name__ == "__main__":
    sys.exit(h.main())
