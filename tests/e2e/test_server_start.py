#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chat-server(8) starts, refuses to start, and ends: the real program."""

import hashlib
import os
import resource
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import sys
import time

import harness as h

# ---- helpers ----


def bad_start(args, said, watch, program=h.SERVER, **more):
    """It ends with 1 and one line, and nothing below `watch` is another than before."""
    before = h.snapshot(watch)
    out, err = h.run([program, *args], status=1, **more)
    h.equal(out, "", "standard output")
    h.equal(err.count("\n"), 1, f"lines of {err!r}")
    h.match(r"^chat-server: " + said + r"\n$", err)
    h.equal(h.snapshot(watch), before, "what was there")


def started_once():
    """The state directory of a server that has run and ended."""
    with h.Server(accounts={"alice": "secret"}) as server:
        h.equal(server.stop(), 0)
        return server.state


def der_items(data):
    """The (tag, whole, content) of DER values that stand one behind the other."""
    while data:
        length, start = data[1], 2
        if length & 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(data[2:start], "big")
        yield data[0], data[: start + length], data[start : start + length]
        data = data[start + length :]


def key_fingerprint(pem):
    """SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1)."""
    certificate = next(der_items(ssl.PEM_cert_to_DER_cert(pem)))[2]
    fields = list(der_items(next(der_items(certificate))[2]))
    # version [0], serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    h.equal(fields[0][0], 0xA0)
    return hashlib.sha256(fields[6][1]).hexdigest()


def user_version(database, value):
    with sqlite3.connect(database) as db:
        db.execute(f"PRAGMA user_version = {value}")
    db.close()


# ---- the first start, and later ones ----


def test_first_start_makes_everything():
    """A first start makes state directory, keys, certificate, database, lock and control socket, for its user only."""
    old = os.umask(0)
    try:
        with h.Server() as server:
            h.equal(h.mode_of(server.state), 0o700)
            for name in ("chat.db", "tls-key.pem", "lock", "control"):
                h.equal(h.mode_of(os.path.join(server.state, name)), 0o600, name)
            pem = h.read(os.path.join(server.state, "tls-cert.pem"))
            h.equal(key_fingerprint(pem), server.fingerprint)
            h.equal(server.wait_log("tls_identity_made")["fingerprint"], server.fingerprint)
            started = server.wait_log("started")
            h.equal(started["pid"], str(server.pid))
            h.equal(started["listening"], f"127.0.0.1:{server.port}")
            h.equal(started["fingerprint"], server.fingerprint)
            h.equal(h.read(os.path.join(server.state, "lock")), f"{server.pid}\n")
            h.equal(server.stop(), 0)
            # The log file of the database is written back, the socket is gone, the lock is free and empty.
            h.equal(sorted(os.listdir(server.state)), ["chat.db", "lock", "tls-cert.pem", "tls-key.pem"])
            h.equal(h.read(os.path.join(server.state, "lock")), "")
    finally:
        os.umask(old)


def test_second_start_is_the_same_server():
    """Started again it has the same key, certificate and database."""
    state = started_once()
    names = ("tls-key.pem", "tls-cert.pem")
    before = [h.read(os.path.join(state, name)) for name in names]
    with h.Server(state=state) as server:
        h.equal([h.read(os.path.join(state, name)) for name in names], before)
        h.equal(server.fingerprint, key_fingerprint(before[1]))
        server.stop()
        h.equal(server.log("tls_identity_made"), [])


def test_missing_certificate_is_made_for_the_same_key():
    """Without its certificate, which expires, the server makes a new one and keeps the key that clients have pinned."""
    state = started_once()
    fingerprint = key_fingerprint(h.read(os.path.join(state, "tls-cert.pem")))
    os.unlink(os.path.join(state, "tls-cert.pem"))
    with h.Server(state=state) as server:
        h.equal(server.fingerprint, fingerprint)
        server.wait_log("tls_identity_made")


def test_missing_folders_are_made():
    """The state directory's parents are made too, for this user only."""
    top = h.temp_dir()
    with h.Server(state=os.path.join(top, "a", "b")):
        h.equal(h.mode_of(os.path.join(top, "a")), 0o700)
        h.equal(h.mode_of(os.path.join(top, "a", "b")), 0o700)


