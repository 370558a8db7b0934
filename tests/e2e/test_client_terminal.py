#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""chat-client on a terminal: what a person types and sees."""

import os
import re
import signal
import sys

import harness as h
from terminal import Terminal

ACCOUNTS = {"alice": "alice-secret", "bob": "bob-secret"}


def client(server, user, *args, data=None, **more):
    """chat-client on a new terminal; its data directory is .data."""
    data = data or os.path.join(h.temp_dir(), "data")
    t = Terminal([h.CLIENT, "-u", user, "--data-dir", data, *args, server.address, str(server.port)], **more)
    t.data = data
    return t


def alice_at_home(server, *args, **more):
    """alice, logged in, with an empty line to type on."""
    t = client(server, "alice", "--accept-new", *args, **more)
    t.wait_last(r"^Password of alice at 127\.0\.0\.1:$")
    t.type(ACCOUNTS["alice"] + "\r")
    t.wait_last(r"^>$")
    return t


def bob_with(server, t, room="ops"):
    """alice makes a room and invites bob, who accepts: he is a JSON client."""
    bob = h.Client(server, "bob", password=ACCOUNTS["bob"])
    bob.wait_event(event="synced")
    t.type(f"/create {room}\r")
    t.wait_last(rf"^{room}>$")
    t.type("/invite bob\r")
    t.wait_row(rf"\[{room}\] -- you invited bob$")
    bob.wait_event(event="invited", label=room)
    bob.command(cmd="accept", room=room, id="accept")
    h.equal(bob.wait_event(event="done", id="accept")["err"], "ok")
    t.wait_row(rf"\[{room}\] -- bob joined$")
    return bob


def bob_says(bob, text, room="ops"):
    bob.command(cmd="send", room=room, text=text, id=text)
    h.equal(bob.wait_event(event="done", id=text)["err"], "ok")


def test_first_contact():
    """The fingerprint is shown and asked about, the password is not seen, and the second time neither is asked."""
    with h.Server(accounts=ACCOUNTS) as server:
        with client(server, "alice") as t:
            t.wait_last(r"^Is it the same\? \(yes/no\)$")
            h.equal(len(t.rows(rf"^ +{server.fingerprint}$")), 1, "the fingerprint that the server printed")
            h.check(t.echo(), "what is answered is seen")
            t.type("perhaps\r")
            t.wait_last(r"^Please type yes or no:$")
            t.type("Yes\r")
            t.wait_last(r"^Password of alice at 127\.0\.0\.1:$")
            h.check(not t.echo(), "what is typed now is not seen")
            t.type("alice-secret\r")
            t.wait_last(r"^>$")
            t.wait_row(r"^\d\d:\d\d -- logged in$")
            h.equal(t.rows("alice-secret"), [])
            t.type("/quit\r")
            h.equal(t.wait_exit(), 0)
            h.check(t.restored(), "the terminal is as it was")
        with client(server, "alice", data=t.data) as again:
            again.wait_last(r"^>$")
            h.equal(again.rows("yes/no|Password"), [])
            again.type("\x04")
            h.equal(again.wait_exit(), 0)
            h.check(again.restored(), "the terminal is as it was")


def test_a_server_that_is_not_the_right_one():
    with h.Server(accounts=ACCOUNTS) as server:
        with client(server, "alice") as t:
            t.wait_last(r"yes/no\)$")
            t.type("no\r")
            h.equal(t.wait_exit(), 3)
            t.wait_row(r"^chat-client: the server is not trusted$")
        with client(server, "alice", data=t.data) as again:
            again.wait_last(r"yes/no\)$")
            again.type("\x04")
            h.equal(again.wait_exit(), 3)


def test_wrong_passwords():
    """Three tries, then exit 4, and none of them is seen."""
    with h.Server(accounts=ACCOUNTS) as server:
        with client(server, "alice", "--accept-new") as t:
            for i in range(3):
                t.wait_until(lambda n=i + 1: t.raw.count("Password of alice") >= n or None, "question")
                t.type(f"wrong{i}\r")
            h.equal(t.wait_exit(), 4)
            h.equal(len(t.rows(r"^The account or the password is not right\.$")), 2)
            t.wait_row(r"^chat-client: the account or the password is not right$")
            h.equal(t.rows("wrong"), [])
            h.check(t.restored(), "the terminal is as it was")


