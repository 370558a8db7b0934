# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end-to-end tests share: real programs, started and watched, in a directory that goes away.

A test program is a file of functions test_*; they run in the order in which they stand there:

    import sys
    import harness as h

    def test_something():
        '''What is promised, in a line: it is printed.'''
        with h.Server(accounts={"alice": "secret"}) as server:
            server.wait_log("login", account="alice")
            h.equal(server.stop(), 0)

    sys.exit(h.main())

Nothing sleeps: a test waits for a line, an exit or a file descriptor, at most PATIENCE seconds.  What a test
started is killed, by its pid, when the test ends however it ends; a failed test shows what they all said.
A test that needs what the machine lacks raises h.Skip("why").
"""

import hashlib
import inspect
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.environ.get("abs_top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("abs_top_builddir", TOP)
SANITIZER = os.environ.get("CHAT_SANITIZER", "no")
# Seconds until something that says nothing is taken for hung; a loaded machine with a sanitizer is slow.
PATIENCE = 60 if SANITIZER == "no" else 180

SERVER = os.path.join(BUILD, "src", "server", "chat-server")
CLIENT = os.path.join(BUILD, "src", "client", "chat-client")
PASSWD = os.path.join(BUILD, "src", "tools", "chat-passwd")
CHATCTL = os.path.join(BUILD, "src", "tools", "chatctl")


class Skip(Exception):
    """The machine lacks what the test needs."""


# ---- saying what was expected ----


SHOWN = 4000  # characters of a value in a message


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}{': ' if what else ''}got {got!r:.{SHOWN}}, expected {expected!r:.{SHOWN}}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def match(pattern, text):
    """The match object of the pattern, found anywhere in the text."""
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(f"nothing like {pattern!r} in {text!r:.{SHOWN}}")
    return found


# ---- files ----

_dirs = []


def temp_dir():
    """A fresh directory, removed when the test ends."""
    path = tempfile.mkdtemp(prefix="chat-e2e-")
    _dirs.append(path)
    return path


def read(path, mode="r"):
    with open(path, mode, encoding=None if "b" in mode else "utf-8") as f:
        return f.read()


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def mode_of(path):
    return os.stat(path).st_mode & 0o7777


def snapshot(path):
    """Everything below path with type and mode, owner, and a hash of its bytes: to be compared with another one."""
    result = {}
    for root, dirs, files in os.walk(path):
        for name in dirs + files:
            full = os.path.join(root, name)
            st = os.lstat(full)
            digest = hashlib.sha256(read(full, "rb")).hexdigest() if os.path.isfile(full) else None
            result[os.path.relpath(full, path)] = (oct(st.st_mode), st.st_uid, st.st_gid, digest)
    return result


# ---- programs ----


def run(argv, stdin="", status=0, timeout=None, **more):
    """Runs a program to its end; (standard output, standard error).  status None: any."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True, timeout=timeout or PATIENCE, check=False, **more)
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if status is not None and done.returncode != status:
        raise AssertionError(f"{argv}: status {done.returncode}, expected {status}: {out!r} {err!r}")
    return out, err


NOBODY = 65534


