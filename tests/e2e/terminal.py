# SPDX-License-Identifier: GPL-3.0-or-later
"""A program on a terminal of the tests' own: keys go in, and what a person would see on the screen comes out.

    with Terminal([CLIENT, "-u", "alice", "localhost"]) as t:
        t.wait(r"password")
        t.type("secret\\r")
        t.wait_row(r"^ops> $")

The screen understands what programs send to a VT100; anything else fails the test.
"""

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import harness as h


class Screen:
    """Rows of characters, with those that scrolled away still at the top."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[]]
        self.x = self.y = 0  # y counts from the first line of all
        self._rest = ""

    def text(self):
        return ["".join(line).rstrip() for line in self.lines]

    def _put(self, char):
        if self.x >= self.columns:
            self.x = 0
            self._down()
        line = self.lines[self.y]
        line.extend(" " * (self.x + 1 - len(line)))
        line[self.x] = char
        self.x += 1

    def _down(self):
        self.y += 1
        if self.y == len(self.lines):
            self.lines.append([])

    def _top(self):
        return max(0, len(self.lines) - self.rows)

    def _sequence(self, final, args):
        n = int(args) if args.isdigit() else None
        line = self.lines[self.y]
        if final == "A":
            self.y = max(self._top(), self.y - (n or 1))
        elif final == "B":
            for _ in range(n or 1):
                self._down()
        elif final == "C":
            self.x = min(self.columns - 1, self.x + (n or 1))
        elif final == "D":
            self.x = max(0, self.x - (n or 1))
        elif final == "K" and not n:
            del line[self.x:]
        elif final == "J" and not n:
            del line[self.x:]
            del self.lines[self.y + 1:]
        elif final in "hlmr" or (final == "K" and n):
            pass  # modes, colours
        else:
            raise AssertionError(f"an escape sequence that the screen does not know: {args!r} {final!r}")

    def feed(self, text):
        text = self._rest + text
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                found = re.match(r"\x1b\[([0-9;?>]*)([A-Za-z@])|\x1b[=>78]|\x1b[()][A-Z0-9]", text[at:])
                if not found:
                    if len(text) - at < 16:
                        break
                    raise AssertionError(f"not an escape sequence: {text[at:at + 16]!r}")
                if found[2]:
                    self._sequence(found[2], found[1])
                at += found.end()
                continue
            if char == "\r":
                self.x = 0
            elif char == "\n":
                self._down()
            elif char == "\b":
                self.x = max(0, min(self.x, self.columns - 1) - 1)
            elif char == "\t":
                self.x = min(self.columns - 1, (self.x // 8 + 1) * 8)
            elif char >= " ":
                self._put(char)
            at += 1
        self._rest = text[at:]


class Terminal:
    """The program runs as the leader of a session with the terminal.  raw: all that came, as text."""

    def __init__(self, argv, rows=40, columns=100, env=None):
        self.argv, self.name = argv, os.path.basename(argv[0])
        self.screen = Screen(rows, columns)
        self.raw = ""
        self.out, self.err = [], []  # what the harness shows when the test fails
        self._bytes = b""
        self.status = None
        environ = dict(os.environ, TERM="vt100", LC_ALL="C.UTF-8", INPUTRC="/dev/null", TZ="UTC")
        environ.update(env or {})
        # A child of fork() must not come back into the harness, whatever happens.
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in (0, 1, 2):
                    os.dup2(slave, fd)
                os.closerange(3, 256)
                os.execve(argv[0], argv, environ)
            finally:
                os._exit(127)
        self.slave = slave  # kept open: its settings are looked at after the end
        self._pidfd = os.pidfd_open(self.pid)
        h.watch(self)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def resize(self, rows, columns):
        self.screen.rows, self.screen.columns = rows, columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def echo(self):
        """Whether what is typed is shown by the terminal itself."""
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def _read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            self._bytes += os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        text = self._bytes.decode("utf-8", "ignore")
        # A character that is not whole yet stays for the next time.
        for cut in range(4):
            try:
                text = self._bytes[:len(self._bytes) - cut].decode()
                self._bytes = self._bytes[len(self._bytes) - cut:]
                break
            except UnicodeDecodeError:
                continue
        self.raw += text
        self.screen.feed(text)
        self.out[:] = self.screen.text()
        return True

    def wait_until(self, found, what):
        deadline = time.monotonic() + h.PATIENCE
        while True:
            result = found()
            if result is not None:
                return result
            left = deadline - time.monotonic()
            if left <= 0 or not (self._read(min(left, 0.5)) or self.running()):
                result = found()
                if result is not None:
                    return result
                raise AssertionError(f"{self.name}: no {what}")

    def wait_row(self, pattern, start=0):
        """The match of the first row of the screen, from number `start` on, that has the pattern."""
        regex = re.compile(pattern)
        return self.wait_until(
            lambda: next((m for m in map(regex.search, self.screen.text()[start:]) if m), None),
            f"row like {pattern!r}")

    def wait_last(self, pattern):
        """Waits until the row of the cursor has the pattern."""
        regex = re.compile(pattern)
        return self.wait_until(lambda: regex.search(self.screen.text()[self.screen.y]),
                               f"row of the cursor like {pattern!r}")

    def rows(self, pattern):
        """All rows that have it."""
        return [row for row in self.screen.text() if re.search(pattern, row)]

    def send_signal(self, number):
        signal.pidfd_send_signal(self._pidfd, number)

    def running(self):
        return self._pidfd is not None and not select.select([self._pidfd], [], [], 0)[0]

    def wait_stopped(self):
        """Until a signal has stopped it."""
        self.wait_until(lambda: os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)[0] or None, "stop")

    def wait_exit(self):
        """The exit status; all that it wrote has come when this returns."""
        deadline = time.monotonic() + h.PATIENCE
        while self.running():
            self._read(0.1)
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not end")
        while self._read(0):
            pass
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def restored(self):
        """Whether the terminal is set as it was at the start."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self._pidfd is not None:
            if self.running():
                self.send_signal(signal.SIGKILL)
            self.wait_exit()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
