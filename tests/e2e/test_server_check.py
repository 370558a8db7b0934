#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chat-server --check looks at everything and changes nothing: the real program."""

import os
import sqlite3
import sys

import harness as h


def check(*args, status=0):
    """Standard output, standard error of a check that changes nothing below args[1]."""
    before = h.snapshot(args[1])
    result = h.run([h.SERVER, "-d", *args[1:], "--check"], status=status)
    h.equal(h.snapshot(args[1]), before, "what was there")
    return result


def good_state():
    with h.Server(accounts={"alice": "secret", "bob": "secret"}) as server:
        h.equal(server.stop(), 0)
        return server.state


def test_good():
    """A sound server is told part by part, exit 0."""
    state = good_state()
    out, err = check("-d", state)
    h.equal(err, "")
    h.equal(out, f"no file: the configuration is good\n{state}/passwd: 2 accounts\n"
                 f"{state}/chat.db: the database is sound\n")


def test_nothing_there():
    """Before the first start there is nothing to complain about, and nothing is made."""
    state = os.path.join(h.temp_dir(), "state")
    out, err = check("-d", state)
    h.equal((out, err), (f"no file: the configuration is good\n{state}/passwd: 0 accounts\n"
                         f"{state}/chat.db: there is no database yet\n", ""))
    h.check(not os.path.exists(state), "nothing is made")


def test_bad_configuration():
    """A mistake in the configuration: its line, exit 1."""
    state = good_state()
    conf = h.write(os.path.join(h.temp_dir(), "c.conf"), "history_days = -1\n")
    out, err = check("-d", state, "-c", conf, status=1)
    h.equal((out, err), ("", f"chat-server: {conf}:1: history_days has to be a whole number\n"))


def test_bad_password_file():
    """A password file that others can read: its line, exit 1."""
    state = good_state()
    os.chmod(os.path.join(state, "passwd"), 0o644)
    h.match(rf"^chat-server: {state}/passwd: .*chmod 600", check("-d", state, status=1)[1])


def test_newer_database():
    """A database of a newer version: its line, exit 1."""
    state = good_state()
    with sqlite3.connect(os.path.join(state, "chat.db")) as db:
        db.execute("PRAGMA user_version = 1000")
    db.close()
    h.match(rf"^chat-server: {state}/chat\.db: written by a newer version", check("-d", state, status=1)[1])


def test_damaged_database():
    """A damaged database: what was found on standard output, one line on standard error, exit 1."""
    state = good_state()
    database = os.path.join(state, "chat.db")
    data = bytearray(h.read(database, "rb"))
    page = int.from_bytes(data[16:18], "big")
    for start in range(2 * page, len(data), page):  # the pages behind the schema's and the first pointer map
        data[start : start + 8] = b"\xa5" * 8
    with open(database, "wb") as f:
        f.write(data)
    out, err = check("-d", state, status=1)
    h.check(out.count("\n") > 2, f"faults are listed: {out!r}")
    h.equal(err, f"chat-server: {database}: the database is damaged; restore a backup made by chatctl backup\n")


def test_while_a_server_runs():
    """With a server running the configuration can be looked at before a reload; the database is left to it."""
    with h.Server(accounts={"alice": "secret"}) as server:
        conf = h.write(os.path.join(h.temp_dir(), "c.conf"), "history_days = 3\n")
        out, err = h.run([h.SERVER, "-d", server.state, "-c", conf, "--check"])
        h.equal(err, "")
        h.equal(out, f"{conf}: the configuration is good\n"
                     f"{server.state}: a server runs here, so the database is left to it\n"
                     f"{server.state}/passwd: 1 account\n")
        server.ctl("status")


if __name__ == "__main__":
    sys.exit(h.main())