def test_ready_means_ready():
    """When the line is there a connection succeeds, and chatctl too."""
    with h.Server() as server:
        h.check(server.port > 0, "port 0 becomes a real one")
        server.connect().close()
        server.ctl("status")
        h.equal(len(server.out), 1)


def test_several_addresses():
    """-l may be repeated, and all addresses get the same free port."""
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        raise h.Skip("no IPv6")
    with h.Server(args=["-l", "::1"]) as server:
        h.match(rf"^listening on 127\.0\.0\.1:{server.port} \[::1\]:{server.port}, fingerprint", server.out[0])
        server.connect().close()
        socket.create_connection(("::1", server.port), timeout=h.PATIENCE).close()


def test_default_state_directory():
    """Without -d a user's state is below XDG_STATE_HOME, or else in the home directory."""
    top = h.temp_dir()
    user = ordinary_user(top)
    program = user.pop("program", h.SERVER)
    env = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    for env["XDG_STATE_HOME"], env["HOME"], where in (
        (os.path.join(top, "xdg"), "/nonexistent", "xdg/secure-chat"),
        ("", os.path.join(top, "home"), "home/.local/state/secure-chat"),
    ):
        with h.Process([program, "-l", "127.0.0.1", "0"], env=env, **user) as server:
            server.wait_line("^listening on")
            h.check(os.path.exists(os.path.join(top, where, "chat.db")), "the database is there")
            h.equal(server.terminate(), 0)


def test_after_a_crash():
    """Killed without warning, it starts again on what is left: socket, lock and log file of the database."""
    with h.Server() as server:
        server.send_signal(signal.SIGKILL)
        h.equal(server.wait_exit(), -signal.SIGKILL)
        h.check(os.path.exists(os.path.join(server.state, "control")), "the socket is left")
        with h.Server(state=server.state) as again:
            h.equal(again.fingerprint, server.fingerprint)
            again.ctl("status")


def test_no_accounts():
    """Without accounts it says how to add one, and takes it into force when it is added."""
    with h.Server() as server:
        server.wait_line(rf"^chat-server: no accounts yet; add one with: chat-passwd -f {server.passwd_file} add NAME$",
                         server.err)
        h.add_account(server.passwd_file, "alice", "secret")
        h.equal(server.wait_log("passwords_loaded")["accounts"], "1")
    with h.Server(accounts={"alice": "secret"}) as server:
        server.stop()
        h.check(not any("no accounts" in line for line in server.err), "there is one")


def test_password_file_elsewhere():
    """-p names another password file, as seen from where the server is started."""
    folder = h.temp_dir()
    h.add_account(os.path.join(folder, "accounts"), "alice", "secret")
    with h.Server(args=["-p", "accounts"], cwd=folder) as server:
        h.equal(server.wait_log("started")["accounts"], "1")
        h.match(rf"password_file={folder}/accounts\n", server.ctl("--plain", "status")[0])


def test_other_key_and_certificate():
    """tls_key and tls_cert name a key made by other means."""
    fixtures = os.path.join(h.TOP, "tests", "fixtures")
    key = h.write(os.path.join(h.temp_dir(), "key.pem"), h.read(os.path.join(fixtures, "tls-key.pem")), 0o600)
    cert = os.path.join(fixtures, "tls-cert.pem")
    with h.Server(conf=f"tls_key = {key}\ntls_cert = {cert}\n") as server:
        h.equal(server.fingerprint, key_fingerprint(h.read(cert)))
        h.check(not os.path.exists(os.path.join(server.state, "tls-key.pem")), "none is made")


# ---- the service manager ----


