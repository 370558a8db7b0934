#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chat-passwd(1), end to end: the real program, on a pipe and on a terminal.  TAP on standard output."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import traceback

TOP = os.environ.get("abs_top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("abs_top_builddir", TOP)
PROGRAM = os.path.join(BUILD, "src", "tools", "chat-passwd")
PATIENCE = 60  # seconds until a program that says nothing is taken for hung

# For the password "pw", made by libcrypt; yescrypt is what chat-passwd makes itself.
DES = "IpfJRRlgBPGWs"
MD5 = "$1$Uec6l/S9$n1R45B4XvEGMRz1toEZm80"
YESCRYPT = r"\$y\$j9T\$[./A-Za-z0-9]{22,}\$[./A-Za-z0-9]{43}"

# SHA-256 of the public key in tests/fixtures/tls-cert.pem, by openssl.
FINGERPRINT = "380fd805c8957c945ee480fe1495d0e4cab0e6c6e69ad7befaf5f0ccf3d63807"


class Skip(Exception):
    pass


def eq(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def match(pattern, text):
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(f"nothing like {pattern!r} in {text!r}")
    return found


class Case:
    """A temporary directory, and the program run in it."""

    def __init__(self, directory):
        self.dir = directory
        self.state = os.path.join(directory, "state")
        self.file = os.path.join(directory, "passwd")

    def run(self, *args, stdin="", status=0, stdout=None, no_prefix=False, **more):
        """Runs with a pipe for standard input and no terminal; returns (standard output, standard error)."""
        done = subprocess.run([PROGRAM, *args], input=stdin.encode("utf-8", "surrogateescape"),
                              stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir,
                              start_new_session=True, timeout=PATIENCE, check=False, **more)
        out, err = (done.stdout or b"").decode(), done.stderr.decode()
        if done.returncode != status:
            raise AssertionError(f"{args}: status {done.returncode}, expected {status}: {out!r} {err!r}")
        for line in err.splitlines():
            if not no_prefix:  # getopt(3) puts the path of the program there
                match(r"^chat-passwd: ", line)
        return out, err

    def on(self, *args, **more):
        """The same on self.file, with the password from standard input."""
        return self.run("-f", self.file, "--stdin", *args, **more)

    def text(self, path=None):
        with open(path or self.file, encoding="utf-8") as f:
            return f.read()

    def put(self, text, mode=0o600):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.file, mode)


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *args):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execv(PROGRAM, [PROGRAM, *args])
            finally:
                os._exit(127)

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def read(self):
        """More of what it says; False at its end."""
        ready, _, _ = select.select([self.fd], [], [], PATIENCE)
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"nothing more after {self.seen!r}")
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # EIO: the other side is closed
            data = b""
        self.seen += data.decode()
        return data != b""

    def wait_for(self, text):
        """Until text was said, behind what was waited for before."""
        while text not in self.seen:
            if not self.read():
                raise AssertionError(f"it ended without {text!r}: {self.seen!r}")
        said, self.seen = self.seen.split(text, 1)
        return said

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """The wait status of waitpid(2), and the rest of what it said."""
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return status, self.seen


TESTS = []


def test(function):
    TESTS.append(function)
    return function


@test
def add_makes_directory_and_file(t):
    out, err = t.run("-d", t.state, "--stdin", "add", "alice", stdin="correct horse\n")
    eq(err, "")
    eq(os.stat(t.state).st_mode & 0o7777, 0o700)
    eq(os.stat(t.state + "/passwd").st_mode & 0o7777, 0o600)
    eq(os.listdir(t.state), ["passwd"])
    match(rf"\Aalice:{YESCRYPT}:id=[0-9a-f]{{16}}\n\Z", t.text(t.state + "/passwd"))
    match(r"(?m)^chat-client -u alice \S+ 8820$", out)
    t.run("-d", t.state, "--stdin", "verify", "alice", stdin="correct horse\n")


@test
def add_in_a_new_directory_of_the_file_does_not_guess(t):
    path = os.path.join(t.dir, "no such", "passwd")
    _, err = t.run("-f", path, "--stdin", "add", "alice", stdin="pw\n", status=1)
    mend = match(r"no such directory; type: (mkdir .*)$", err.strip()).group(1)
    subprocess.run(mend, shell=True, check=True)
    t.run("-f", path, "--stdin", "add", "alice", stdin="pw\n")
    eq(os.stat(path).st_mode & 0o7777, 0o600)