def as_nobody():
    """A preexec_fn for tests of root: an ordinary user, who owns nothing."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


_processes = []


def watch(process):
    """Something else that a test started: it has close(), and argv, out and err to show when the test fails."""
    _processes.append(process)


class Process:
    """A running program.  Its lines are kept as they come: self.out and self.err, lists of strings."""

    def __init__(self, argv, name=None, **more):
        self.name = name or os.path.basename(argv[0])
        self.argv = argv
        self.out, self.err = [], []
        self._news = threading.Condition()
        self._open = 2
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, start_new_session=True, **more)
        self.pid = self.popen.pid
        self._pidfd = os.pidfd_open(self.pid)
        _processes.append(self)
        self._threads = [threading.Thread(target=self._follow, args=pair, daemon=True)
                         for pair in ((self.popen.stdout, self.out), (self.popen.stderr, self.err))]
        for thread in self._threads:
            thread.start()

    def _follow(self, stream, lines):
        for line in stream:
            with self._news:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._open -= 1
            self._news.notify_all()

    def wait_until(self, found, what, patience=None):
        """Calls found() at every new line until it gives something; that.  The program's end ends the wait."""
        deadline = time.monotonic() + (patience or PATIENCE)
        with self._news:
            while True:
                result = found()
                if result is not None:
                    return result
                if self._open == 0:
                    raise AssertionError(f"{self.name} ended before {what}")
                if not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{self.name}: no {what} in time")

    def wait_line(self, pattern, lines=None, start=0):
        """The match of the first line, from number `start` on, of self.out (or `lines`) that has the pattern."""
        lines = self.out if lines is None else lines
        regex = re.compile(pattern)

        def found():
            return next((m for m in map(regex.search, lines[start:]) if m), None)

        return self.wait_until(found, f"line like {pattern!r}")

    def send_line(self, text):
        self.popen.stdin.write(text.encode() + b"\n")
        self.popen.stdin.flush()

    def send_signal(self, number):
        signal.pidfd_send_signal(self._pidfd, number)

    def wait_exit(self, patience=None):
        """The exit status, negative for a signal; all its lines have come when this returns."""
        if self._pidfd is not None:
            if not select.select([self._pidfd], [], [], patience or PATIENCE)[0]:
                raise AssertionError(f"{self.name} does not end")
            os.close(self._pidfd)
            self._pidfd = None
        status = self.popen.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        return status

    def running(self):
        return self._pidfd is not None and not select.select([self._pidfd], [], [], 0)[0]

    def terminate(self, number=signal.SIGTERM):
        if self.running():
            self.send_signal(number)
        return self.wait_exit()

    def close(self):
        """Ends it however that goes.  Called at the end of the test."""
        if self._pidfd is not None:
            if self.running():
                self.send_signal(signal.SIGKILL)
            self.wait_exit()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            try:
                stream.close()
            except OSError:  # what was not yet written to a program that ended
                pass

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()


# ---- the server ----


def add_account(passwd_file, name, password):
    """Adds it with chat-passwd(1); the line that it prints for the new user."""
    return run([PASSWD, "-f", passwd_file, "--stdin", "add", name], stdin=password + "\n")[0]


_PAIR = re.compile(r' ([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|\S*)')


def log_fields(line):
    """A line of the log: (level, event, {key: value}); None for one that is not of that form."""
    found = re.match(r"\S+T\S+Z (error|warn|info|debug) ([a-z_0-9]+)", line)
    if found is None:
        return None
    fields = {}
    for key, value in _PAIR.findall(line[found.end():]):
        fields[key] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return found[1], found[2], fields


class Server(Process):
    """chat-server on a free port of 127.0.0.1, with a state directory of its own; ready when this returns.

    accounts: {name: password}; conf: text of a configuration file; state: an existing state directory.
    Attributes: port, address, fingerprint, state, passwd_file, and those of Process.
    """

    def __init__(self, accounts=None, conf=None, state=None, args=(), port=0, wait=True, env=None, **more):
        self.state = state or os.path.join(temp_dir(), "state")
        self.passwd_file = os.path.join(self.state, "passwd")
        if accounts:
            os.makedirs(self.state, mode=0o700, exist_ok=True)
            for name, password in accounts.items():
                add_account(self.passwd_file, name, password)
        argv = [SERVER, "-d", self.state, "-l", "127.0.0.1", *args]
        self.conf = None
        if conf is not None:
            self.conf = write(os.path.join(temp_dir(), "chat-server.conf"), conf)
            argv += ["-c", self.conf]
        environ = dict(os.environ)
        environ.pop("NOTIFY_SOCKET", None)
        environ.update(env or {})
        super().__init__(argv + [str(port)], env=environ, **more)
        self.port = self.address = self.fingerprint = None
        if wait:
            self.wait_ready()

    def wait_ready(self):
        found = self.wait_line(r"^listening on (\S+):(\d+)\b.* fingerprint ([0-9a-f]{64})$")
        self.address, self.port, self.fingerprint = found[1], int(found[2]), found[3]

    def log(self, event=None, **fields):
        """The lines of the log of that event with these fields, as dictionaries; values are strings.

        All that were read so far: that a line is not there, only a server that has ended can tell.
        """
        result = []
        for line in list(self.err):
            parsed = log_fields(line)
            if parsed is None or (event is not None and parsed[1] != event):
                continue
            if all(parsed[2].get(key) == str(value) for key, value in fields.items()):
                result.append(dict(parsed[2], level=parsed[0], event=parsed[1]))
        return result

    def wait_log(self, event, after=0, **fields):
        """The first such line, behind the first `after` ones of its kind, as soon as it is there."""

        def found():
            lines = self.log(event, **fields)
            return lines[after] if len(lines) > after else None

        return self.wait_until(found, f"log line {event} {fields}")

    def reload(self):
        """SIGHUP; returns when the server has done what it says."""
        before = len(self.log("reloaded")) + len(self.log("reload_refused"))
        self.send_signal(signal.SIGHUP)
        return self.wait_until(lambda: (self.log("reloaded") + self.log("reload_refused"))[before:] or None,
                               "answer to SIGHUP")[0]

    def stop(self):
        """SIGTERM; the exit status."""
        return self.terminate()

    def __exit__(self, kind, value, trace):
        # Every server ends well, or the test has failed: a sanitizer's complaint is another status.
        if kind is None and self.running():
            equal(self.stop(), 0, "status of the server")
        super().__exit__(kind, value, trace)

    def connect(self):
        """A plain TCP connection to it."""
        return socket.create_connection((self.address, self.port), timeout=PATIENCE)

    def ctl(self, *args, status=0, **more):
        """chatctl(8) on it: (standard output, standard error)."""
        return run([CHATCTL, "-d", self.state, *args], status=status, **more)