def notifications(path):
    """A socket as a service manager has it."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(h.PATIENCE)
    manager.bind(path)
    return manager


def told(manager):
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())


def test_service_manager():
    """A service manager is told of readiness, reloads and the end, by the protocol of sd_notify(3)."""
    path = os.path.join(h.temp_dir(), "notify")
    with notifications(path) as manager, h.Server(env={"NOTIFY_SOCKET": path}) as server:
        ready = told(manager)
        h.equal(ready["READY"], "1")
        h.match(rf"127\.0\.0\.1:{server.port}", ready["STATUS"])
        server.send_signal(signal.SIGHUP)
        reloading = told(manager)
        h.equal(reloading["RELOADING"], "1")
        h.check(int(reloading["MONOTONIC_USEC"]) > 0, "with its time")
        h.equal(told(manager)["READY"], "1")
        h.equal(server.stop(), 0)
        h.equal(told(manager)["STOPPING"], "1")


def test_service_manager_abstract_socket():
    """The same over a socket without a file."""
    name = f"secure-chat-test-{os.getpid()}"
    with notifications("\0" + name) as manager, h.Server(env={"NOTIFY_SOCKET": "@" + name}):
        h.equal(told(manager)["READY"], "1")


# ---- bad starts ----


def test_bad_command_lines():
    """A wrong command line is one line and exit 1."""
    top = h.temp_dir()
    state = os.path.join(top, "state")
    for args, said in (
        (["--prot", "1"], r"unknown option --prot; chat-server --help lists all options"),
        (["-x"], r"unknown option -x; chat-server --help lists all options"),
        (["-d"], r"the option -d needs a value; chat-server --help lists all options"),
        (["--config"], r"the option --config needs a value; .*"),
        (["1", "2"], r'"2" is too much: there is one port; .*'),
        (["65536"], r'command line: the port "65536" is out of range; it may be 0 to 65535'),
        (["http"], r'command line: the port "http" has to be a whole number'),
        (["-l", "a b"], r'command line: -l "a b" has to be addresses or host names .*'),
        (["-d", ""], r'command line: -d "" is empty; .*'),
    ):
        bad_start(["-d", state, *args] if "-d" not in args else args, said, top)


def test_bad_configurations():
    """A mistake in the configuration is one line with file and line number, and exit 1."""
    top = h.temp_dir()
    state = os.path.join(top, "state")
    conf = os.path.join(top, "c.conf")
    for text, said in (
        ("port = 1\nprot = 2\n", rf'{conf}:2: unknown option "prot"; did you mean port\?'),
        ("\nidle_timeout = 1s\n", rf"{conf}:2: idle_timeout is out of range; it may be 20s to 1d"),
        ("port = 0\nport = 0\n", rf"{conf}:2: port was already set in line 1; remove one of the two"),
        ("port 0\n", rf'{conf}:1: the line has no "="; write: option = value'),
        ("outbuf_low = 512KiB\n", rf"{conf}:1: outbuf_low has to be less than outbuf_high"),
    ):
        h.write(conf, text)
        bad_start(["-d", state, "-c", conf, "0"], said, top)
    bad_start(["-d", state, "-c", conf + "x", "0"], rf"{conf}x: there is no such file; name the right one with -c, .*", top)
    bad_start(["-d", state, "-c", top, "0"], rf"{top}: is not a file; .*", top)


def test_port_in_use():
    """A port in use is named, and nothing is made."""
    top = h.temp_dir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bad_start(["-d", os.path.join(top, "state"), "-l", "127.0.0.1", str(port)],
                  rf"cannot listen on 127\.0\.0\.1 port {port}: Address already in use; .*name another port", top)


def test_address_of_another_machine():
    """An address that the machine does not have is named."""
    top = h.temp_dir()
    bad_start(["-d", os.path.join(top, "state"), "-l", "192.0.2.1", "0"],
              r"cannot listen on 192\.0\.2\.1 port 0: .*; mend -l or the option listen", top)


def test_password_file_that_others_can_read():
    """A password file that others can read, or that does not parse, stops the start."""
    top = h.temp_dir()
    passwd = os.path.join(top, "passwd")
    args = ["-d", os.path.join(top, "state"), "-p", passwd, "-l", "127.0.0.1", "0"]
    h.add_account(passwd, "alice", "secret")
    os.chmod(passwd, 0o640)
    bad_start(args, rf"{passwd}: .*chmod 600 {passwd}", top)
    h.write(passwd, "# accounts\nalice\n", 0o600)
    bad_start(args, rf"{passwd}:2: .*", top)


def test_newer_database():
    """A database of a newer version is left as it is."""
    state = started_once()
    user_version(os.path.join(state, "chat.db"), 1000)
    bad_start(["-d", state, "-l", "127.0.0.1", "0"],
              rf"{state}/chat\.db: written by a newer version .*; start the newer chat-server, or restore .*", state)


def test_not_a_database():
    """A database of something else, or a file that is none, is left as it is."""
    state = started_once()
    database = os.path.join(state, "chat.db")
    args = ["-d", state, "-l", "127.0.0.1", "0"]
    h.write(database, "no database at all, but long enough to be looked at\n" * 100, 0o600)
    bad_start(args, rf"{database}: .*", state)
    os.unlink(database)
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE other(x)")
    db.close()
    bad_start(args, rf"{database}: this is not a database of secure-chat; move it away, .*", state)


def test_second_server():
    """A second server on the same state directory ends with one line, and the first does not notice."""
    with h.Server() as server:
        before = h.snapshot(server.state)
        out, err = h.run([h.SERVER, "-d", server.state, "-l", "127.0.0.1", "0"], status=1)
        h.equal(out, "")
        h.match(rf"^chat-server: {server.state}: another chat-server \(pid {server.pid}\) runs on this state "
                r"directory; stop it, or name another directory with -d\n$", err)
        after = h.snapshot(server.state)
        h.equal(set(after), set(before))
        h.equal([after[n] for n in ("lock", "tls-key.pem")], [before[n] for n in ("lock", "tls-key.pem")])
        server.connect().close()
        server.ctl("status")


def test_bad_tls_files():
    """Keys that cannot be right stop the start: without key, readable by others, of another certificate, no PEM."""
    state = started_once()
    key, cert = os.path.join(state, "tls-key.pem"), os.path.join(state, "tls-cert.pem")
    args = ["-d", state, "-l", "127.0.0.1", "0"]
    good = h.read(key)
    os.chmod(key, 0o644)
    bad_start(args, rf"{key}: .*", state)
    os.unlink(key)
    bad_start(args, rf".*{key}.*", state)
    h.write(key, h.read(os.path.join(h.TOP, "tests", "fixtures", "tls-key.pem")), 0o600)
    bad_start(args, rf".*{cert}.*", state)
    h.write(key, "no key\n", 0o600)
    bad_start(args, rf"{key}: .*", state)
    h.write(key, good, 0o600)
    with h.Server(state=state):
        pass


def test_bad_state_directories():
    """A state directory that others may write to, or that is a file, is refused."""
    top = h.temp_dir()
    state = os.path.join(top, "state")
    os.mkdir(state)
    os.chmod(state, 0o770)
    bad_start(["-d", state, "-l", "127.0.0.1", "0"], rf"{state}: others may write to .*chmod 700 {state}", top)
    os.rmdir(state)
    h.write(state, "")
    bad_start(["-d", state, "-l", "127.0.0.1", "0"], rf"{state}: is not a directory; .*", top)
    bad_start(["-d", state + "/x", "-l", "127.0.0.1", "0"], rf"{state}/x: .*", top)


def ordinary_user(*folders):
    """What bad_start() needs to run as somebody whom modes bind: a program and folders of theirs."""
    if os.geteuid() != 0:
        return {}
    program = shutil.copy(h.SERVER, h.temp_dir())
    os.chmod(os.path.dirname(program), 0o755)
    for folder in folders:
        os.chown(folder, h.NOBODY, h.NOBODY)
    return {"program": program, "preexec_fn": h.as_nobody}


def test_what_this_user_may_not():
    """Files and folders that the server's user may not read or write are named."""
    top = h.temp_dir()
    user = ordinary_user(top)
    state, conf = os.path.join(top, "state"), h.write(os.path.join(top, "c.conf"), "", 0)
    listen = ["-l", "127.0.0.1", "0"]
    bad_start(["-d", state, "-c", conf, *listen], rf"{conf}: may not be read by this user; .*", top, **user)
    os.mkdir(state, 0o555)
    bad_start(["-d", state, *listen], rf"{state}: the state directory may not be written by this user .*", top, **user)
    bad_start(["-d", state + "/x", *listen], rf"{state}/x: the state directory cannot be made: .*", top, **user)
    os.rmdir(state)
    passwd = h.write(os.path.join(top, "passwd"), "", 0)
    bad_start(["-d", state, "-p", passwd, *listen], rf"{passwd}: .*", top, **user)
    os.unlink(passwd)
    log = h.write(os.path.join(top, "log"), "", 0o400)
    conf = h.write(os.path.join(top, "log.conf"), f"log_file = {log}\n")
    os.chmod(conf, 0o644)
    bad_start(["-d", state, "-c", conf, *listen], rf"{log}: the log may not be written: .*", top, **user)


