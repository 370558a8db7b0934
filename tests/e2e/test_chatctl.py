#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chatctl(8) and the control socket: the real programs."""

import os
import shutil
import signal
import socket
import sqlite3
import sys

import harness as h

NOBODY = 65534


def values(text):
    return dict(line.split("=", 1) for line in text.splitlines())


# ---- the commands ----


def test_status():
    """status shows uptime, sessions, rooms, entries, queue depths, versions and the state of the store."""
    with h.Server(accounts={"alice": "secret"}) as server:
        status = values(server.ctl("--plain", "status")[0])
        h.equal(status["version"], h.match(r"(\d+\.\d+\.\d+)", h.run([h.SERVER, "--version"])[0])[1])
        h.equal(status["pid"], str(server.pid))
        h.equal(status["listening"], f"127.0.0.1:{server.port}")
        h.equal(status["fingerprint"], server.fingerprint)
        h.equal(status["state_dir"], server.state)
        h.equal(status["password_file"], server.passwd_file)
        h.equal(status["accounts"], "1")
        h.equal(status["store"], "ok")
        for key in ("uptime_s", "sessions", "rooms", "entries", "connections", "engine_queue", "reader_queue",
                    "kdf_queue", "turns", "database_bytes", "failed_commits"):
            h.match(r"^\d+$", status[key])
        h.equal([status[key] for key in ("sessions", "rooms", "entries", "connections")], ["0"] * 4)
        people = server.ctl("status")[0]
        h.match(rf"(?m)^listening on +127\.0\.0\.1:{server.port}$", people)
        h.match(r"(?m)^uptime +\d+ s$", people)
        h.match(r"(?m)^database size +[\d.]+ KiB$", people)
        h.match(r"(?m)^configuration +none$", people)
        h.equal(people.count("\n"), len(status))


def test_connections_are_counted():
    """A connection shows in the status as soon as the server has it."""
    with h.Server() as server, server.connect():
        while values(server.ctl("--plain", "status")[0])["connections"] != "1":
            pass


def test_empty_lists():
    """sessions and rooms of a server without any."""
    with h.Server() as server:
        for command in ("sessions", "rooms"):
            h.equal(server.ctl(command), ("none\n", ""))
            h.equal(server.ctl("--plain", command), ("", ""))


def test_reload():
    """reload says what was changed and what waits, or why the old configuration stays."""
    with h.Server(conf="") as server:
        h.equal(server.ctl("reload"), ("nothing changed\n", ""))
        h.write(server.conf, "history_days = 2\nport = 1\n")
        # The port is the command line's.
        h.equal(server.ctl("reload"), ("changed: history_days\n", ""))
        h.write(server.conf, "history_days = 2\nloops = 5\n")
        h.equal(server.ctl("reload"), ("nothing changed; waiting for a restart: loops\n", ""))
        h.write(server.conf, "histery_days = 2\n")
        out, err = server.ctl("reload", status=1)
        h.equal((out, err),
                ("", f'chatctl: {server.conf}:1: unknown option "histery_days"; did you mean history_days?\n'))
        server.stop()
        h.equal(len(server.log("reloaded")), 3)
        h.equal(len(server.log("reload_refused")), 1)