@test
def default_directory_of_a_user(t):
    user = {"user": 54321, "group": 54321, "extra_groups": []} if os.geteuid() == 0 else {}
    home = os.path.join(t.dir, "home")
    os.mkdir(home)
    if user:
        os.chmod(t.dir, 0o755)
        os.chown(home, 54321, 54321)
        try:
            subprocess.run([PROGRAM, "--version"], stdout=subprocess.DEVNULL, check=True, **user)
        except (PermissionError, subprocess.CalledProcessError) as e:
            raise Skip("another user cannot run the program here") from e
    env = {k: v for k, v in os.environ.items() if k != "XDG_STATE_HOME"} | {"HOME": home}
    t.run("--stdin", "add", "alice", stdin="pw\n", env=env, **user)
    match(r"\Aalice:", t.text(home + "/.local/state/secure-chat/passwd"))
    t.run("--stdin", "add", "bob", stdin="pw\n", env=env | {"XDG_STATE_HOME": home + "/xdg"}, **user)
    match(r"\Abob:", t.text(home + "/xdg/secure-chat/passwd"))
    eq(os.stat(home + "/xdg/secure-chat").st_mode & 0o7777, 0o700)


@test
def add_prints_fingerprint_host_and_port(t):
    os.mkdir(t.state, 0o700)
    for name in ("tls-key.pem", "tls-cert.pem"):
        shutil.copy(os.path.join(TOP, "tests", "fixtures", name), t.state)
    os.chmod(t.state + "/tls-key.pem", 0o600)
    args = ("--stdin", "--host", "chat.example", "--port", "99")
    line = f"chat-client -u %s --fingerprint {FINGERPRINT} chat.example 99"
    out, _ = t.run("-d", t.state, *args, "add", "alice", stdin="pw\n")
    eq(out.splitlines()[-1], line % "alice")
    # The directory of -f is the state directory, unless there is a -d.
    out, _ = t.run("-f", t.state + "/passwd", *args, "add", "bob", stdin="pw\n")
    eq(out.splitlines()[-1], line % "bob")
    out, _ = t.run("-f", t.file, "-d", t.state, *args, "add", "carol", stdin="pw\n")
    eq(out.splitlines()[-1], line % "carol")
    # A certificate that cannot be read is said, and does not keep the account out.
    with open(t.state + "/tls-cert.pem", "w", encoding="ascii") as f:
        f.write("nothing\n")
    out, err = t.run("-d", t.state, *args, "add", "dora", stdin="pw\n")
    eq(out.splitlines()[-1], "chat-client -u dora chat.example 99")
    match("tls-cert.pem", err)


@test
def a_terminal_is_asked_twice_without_echo(t):
    tty = Terminal("-f", t.file, "add", "alice")
    tty.wait_for("New password for alice: ")
    eq(tty.echoes(), False)
    tty.type("correct horse\n")
    tty.wait_for("The same password again for alice: ")
    eq(tty.echoes(), False)
    tty.type("correct horse\n")
    status, rest = tty.end()
    eq(status, 0)
    match("chat-client -u alice ", rest)
    eq("correct" in rest, False)
    t.on("verify", "alice", stdin="correct horse\n")

    tty = Terminal("-f", t.file, "verify", "alice")
    tty.wait_for("Password for alice: ")
    tty.type("correct horse\n")
    status, rest = tty.end()
    eq(status, 0)
    match("is right", rest)


@test
def two_that_differ_change_nothing(t):
    t.on("add", "alice", stdin="old\n")
    before = t.text()
    tty = Terminal("-f", t.file, "passwd", "alice")
    tty.wait_for("New password for alice: ")
    tty.type("new one\n")
    tty.wait_for("again for alice: ")
    tty.type("new two\n")
    status, rest = tty.end()
    eq(os.waitstatus_to_exitcode(status), 1)
    match("not the same; nothing was changed", rest)
    eq(t.text(), before)

    # One that will not do is refused before it is asked for again.
    tty = Terminal("-f", t.file, "passwd", "alice")
    tty.wait_for("New password for alice: ")
    tty.type("\n")
    status, rest = tty.end()
    eq(os.waitstatus_to_exitcode(status), 1)
    match("an empty password will not do", rest)
    eq(t.text(), before)


@test
def interrupted_it_leaves_file_and_terminal_as_they_were(t):
    # Under a shell, as the terminal is closed with the last program on it.
    script = f'"{PROGRAM}" -f "{t.file}" add alice; echo "status=$?"; read line'
    pid, fd = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv("/bin/sh", ["sh", "-c", f"trap : INT; {script}"])
    tty = Terminal.__new__(Terminal)
    tty.seen, tty.pid, tty.fd = "", pid, fd
    tty.wait_for("New password for alice: ")
    eq(tty.echoes(), False)
    # The newline is for a signal that comes before it reads: readpassphrase(3) looks at signals after a line.
    tty.type("half a pass\x03\n")
    tty.wait_for("status=130")
    eq(tty.echoes(), True)
    tty.type("\n")
    tty.end()
    eq(os.path.exists(t.file), False)