def test_port_of_root():
    """A port below 1024 takes root."""
    top = h.temp_dir()
    user = ordinary_user(top)
    if int(h.read("/proc/sys/net/ipv4/ip_unprivileged_port_start")) <= 1023:
        raise h.Skip("here it does not")
    bad_start(["-d", os.path.join(top, "state"), "-l", "127.0.0.1", "1023"],
              r"cannot listen on 127\.0\.0\.1 port 1023: Permission denied; .*name a higher one", top, **user)


def test_bad_log_file():
    """A log that cannot be written stops the start."""
    top = h.temp_dir()
    conf = h.write(os.path.join(top, "c.conf"), f"log_file = {top}/none/log\n")
    bad_start(["-d", os.path.join(top, "state"), "-c", conf, "-l", "127.0.0.1", "0"],
              rf"{top}/none/log: the log cannot be made there: .*", top)


# ---- the end ----


def end_by(number, reason):
    with h.Server() as server:
        server.send_signal(number)
        h.equal(server.wait_exit(), 0)
        h.equal(server.log("stopping")[0]["reason"], reason)
        h.equal(server.log("stopped")[0]["reason"], reason)
        h.match(r"^\d+$", server.log("stopped")[0]["uptime_s"])


def test_sigterm():
    """SIGTERM ends it with 0."""
    end_by(signal.SIGTERM, "SIGTERM")


