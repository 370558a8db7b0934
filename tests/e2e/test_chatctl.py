#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chatctl(8) and the control socket: the real programs."""

import os
import shutil
import signal
import socket
import sqlite3
import sys
import threading

import harness as h


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
        while values(server.ctl("--plain", "status")[0])["retention"] != "idle":  # as soon as it has looked
            pass
        status = values(server.ctl("--plain", "status")[0])
        h.equal((status["history_days"], status["history_entries"]), ("2", "0"))
        h.match(r"(?m)^days of history +2\nentries of a room +all are kept\n", server.ctl("status")[0])
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


# ---- what another server may say ----


def told(answer, *args, status=0):
    """What chatctl makes of this answer, from a server that is none; and what it had asked."""
    state = h.temp_dir()
    asked = []

    def serve(listening):
        with listening, listening.accept()[0] as one:
            asked.append(one.recv(65536))
            one.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.join(state, "control"))
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        out, err = h.run([h.CHATCTL, "-d", state, *args], status=status)
        thread.join(h.PATIENCE)
    return out, err, asked[0]


def test_requests():
    """Each command asks for one thing, in a line."""
    for command in ("status", "sessions", "rooms", "reload", "drain"):
        h.equal(told(b"ok 0\n", command)[2], command.encode() + b"\n")
    h.equal(told(b"ok 0\n", "backup", "/a b=c")[2], b"backup /a b=c\n")


def test_tables():
    """Lists become tables: a column for each key, a dash where a line has none, other lines below."""
    text = (b"room=0a entries=1 sessions=0\nroom=0b entries=22 sessions=1 epoch=333 kind=group\nnot_listed=7\n")
    answer = b"ok %d\n" % len(text) + text
    h.equal(told(answer, "rooms")[0],
            "room  entries  sessions  epoch  kind\n"
            "0a    1        0         -      -\n"
            "0b    22       1         333    group\n"
            "not_listed=7\n")
    h.equal(told(answer, "--plain", "rooms")[0], text.decode())


def test_status_of_a_newer_server():
    """Keys that this chatctl does not know are shown as they are; numbers of time and size for people."""
    text = b"uptime_s=93784\nwal_bytes=1536\ndatabase_bytes=3221225472\nwarp=9\nwaiting_for_restart=\nodd\n"
    out = told(b"ok %d\n" % len(text) + text, "status")[0]
    h.equal(out, "uptime                   1 d 2 h\n"
                 "waiting for a restart    none\n"
                 "database size            3.0 GiB\n"
                 "database log             1.5 KiB\n"
                 "warp                     9\n"
                 "odd                      \n")


def test_bad_answers():
    """Anything but a whole answer is an error."""
    for answer in (b"", b"ok", b"ok 0", b"okay 0\n", b"o", b"\n", b"error\n", b"error \n"):
        out, err, _ = told(answer, "sessions", status=1)
        h.equal((out, err), ("", "chatctl: the server ended, or is too busy, before it had answered; its log says more\n"))
    for answer in (b"ok 5\nabcd", b"ok 5\nabcdef", b"ok 1\n", b"ok 99999999999999999999999\nx"):
        h.equal(told(answer, "sessions", status=1)[:2], ("", "chatctl: the server ended before its answer did\n"))
    h.equal(told(b"error why not\n", "drain", status=1)[:2], ("", "chatctl: why not\n"))


# ---- who may ask ----


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
        h.equal(h.run(command, status=1, preexec_fn=h.as_nobody)[1], mine)
        os.chmod(server.state, 0o755)
        h.equal(h.run(command, status=1, preexec_fn=h.as_nobody)[1], mine)
        os.chmod(os.path.join(server.state, "control"), 0o666)
        out, err = h.run(command, status=1, preexec_fn=h.as_nobody)
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