@test
def without_a_terminal_it_says_how(t):
    _, err = t.run("-f", t.file, "add", "alice", status=1)
    match("no terminal .* --stdin", err)
    eq(os.path.exists(t.file), False)


@test
def passwords_that_will_not_do(t):
    for password, part in (("", "no line"), ("\n", "empty"), ("a\tb\n", "control characters"), ("\udcff\n", "UTF-8"),
                           ("a\0b\n", "control characters"), ("x" * 512 + "\n", "longer than 511 bytes"),
                           ("x" * 100000, "longer than 511 bytes")):
        try:
            _, err = t.on("add", "alice", stdin=password, status=1)
        except BrokenPipeError:
            continue  # it had read enough
        match(part, err)
        eq(os.path.exists(t.file), False)


@test
def passwords_at_the_edges(t):
    t.on("add", "longest", stdin="x" * 511 + "\n")
    t.on("verify", "longest", stdin="x" * 511 + "\n")
    t.on("verify", "longest", stdin="x" * 510 + "\n", status=1)
    t.on("verify", "longest", stdin="x" * 512 + "\n", status=1)
    t.on("add", "unended", stdin="a b")  # a line without its newline
    t.on("verify", "unended", stdin="a b\nwhat follows does not count\n")
    t.on("verify", "unended", stdin="a b \n", status=1)
    t.on("add", "umlaut", stdin="\u00e4\U0001f511\n")
    t.on("verify", "umlaut", stdin="\u00e4\U0001f511\n")


@test
def passwd_keeps_everything_but_the_hash(t):
    t.put(f"# one\nalice:{DES}:locked,id=0123456789abcdef\n\nbob:{MD5}\n# two")
    out, err = t.on("passwd", "alice", stdin="new\n")
    eq((out, err), ("alice has the new password.\n", ""))
    match(rf"\A# one\nalice:{YESCRYPT}:locked,id=0123456789abcdef\n\nbob:{re.escape(MD5)}\n# two\Z", t.text())
    t.on("passwd", "bob", stdin="new\n")
    match(rf"\nbob:{YESCRYPT}\n# two\Z", t.text())
    t.on("verify", "bob", stdin="new\n")


@test
def lock_unlock_and_list(t):
    t.put(f"# office\nalice:{DES}:id=0123456789abcdef\nb.o-b_2:{MD5}\n")
    eq(t.on("lock", "alice"), ("alice is locked.\n", ""))
    eq(t.on("lock", "alice"), ("alice is locked already.\n", ""))
    eq(t.on("lock", "b.o-b_2")[0], "b.o-b_2 is locked.\n")
    eq(t.text(), f"# office\nalice:{DES}:locked,id=0123456789abcdef\nb.o-b_2:{MD5}:locked\n")
    _, err = t.on("verify", "alice", stdin="pw\n", status=1)
    match("alice is locked", err)
    eq(t.on("unlock", "b.o-b_2")[0], "b.o-b_2 is unlocked.\n")
    eq(t.on("unlock", "b.o-b_2")[0], "b.o-b_2 is unlocked already.\n")
    eq(t.on("list")[0], "alice    locked  descrypt\nb.o-b_2  active  md5crypt\n")
    t.on("unlock", "alice")
    eq(t.text(), f"# office\nalice:{DES}:id=0123456789abcdef\nb.o-b_2:{MD5}\n")


@test
def verify_tells_by_its_status(t):
    t.put(f"alice:{DES}\nbob:{MD5}\n")
    for name in ("alice", "bob"):
        eq(t.on("verify", name, stdin="pw\n")[0], f"The password of {name} is right.\n")
        _, err = t.on("verify", name, stdin="wp\n", status=1)
        match(f"wrong password for {name}", err)
    _, err = t.on("verify", "carol", stdin="pw\n", status=1)
    match("no account 'carol'", err)
    eq(t.text(), f"alice:{DES}\nbob:{MD5}\n")


@test
def deleted_and_added_it_is_another_account(t):
    t.on("add", "alice", stdin="pw\n")
    first = match("id=([0-9a-f]{16})", t.text()).group(1)
    eq(t.on("del", "alice")[0], "alice is deleted.\n")
    eq(t.text(), "")
    eq(t.on("list")[0], "")
    t.on("add", "alice", stdin="pw\n")
    eq(match("id=([0-9a-f]{16})", t.text()).group(1) != first, True)