def test_sigint():
    """SIGINT ends it with 0."""
    end_by(signal.SIGINT, "SIGINT")


def test_end_with_connections():
    """Connections that say nothing do not hold up the end."""
    with h.Server() as server, server.connect() as one:
        h.equal(server.stop(), 0)
        one.settimeout(h.PATIENCE)
        h.check(select.select([one], [], [], h.PATIENCE)[0], "the peer sees the end")


# ---- limits ----


def test_connections_of_an_address():
    """More connections of an address than allowed are closed at once, and the log says so at most so often."""
    with h.Server(conf="connections_per_address = 2\n") as server:
        kept = [server.connect(), server.connect()]
        over = [server.connect() for _ in range(100)]
        for one in over:
            one.settimeout(h.PATIENCE)
            try:
                h.equal(one.recv(1), b"")
            except ConnectionResetError:
                pass
            one.close()
        hit = server.wait_log("limit_hit", limit="connections_per_address")
        h.match(r"^127\.0\.0\.1:\d+$", hit["addr"])
        h.check(len(server.log("limit_hit")) < 100, "not a line for each")
        # The two are still served: the server waits for their handshake.
        h.equal(select.select(kept, [], [], 0)[0], [])
        # When one has gone there is room again.
        kept[0].close()
        deadline = time.monotonic() + h.PATIENCE
        while not handshake(server):
            h.check(time.monotonic() < deadline, "no room after a connection has ended")
        kept[1].close()


def handshake(server):
    """Whether a TLS connection comes about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with server.connect() as raw, context.wrap_socket(raw) as tls:
            return tls.version() == "TLSv1.3"
    except OSError:
        return False


def open_files(pid):
    return [int(n) for n in h.match(r"Max open files +(\d+) +(\d+)", h.read(f"/proc/{pid}/limits")).groups()]


def test_open_files_are_raised():
    """It allows itself as many open files as its connections need."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 3000:
        raise h.Skip("the hard limit of open files is low here")

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

    with h.Server(conf="connections_max = 2000\n", preexec_fn=lower) as server:
        soft = open_files(server.pid)[0]
        h.check(2000 < soft < 3000, f"soft limit {soft}")
        server.stop()
        h.equal(server.log("open_files_short"), [])


def test_open_files_are_short():
    """Where it may not have as many, it says so and takes fewer connections."""

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))

    with h.Server(preexec_fn=lower) as server:
        short = server.wait_log("open_files_short")
        h.equal(short["allowed"], "1000")
        h.check(int(short["connections"]) < 1000, short)
        h.match(rf"connections_max={short['connections']}\n", server.ctl("--plain", "status")[0])


# ---- words ----


def test_version_and_help():
    """--version and --help print and end."""
    h.match(r"^chat-server \(secure-chat\) \d+\.\d+\.\d+\n$", h.run([h.SERVER, "--version"])[0])
    out, err = h.run([h.SERVER, "--help"])
    h.equal(err, "")
    for option in ("--config", "--state-dir", "--password-file", "--listen", "--check"):
        h.check(option in out, option)


if __name__ == "__main__":
    sys.exit(h.main())