def test_lines_come_while_one_is_typed():
    """What others say appears above what is being typed, which stays whole and editable."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        t.type("hello wrld")
        t.wait_last(r"^ops> hello wrld$")
        for i in range(5):
            bob_says(bob, f"line {i}")
        t.wait_row(r"<bob> line 4$")
        t.wait_last(r"^ops> hello wrld$")
        # Three to the left, and the letter that is missing.
        t.type("\x1b[D\x1b[D\x1b[Do")
        t.wait_last(r"^ops> hello world$")
        bob_says(bob, "in between")
        t.wait_row(r"<bob> in between$")
        t.type(", all\x05!\r")
        bob.wait_event(event="message", text="hello wo, allrld!")
        t.wait_row(r"^\d\d:\d\d \[ops\] <alice> hello wo, allrld!$")
        t.wait_last(r"^ops>$")
        # Each line once, in order, and nothing of the typing is left over.
        said = [re.sub(r"^\d\d:\d\d \[ops\] ", "", row) for row in t.rows(r"<(alice|bob)>")]
        h.equal(said, [f"<bob> line {i}" for i in range(5)] + ["<bob> in between", "<alice> hello wo, allrld!"])
        h.equal(t.rows("ops> "), [])


def test_a_line_longer_than_the_screen():
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server, columns=40) as t:
        bob = bob_with(server, t)
        words = "a line that is longer than forty columns, and then some more of it"
        t.type(words)
        t.wait_until(lambda: words[-10:] in "".join(t.screen.text()[-2:]) or None, "echo")
        bob_says(bob, "here I am with something that does not fit into one row either")
        t.wait_row(r"either$")
        t.wait_until(lambda: words[-10:] in t.screen.text()[t.screen.y] or None, "the typed line again")
        t.type("\r")
        bob.wait_event(event="message", text=words)
        t.wait_row(r"<alice> a line that is")
        t.wait_last(r"^ops>$")
        h.equal(len(t.rows("a line that is")), 1, "what was typed went off the screen")
        h.check(all(len(row) < 40 for row in t.rows("bob|alice|^ {8}")), "no row is full")


def test_tab_and_history():
    """Tab completes commands, rooms and people; the arrow keys bring back lines."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        t.type("/create elsewhere\r")
        t.wait_last(r"^elsewhere>$")
        t.type("/sw\t")
        t.wait_last(r"^elsewhere> /switch$")
        t.type("o\t\r")
        t.wait_last(r"^ops>$")
        t.type("/msg b\tpsst\r")
        bob.wait_event(event="message", text="psst")
        t.wait_row(r"<alice> psst$")
        t.type("b\tyes?\r")
        bob.wait_event(event="message", text="bob yes?", label="ops")
        t.wait_last(r"^ops>$")
        t.type("\x1b[A\x1b[A")
        t.wait_last(r"^ops> /msg bob psst$")
        t.type("\x1b[B\r")
        bob.wait_until(lambda: len([e for e in bob.events if e.get("text") == "bob yes?"]) == 2 or None,
                       "the line again")
        # Two candidates are listed, and the line stays.
        t.type("/m\t\t")
        t.wait_row(r"^/members +/msg$")
        t.wait_last(r"^ops> /m$")