def test_backup():
    """backup writes a database that a server can start on; a second one replaces it."""
    with h.Server() as server:
        target = os.path.join(h.temp_dir(), "backup.db")
        folder, name = os.path.split(target)
        h.equal(server.ctl("backup", name, cwd=folder), ("backup written\n", ""))
        h.equal(server.wait_log("backup_made")["file"], target)
        h.equal(h.mode_of(target), 0o600)
        h.equal(os.listdir(folder), [name])
        with sqlite3.connect(target) as db:
            h.equal(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        db.close()
        h.write(target, "something else", 0o600)
        server.ctl("backup", target)
        # Restored in another state directory, with the keys of the first.
        state = os.path.join(h.temp_dir(), "state")
        os.mkdir(state, 0o700)
        shutil.copy(target, os.path.join(state, "chat.db"))
        with h.Server(state=state) as restored:
            h.equal(values(restored.ctl("--plain", "status")[0])["store"], "ok")


def test_bad_backups():
    """A backup that would replace the server's own files is refused, and one that cannot be written says why."""
    with h.Server(accounts={"alice": "secret"}) as server:
        before = h.snapshot(server.state)
        for name in ("chat.db", "tls-key.pem", "passwd", "new.db", "../state/new.db", "./x"):
            _, err = server.ctl("backup", os.path.join(server.state, name), status=1)
            h.match(r"^chatctl: a backup may not replace files of the server; ", err)
        link = os.path.join(h.temp_dir(), "link")
        os.symlink(os.path.join(server.state, "passwd"), link)
        h.match(r"^chatctl: a backup may not replace", server.ctl("backup", link, status=1)[1])
        target = os.path.join(h.temp_dir(), "none", "backup.db")
        _, err = server.ctl("backup", target, status=1)
        h.match(r"^chatctl: .*No such file or directory\n$", err)
        server.wait_log("backup_failed")
        after = h.snapshot(server.state)
        for name in ("tls-key.pem", "passwd", "lock"):
            h.equal(after[name], before[name])
        h.equal(set(after), set(before))


def test_drain():
    """drain ends the server as SIGTERM does and returns when it has ended: another can start at once."""
    with h.Server() as server:
        h.equal(server.ctl("drain"), ("the server has ended\n", ""))
        # The lock is free before chatctl returns.
        with h.Server(state=server.state):
            h.equal(server.wait_exit(), 0)
            h.equal(server.log("stopping")[0]["reason"], "chatctl")
            h.equal(len(server.log("stopped")), 1)


# ---- mistakes ----


def test_no_server():
    """Without a server it says so, also where one was killed or where there is no such directory."""
    top = h.temp_dir()
    for state in (top, os.path.join(top, "none")):
        _, err = h.run([h.CHATCTL, "-d", state, "status"], status=1)
        h.equal(err, f"chatctl: no server runs on {state}; start chat-server, or name its state directory with -d\n")
    with h.Server() as server:
        server.terminate(signal.SIGKILL)
        h.match(r"^chatctl: no server runs on ", server.ctl("status", status=1)[1])


def test_usage():
    """A wrong command line is exit 2 and the usage."""
    for args in ([], ["stat"], ["status", "x"], ["backup"], ["backup", "a", "b"], ["-x", "status"], ["-d"]):
        out, err = h.run([h.CHATCTL, *args], status=2)
        h.equal(out, "")
        h.match(r"usage: chatctl \[-d STATE_DIR\] \[--plain\] COMMAND\n", err)
    h.match(r"^chatctl \(secure-chat\) \d", h.run([h.CHATCTL, "--version"])[0])
    out, _ = h.run([h.CHATCTL, "--help"])
    for command in ("status", "sessions", "rooms", "reload", "backup FILE", "drain"):
        h.match(rf"(?m)^  {command} ", out)


def test_long_path():
    """A state directory whose path is longer than the address of a socket works."""
    state = os.path.join(h.temp_dir(), "x" * 100, "y" * 100)
    with h.Server(state=state) as server:
        server.ctl("status")


def test_server_ends_meanwhile():
    """An answer that does not come is told from one that is empty."""
    with h.Server() as server:
        server.send_signal(signal.SIGSTOP)
        asking = h.Process([h.CHATCTL, "-d", server.state, "sessions"])
        # It is connected, which the kernel does for the stopped server, or finds the socket gone.
        server.send_signal(signal.SIGKILL)
        server.wait_exit()
        h.equal(asking.wait_exit(), 1)
        h.equal(asking.out, [])
        h.equal(len(asking.err), 1)


# ---- who may ask ----


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def test_other_user():
    """Another user is refused: by the modes of directory and socket, and where these are wrong by the server."""
    if os.geteuid() != 0:
        raise h.Skip("another user is needed, so root")
    # A copy that everybody can run, wherever the build is.
    program = shutil.copy(h.CHATCTL, h.temp_dir())
    with h.Server() as server:
        os.chmod(os.path.dirname(program), 0o755)
        os.chmod(os.path.dirname(server.state), 0o755)
        command = [program, "-d", server.state, "status"]
        mine = f"chatctl: {server.state} is another user's: run chatctl as the user who runs the server, or as root\n"
        h.equal(h.run(command, status=1, preexec_fn=as_nobody)[1], mine)
        os.chmod(server.state, 0o755)
        h.equal(h.run(command, status=1, preexec_fn=as_nobody)[1], mine)
        os.chmod(os.path.join(server.state, "control"), 0o666)
        out, err = h.run(command, status=1, preexec_fn=as_nobody)
        h.equal(out, "")
        h.match(r"^chatctl: .*\n$", err)
        h.run(command)


# ---- the protocol of the socket ----


def talk(server, data):
    """Everything the server says to these bytes."""
    with socket.socket(socket.AF_UNIX) as control:
        # Without a time limit first, for with one it would not wait for a place in the queue.
        control.connect(os.path.join(server.state, "control"))
        control.settimeout(h.PATIENCE)
        control.sendall(data)
        answer = b""
        while True:
            try:
                more = control.recv(65536)
            except ConnectionResetError:
                return answer
            if not more:
                return answer
            answer += more


def test_lines():
    """What is not one line with a known command is refused, and the next one is served."""
    with h.Server() as server:
        for line, answer in (
            (b"nonsense\n", b"error no such command; is chatctl of the same version?\n"),
            (b"\n", b"error no such command; is chatctl of the same version?\n"),
            (b"STATUS\n", b"error no such command; is chatctl of the same version?\n"),
            (b"status now\n", b"error the command takes no argument\n"),
            (b"backup\n", b"error the command needs an argument\n"),
            (b"backup relative\n", b"error the path of a backup begins with a slash\n"),
            (b"status\nstatus\n", b"error not one line\n"),
            (b"sta\0tus\n", b"error not one line\n"),
            (b"x" * 8192, b"error not one line\n"),
            (b"sessions\n", b"ok 0\n"),
        ):
            h.equal(talk(server, line), answer)


def test_many_at_once():
    """More connections than are served at once wait for each other; those that say nothing are in nobody's way."""
    with h.Server() as server:
        silent = []
        for _ in range(15):
            one = socket.socket(socket.AF_UNIX)
            one.connect(os.path.join(server.state, "control"))
            silent.append(one)
        h.equal(talk(server, b"sessions\n"), b"ok 0\n")
        asking = [h.Process([h.CHATCTL, "-d", server.state, "sessions"]) for _ in range(8)]
        for one in silent:
            one.close()
        for process in asking:
            h.equal(process.wait_exit(), 0)


def test_asked_and_gone():
    """Who asks and does not wait for the answer disturbs nobody."""
    with h.Server() as server:
        for _ in range(50):
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(os.path.join(server.state, "control"))
                control.sendall(b"status\n")
        h.equal(talk(server, b"sessions\n"), b"ok 0\n")
        h.equal(server.stop(), 0)


if __name__ == "__main__":
    sys.exit(h.main())
