#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running chat-server(8) takes a new configuration, new accounts and a new log file: the real program."""

import os
import signal
import sys

import harness as h


def waiting(server):
    return h.match(r"(?m)^waiting_for_restart=(.*)$", server.ctl("--plain", "status")[0])[1]


def test_reload():
    """SIGHUP puts in force what a reload may change, and names it."""
    with h.Server(conf="history_days = 30\n") as server:
        h.equal(server.reload()["changed"], "")
        h.write(server.conf, "history_days = 31\nlog_level = debug\n")
        done = server.reload()
        h.equal(done["event"], "reloaded")
        h.equal(done["changed"], "log_level, history_days")
        h.equal(done["waiting_for_restart"], "")
        h.equal(server.reload()["changed"], "")
        h.equal(server.stop(), 0)


def test_options_that_need_a_restart():
    """What needs a restart keeps its value, and is named by the log and by chatctl until it is restarted or taken back."""
    with h.Server(conf="loops = 1\n") as server:
        h.write(server.conf, "loops = 2\nkdf_queue_max = 7\nhistory_days = 1\n")
        done = server.reload()
        h.equal(done["changed"], "history_days")
        h.equal(done["waiting_for_restart"], "loops, kdf_queue_max")
        h.equal(waiting(server), "loops, kdf_queue_max")
        h.match(r"(?m)^loops=1$", server.ctl("--plain", "status")[0])
        h.write(server.conf, "loops = 1\nhistory_days = 1\n")
        done = server.reload()
        h.equal((done["changed"], done["waiting_for_restart"]), ("", ""))
        h.equal(waiting(server), "")


def test_bad_reload():
    """A mistake in the file keeps the old configuration in force, and is told with its line."""
    with h.Server(conf="log_level = info\n") as server:
        for text, said in (
            ("log_level = error\nport = 1\nport = 2\n", rf"{server.conf}:3: port was already set in line 2; .*"),
            ("log_level = loud\n", rf"{server.conf}:1: log_level has to be one of: error, warn, info, debug"),
            ("log_level = error\nlog_file = /nonexistent/log\n", r"/nonexistent/log: the log cannot be opened: .*"),
        ):
            h.write(server.conf, text)
            done = server.reload()
            h.equal((done["event"], done["level"]), ("reload_refused", "error"))
            h.match("^" + said + "$", done["reason"])
        os.unlink(server.conf)
        h.match(rf"^{server.conf}: there is no such file", server.reload()["reason"])
        # The level is still info: the end is logged.
        h.equal(server.stop(), 0)
        h.equal(len(server.log("stopped")), 1)


def test_log_level():
    """A level above info leaves the lines of every day out, and a reload brings them back."""
    with h.Server(conf="log_level = error\n", accounts={"alice": "secret"}) as server:
        h.write(server.conf, "log_level = info\n")
        server.reload()
        h.equal(server.stop(), 0)
        h.equal(server.log("started"), [])
        h.equal(len(server.log("stopped")), 1)


def test_limits_for_new_connections():
    """A limit of connections changed by a reload holds for the next connection."""
    with h.Server(conf="") as server, server.connect():
        h.write(server.conf, "connections_per_address = 1\n")
        h.equal(server.reload()["changed"], "connections_per_address")
        with server.connect() as over:
            over.settimeout(h.PATIENCE)
            try:
                h.equal(over.recv(1), b"")
            except ConnectionResetError:
                pass
        server.wait_log("limit_hit", limit="connections_per_address")


def test_reload_without_configuration():
    """Started without a file, SIGHUP is only a look at the accounts."""
    with h.Server() as server:
        h.equal(server.reload()["changed"], "")


# ---- accounts ----


def test_accounts_at_reload():
    """The password file is followed while the server runs; one that does not parse keeps the old accounts."""
    with h.Server(accounts={"alice": "secret"}) as server:
        good = h.read(server.passwd_file)
        h.write(server.passwd_file, good + "bob\n", 0o600)
        server.reload()
        bad = server.wait_log("passwords_bad")
        h.match(rf"^{server.passwd_file}:2: ", bad["text"])
        status = server.ctl("--plain", "status")[0]
        h.match(rf"(?m)^password_file_state={server.passwd_file}:2: ", status)
        h.match(r"(?m)^accounts=1$", status)
        h.write(server.passwd_file, good, 0o600)
        h.add_account(server.passwd_file, "bob", "secret")
        h.equal(server.wait_log("passwords_loaded", accounts=2)["accounts"], "2")
        status = server.ctl("--plain", "status")[0]
        h.match(r"(?m)^password_file_state=ok$", status)
        h.match(r"(?m)^accounts=2$", status)


# ---- the log file ----


def test_log_file():
    """log_file takes the log, for its user and group only; SIGUSR1 goes on in a new file after a rotation."""
    folder = h.temp_dir()
    log = os.path.join(folder, "log")
    with h.Server(conf=f"log_file = {log}\n", accounts={"alice": "secret"}) as server:
        h.match(r" info started ", h.read(log))
        h.equal(h.mode_of(log) & 0o007, 0)
        os.rename(log, log + ".1")
        server.send_signal(signal.SIGUSR1)
        # Whatever comes first, the signal is served before the next one.
        h.equal(server.stop(), 0)
        h.match(r"^\S+ info log_reopened ", h.read(log))
        h.match(r" info stopped ", h.read(log))
        h.check("stopped" not in h.read(log + ".1"), "the old file is left alone")
        h.equal(server.err, [])


def test_log_file_by_reload():
    """A reload moves the log to another file; a relative one is in the state directory."""
    with h.Server(conf="") as server:
        h.write(server.conf, "log_file = chat.log\n")
        server.send_signal(signal.SIGHUP)
        h.equal(server.stop(), 0)
        lines = h.read(os.path.join(server.state, "chat.log")).splitlines()
        h.match(r" info reloaded changed=log_file ", lines[0])
        h.match(r" info stopped ", lines[-1])


if __name__ == "__main__":
    sys.exit(h.main())