def test_change_the_password():
    """/passwd asks three times, shows none, and the new one is what counts."""
    with h.Server(accounts=ACCOUNTS) as server:
        with alice_at_home(server) as t:
            t.type("/passwd\r")
            t.wait_last(r"^The password until now:$")
            h.check(not t.echo(), "what is typed is not seen")
            t.type("alice-secret\r")
            t.wait_last(r"^The new one:$")
            t.type("new secret\r")
            t.wait_last(r"^The new one again:$")
            t.type("other secret\r")
            t.wait_row(r"! the password is as it was: the two new ones differ$")
            t.wait_last(r"^>$")
            t.type("/passwd\r")
            t.wait_last(r"^The password until now:$")
            t.type("alice-secret\rnew secret\rnew secret\r")
            t.wait_row(r"-- the password is changed$")
            t.wait_last(r"^>$")
            h.equal(t.rows("secret"), [])
            t.type("\x04")
            h.equal(t.wait_exit(), 0)
        with client(server, "alice", "--accept-new") as elsewhere:
            elsewhere.wait_last(r"^Password")
            elsewhere.type("alice-secret\r")
            elsewhere.wait_row("not right")
            elsewhere.type("new secret\r")
            elsewhere.wait_row("logged in|identity")


def test_signals():
    """Whatever ends the program, the terminal is as it was."""
    with h.Server(accounts=ACCOUNTS) as server:
        for number, status in ((signal.SIGINT, 4), (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGQUIT, 0)):
            with client(server, "alice", "--accept-new") as t:
                t.wait_last(r"^Password")
                t.send_signal(number)
                h.equal(t.wait_exit(), status, f"signal {number} at the password")
                h.check(t.restored(), "the terminal is as it was")
        with alice_at_home(server) as t:
            t.type("half a line")
            t.wait_last(r"^> half a line$")
            t.type("\x03")
            t.wait_last(r"^>$")
            t.type("another")
            t.wait_last(r"^> another$")
            t.send_signal(signal.SIGTERM)
            h.equal(t.wait_exit(), 0)
            h.check(t.restored(), "the terminal is as it was")
        with client(server, "alice", data=t.data) as t:
            t.wait_last(r"^>$")
            t.type("\x03")
            h.equal(t.wait_exit(), 0)
            h.check(t.restored(), "the terminal is as it was")


def test_stop_and_go_on():
    """Control-Z gives the terminal back; afterwards what was typed is there again, and what came meanwhile."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        t.type("half")
        t.wait_last(r"^ops> half$")
        t.type("\x1a")
        t.wait_stopped()
        h.check(t.restored(), "the terminal is as it was")
        bob_says(bob, "are you there?")
        t.send_signal(signal.SIGCONT)
        t.wait_row(r"<bob> are you there\?$")
        t.wait_last(r"^ops> half$")
        t.type(" done\r")
        bob.wait_event(event="message", text="half done")


def test_another_size():
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        t.resize(40, 30)
        t.type("/topic\r")
        t.wait_row(r"^\d\d:\d\d -- this room has no$")
        bob_says(bob, "twelve words that certainly will not fit into thirty columns at all")
        t.wait_row(r"^ {8}\S.* at all$")
        # A line of two rows goes out of the way as a whole.
        words = "some words that need two rows"
        t.type(words)
        t.wait_last(r"^rows$")
        bob_says(bob, "x")
        t.wait_row(r"<bob> x$")
        t.wait_last(r"^rows$")
        h.equal(len(t.rows("some words")), 1)


def test_the_server_goes_and_comes_back():
    """One line for each; what is typed meanwhile is shown as waiting, and said once."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        server.stop()
        t.wait_row(r"-- no connection: ")
        t.wait_last(r"^\(no connection\) ops>$")
        t.type("are you there?\r")
        t.wait_row(r"^\d\d:\d\d \[ops\] \(waiting to be sent\) are you there\?$")
        with h.Server(state=server.state, port=server.port):
            t.wait_row(r"-- the connection is back$")
            bob.wait_event(event="message", text="are you there?")
            t.wait_row(r"^\d\d:\d\d \[ops\] <alice> are you there\?$")
            t.wait_last(r"^ops>$")
            h.equal(len(t.rows("no connection:")), 1)
            h.equal(len(t.rows("connection is back")), 1)
            h.equal(len(t.rows("<alice> are you there")), 1)