# ---- the client ----


class Client(Process):
    """chat-client --json: commands go in and events come out, a JSON object in each line.

    Without `data` it is a new machine of the user.  Attributes: events (all that came so far), data.
    """

    def __init__(self, server, user, password=None, data=None, args=(), port=None, **more):
        self.data = data or os.path.join(temp_dir(), "data")
        argv = [CLIENT, "--json", "--accept-new", "--data-dir", self.data, "-u", user, *args]
        if password is not None:
            argv += ["--password-file", write(os.path.join(temp_dir(), "password"), password + "\n", 0o600)]
        super().__init__(argv + [server.address, str(port or server.port)], name=f"chat-client {user}", **more)

    @property
    def events(self):
        return [json.loads(line) for line in list(self.out)]

    def command(self, **fields):
        self.send_line(json.dumps(fields))

    def wait_event(self, after=0, **fields):
        """The first event, from number `after` on, that has all these fields with these values."""

        def found():
            return next((event for event in self.events[after:]
                         if all(event.get(key) == value for key, value in fields.items())), None)

        return self.wait_until(found, f"event {fields}")


# ---- running the tests ----


def _cleanup():
    while _processes:
        _processes.pop().close()
    while _dirs:
        shutil.rmtree(_dirs.pop(), ignore_errors=True)


def _print_comment(text):
    for line in text.splitlines():
        print("# " + line)


def _show_processes():
    for process in _processes:
        _print_comment(f"--- {' '.join(process.argv)}")
        for title, lines in (("out", process.out), ("err", process.err)):
            for line in lines[-100:]:
                _print_comment(f"{title}: {line}")


def main():
    """Runs the test_* functions of the calling file, or those named on the command line.  TAP; exit status."""
    module = inspect.getmodule(inspect.stack()[1][0])
    tests = [f for name, f in vars(module).items() if name.startswith("test_") and callable(f)]
    if len(sys.argv) > 1:
        tests = [f for f in tests if f.__name__ in sys.argv[1:]]
    if not os.path.exists(SERVER):
        print(f"Bail out! {SERVER} is not built; abs_top_builddir is not set?")
        return 1
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, function in enumerate(tests, 1):
        name = function.__name__[len("test_"):]
        if function.__doc__:
            name += ": " + " ".join(function.__doc__.split()).rstrip(".").replace("#", "number ")
        result = f"ok {number} - {name}"
        try:
            function()
        except Skip as why:
            result += f" # SKIP {why}"
        except BaseException as error:  # pylint: disable=broad-except
            failed += 1
            result = "not " + result
            # From the test's own line on.
            trace = error.__traceback__.tb_next or error.__traceback__
            _print_comment("".join(traceback.format_exception(type(error), error, trace)))
            # What it did when the test gave up, not what it says on being killed.
            _show_processes()
            if isinstance(error, KeyboardInterrupt):
                sys.exit(1)
        finally:
            _cleanup()
        print(result, flush=True)
    return 1 if failed else 0