@test
def what_is_not_there_and_what_is(t):
    for command in ("passwd", "lock", "unlock", "del", "verify", "list"):
        args = () if command == "list" else ("alice",)
        _, err = t.on(command, *args, stdin="pw\n", status=1)
        match(re.escape(t.file) + ": no such file", err)
    eq(os.path.exists(t.file), False)
    t.on("add", "alice", stdin="pw\n")
    before = t.text()
    for command in ("passwd", "lock", "unlock", "del", "verify"):
        _, err = t.on(command, "bob", stdin="pw\n", status=1)
        match("no account 'bob'", err)
    _, err = t.on("add", "alice", stdin="pw\n", status=1)
    match("there is an account 'alice'; for a new password: chat-passwd -f .* passwd alice", err)
    for name in ("Alice", "al ice", "-", ".a", "a:b", "", "x" * 65, "a\nb", "\u00e4"):
        _, err = t.on("add", "--", name, stdin="pw\n", status=1)
        match("cannot be an account's name", err)
    eq(t.text(), before)


@test
def a_file_that_others_can_read(t):
    for mode in (0o640, 0o604, 0o620):
        t.put(f"alice:{DES}\n", mode)
        for command in (("list",), ("lock", "alice"), ("add", "bob"), ("verify", "alice")):
            _, err = t.on(*command, stdin="pw\n", status=1)
            mend = match(r"type: (chmod 600 .*)$", err.strip()).group(1)
        eq(t.text(), f"alice:{DES}\n")
        subprocess.run(mend, shell=True, check=True)
        t.on("list")


@test
def a_file_that_does_not_parse(t):
    broken = f"alice:{DES}\nbob\n"
    t.put(broken)
    for command in (("list",), ("lock", "alice"), ("add", "carol"), ("passwd", "alice"), ("verify", "alice")):
        _, err = t.on(*command, stdin="pw\n", status=1)
        match(re.escape(t.file) + ":2: no ':' in the line", err)
    eq(t.text(), broken)


@test
def wrong_usage(t):
    for args, part in (((), "no command"), (("frob",), "no command 'frob'"), (("add",), "name is missing"),
                       (("list", "alice"), "too many"), (("add", "alice", "secret"), "too many arguments"),
                       (("--port", "abc", "list"), "no port"), (("--port", "65536", "list"), "no port"),
                       (("--frob", "list"), None), (("list", "-f"), None)):
        _, err = t.run(*args, status=2, no_prefix=True)
        match("see: chat-passwd --help", err)
        match(part or "option", err)
        eq("secret" in err, False)
    eq(os.listdir(t.dir), [])
    out, _ = t.run("--help")
    for command in ("add", "passwd", "lock", "unlock", "del", "verify", "list"):
        match(rf"(?m)^  {command} ", out)
    match(r"\Achat-passwd \(secure-chat\) \d", t.run("--version")[0])


@test
def the_manual_is_right(t):
    def page(name):
        return t.text(os.path.join(TOP, "man", name))
    example = match(r"(?s)\n\.Sh EXAMPLES\n\.Bd [^\n]*\n(.*?)\n\.Ed\n", page("chat-passwd.5")).group(1)
    t.put(example + "\n")
    eq(t.on("list")[0], "alice  active  yescrypt\nbob    locked  md5crypt\n")
    t.on("verify", "alice", stdin="pw\n")
    out, _ = t.run("--help")
    for option in re.findall(r"--([a-z-]+)", out):
        match(rf"\bFl -{option}\b", page("chat-passwd.1"))
    for command in re.findall(r"(?m)^  ([a-z]+) ", out):
        match(rf"(?m)^\.It Cm {command}\b", page("chat-passwd.1"))


@test
def output_that_cannot_be_written(t):
    t.put(f"alice:{DES}\n")
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "w", encoding="ascii") as full:
        _, err = t.on("list", status=1, stdout=full)
    match("standard output cannot be written", err)


@test
def many_at_once_lose_nothing(t):
    names = [f"user{i}" for i in range(12)]
    running = []
    for name in names:
        p = subprocess.Popen([PROGRAM, "-f", t.file, "--stdin", "add", name], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        running.append(p)
    for p in running:
        out, _ = p.communicate(b"pw\n", timeout=PATIENCE)
        if p.returncode != 0:
            raise AssertionError(out.decode())
    listed = [line.split()[0] for line in t.on("list")[0].splitlines()]
    eq(sorted(listed), sorted(names))
    eq(os.listdir(t.dir), ["passwd"])


def main():
    print(f"1..{len(TESTS)}")
    failed = 0
    for number, function in enumerate(TESTS, 1):
        name = function.__name__
        try:
            with tempfile.TemporaryDirectory(prefix="chat-passwd-") as directory:
                function(Case(directory))
            print(f"ok {number} - {name}")
        except Skip as e:
            print(f"ok {number} - {name} # SKIP {e}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