def test_leaving_without_a_connection():
    """/quit does not wait for a server that is gone: the outbox is on the disk, and is sent the next time."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        server.stop()
        t.wait_last(r"^\(no connection\) ops>$")
        t.type("for later\r")
        t.wait_row(r"\(waiting to be sent\) for later$")
        t.type("/quit\r")
        h.equal(t.wait_exit(), 0)
        t.wait_row(r"stays in the outbox")
        with h.Server(state=server.state, port=server.port) as back, client(back, "alice", data=t.data) as again:
            bob.wait_event(event="message", text="for later")
            again.wait_row(r"<alice> for later$")


def test_texts_are_only_texts():
    """What another one says cannot move the cursor, set the title, or look like a line of the program."""
    with h.Server(accounts=ACCOUNTS) as server, alice_at_home(server) as t:
        bob = bob_with(server, t)
        bob_says(bob, "\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp.exe\n12:00 [ops] <alice> I quit\x7f")
        t.wait_row(r"<bob> \^\[\[2J\^\[\]0;title\^G<U\+009B>31m<U\+202E>gnp\.exe$")
        t.wait_row(r"^ {6}\| 12:00 \[ops\] <alice> I quit\^\?$")
        bob.command(cmd="direct", account="alice", id="direct")
        bob.wait_event(event="done", id="direct")
        for bad in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\u202e"):
            h.check(bad not in t.raw, f"{bad!r} does not reach the terminal")


def test_output_that_goes_elsewhere():
    """With standard output in a file questions still come to the terminal, and only they."""
    with h.Server(accounts=ACCOUNTS) as server:
        out = os.path.join(h.temp_dir(), "out")
        argv = [h.CLIENT, "-u", "alice", "--data-dir", os.path.join(h.temp_dir(), "data"), server.address,
                str(server.port)]
        with Terminal(["/bin/sh", "-c", f'exec "$@" >{out}', "sh", *argv]) as t:
            t.wait_last(r"^Is it the same\? \(yes/no\)$")
            t.type("yes\r")
            t.wait_last(r"^Password of alice")
            t.type("alice-secret\r")
            t.type("/create ops\r")
            t.wait_until(lambda: re.search("you created the room\n", h.read(out)), "line in the file")
            t.type("/quit\r")
            h.equal(t.wait_exit(), 0)
            h.equal(t.rows("logged in|created"), [])
        h.match(r"-- logged in\n(.*\n)*.*\[ops\] -- you created the room\n", h.read(out))
        h.check("Password" not in h.read(out), "the question is not in the file")


def test_passphrases():
    """identity export asks twice without echo, import once; a mistake makes no file."""
    with h.Server(accounts=ACCOUNTS) as server:
        with alice_at_home(server) as t:
            t.type("\x04")
            h.equal(t.wait_exit(), 0)
        path = os.path.join(h.temp_dir(), "alice.id")
        where = ("-u", "alice", server.address, str(server.port))
        for again, status in (("something else", 1), ("pass phrase", 0)):
            with Terminal([h.CLIENT, "identity", "export", path, "--data-dir", t.data, *where]) as e:
                e.wait_last(r"^Passphrase for the file:$")
                h.check(not e.echo(), "what is typed is not seen")
                e.type("pass phrase\r")
                e.wait_last(r"^The same again:$")
                e.type(again + "\r")
                h.equal(e.wait_exit(), status)
                h.equal(os.path.exists(path), status == 0)
                h.equal(e.rows("pass phrase|something"), [])
                h.check(e.restored(), "the terminal is as it was")
        h.equal(h.mode_of(path), 0o600)
        data = os.path.join(h.temp_dir(), "data")
        with Terminal([h.CLIENT, "identity", "import", path, "--data-dir", data, *where]) as e:
            e.wait_last(r"^Passphrase for the file:$")
            e.type("\x03")
            h.equal(e.wait_exit(), 1)
            h.check(e.restored(), "the terminal is as it was")
        with Terminal([h.CLIENT, "identity", "import", path, "--data-dir", data, *where]) as e:
            e.wait_last(r"^Passphrase for the file:$")
            e.type("pass phrase\r")
            h.equal(e.wait_exit(), 0)
        with client(server, "alice", data=data) as elsewhere:
            elsewhere.wait_last(r"^>$")


if __name__ == "__main__":
    sys.exit(h.main())
