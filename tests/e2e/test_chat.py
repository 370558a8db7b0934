#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do with secure-chat, with the real programs: log in, invite, talk, come back, move, leave."""

import os
import sys

import harness as h

ACCOUNTS = {"alice": "alice-secret", "bob": "bob-secret", "carol": "carol-secret"}


class Person(h.Client):
    """A client that is logged in and has everything when this returns."""

    def __init__(self, server, user, **more):
        more.setdefault("password", ACCOUNTS.get(user))
        super().__init__(server, user, **more)
        self.wait_event(event="synced")
        self._asked = 0

    def ask(self, cmd, err="ok", **fields):
        """Sends the command; its `done`, with this outcome."""
        self._asked += 1
        name = f"{self.name} {self._asked}"
        self.command(cmd=cmd, id=name, **fields)
        done = self.wait_event(event="done", id=name)
        h.equal(done.get("err"), err, f"{cmd} of {self.name}: {done}")
        return done

    def say(self, room, text):
        return self.ask("send", room=room, text=text)

    def texts(self, room):
        return [e["text"] for e in self.events if e["event"] == "message" and e.get("label") == room]

    def wait_text(self, text, **more):
        return self.wait_event(event="message", text=text, **more)

    def labels(self):
        return {room["label"]: room for room in self.ask("rooms")["rooms"]}

    def quit(self):
        self.command(cmd="quit")
        h.equal(self.wait_exit(), 0)


def invite(host, room, *guests):
    host.ask("invite", room=room, accounts=[guest.user for guest in guests])
    for guest in guests:
        guest.wait_event(event="invited", target_self=True, label=room)
        guest.ask("accept", room=room)


def people(server, *names):
    result = [Person(server, name) for name in names]
    for person, name in zip(result, names):
        person.user = name
    return result


def test_first_login_makes_an_identity_and_the_next_asks_no_password():
    """The password is for the first login; afterwards the key logs in."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice = Person(server, "alice")
        digits = alice.ask("whoami")["digits"]
        h.match(r"^(\d{5} ){7}\d{5}$", digits)
        alice.quit()
        again = Person(server, "alice", data=alice.data, password=None)
        h.equal(again.ask("whoami")["digits"], digits)
        h.equal([e for e in again.events if e["event"] == "password_needed"], [])


def test_wrong_password_is_exit_4():
    with h.Server(accounts=ACCOUNTS) as server:
        client = h.Client(server, "alice", password="not it")
        h.equal(client.wait_exit(), 4)
        nobody = h.Client(server, "nobody", password="not it")
        h.equal(nobody.wait_exit(), 4)


def test_one_session_too_many_is_exit_4():
    with h.Server(accounts=ACCOUNTS, conf="sessions_per_account = 1\n") as server:
        alice = Person(server, "alice")
        second = h.Client(server, "alice", data=alice.data)
        h.equal(second.wait_exit(), 4)
        h.match(r"as many sessions as the server allows", "\n".join(second.out + second.err))


def test_unreachable_server_is_exit_3():
    with h.Server(accounts=ACCOUNTS) as server:
        server.stop()
        client = h.Client(server, "alice", password="x")
        h.equal(client.wait_exit(), 3)


def test_changed_server_key_is_exit_5_and_the_mend_is_named():
    with h.Server(accounts=ACCOUNTS) as server:
        alice = Person(server, "alice")
        alice.quit()
        server.stop()
        for name in ("tls-key.pem", "tls-cert.pem"):
            os.remove(os.path.join(server.state, name))
        with h.Server(state=server.state, port=server.port) as changed:
            client = h.Client(changed, "alice", data=alice.data)
            h.equal(client.wait_exit(), 5)
            h.match(r"server forget", "\n".join(client.out + client.err))
            h.run([h.CLIENT, "server", "forget", "--data-dir", alice.data, "-u", "alice", changed.address,
                   str(changed.port)])
            Person(changed, "alice", data=alice.data, password=None)


def test_demanded_fingerprint():
    with h.Server(accounts=ACCOUNTS) as server:
        good = Person(server, "alice", args=("--fingerprint", server.fingerprint))
        good.quit()
        bad = h.Client(server, "bob", password=ACCOUNTS["bob"], args=("--fingerprint", "0" * 64))
        h.equal(bad.wait_exit(), 5)


def test_talk():
    """Create, invite several, accept, talk: everybody sees the same texts in the same order."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob, carol = people(server, "alice", "bob", "carol")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob, carol)
        said = []
        for i in range(5):
            for person in (alice, bob, carol):
                person.say("ops", f"{person.user} {i}")
                said.append(f"{person.user} {i}")
        for person in (alice, bob, carol):
            person.wait_text(said[-1])
            h.equal(person.texts("ops"), said)
            h.equal([e for e in person.events if e.get("replay")], [], "nobody was away")
        members = {m["account"]: m["stay"] for m in bob.ask("members", room="ops")["members"]}
        h.equal(members, {"alice": "joined", "bob": "joined", "carol": "joined"})
        online = {o["account"] for o in alice.ask("who")["online"]}
        h.equal(online, {"alice", "bob", "carol"})


def test_decline_and_leave():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob, carol = people(server, "alice", "bob", "carol")
        alice.ask("create", name="ops")
        alice.ask("invite", room="ops", accounts=["bob", "carol"])
        bob.wait_event(event="invited", target_self=True)
        bob.ask("decline", room="ops")
        alice.wait_event(event="declined", actor="bob")
        carol.wait_event(event="invited", target_self=True)
        carol.ask("accept", room="ops")
        alice.wait_event(event="joined", actor="carol")
        carol.say("ops", "hello")
        alice.wait_text("hello")
        carol.ask("leave", room="ops")
        alice.wait_event(event="left", actor="carol")
        alice.say("ops", "alone now")
        h.equal(carol.texts("ops"), ["hello"])
        h.check("ops" not in carol.labels(), "carol is out")
        h.check("ops" not in bob.labels(), "bob is out")


def test_topic_and_name():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        alice.ask("topic", room="ops", topic="on call: bob")
        bob.wait_event(event="topic", text="on call: bob", actor="alice")
        alice.ask("name", room="ops", name="operations")
        bob.wait_event(event="name", text="operations", actor="alice")
        h.equal(bob.labels()["operations"]["topic"], "on call: bob")
        # Somebody who comes later knows both.
        carol, = people(server, "carol")
        invite(alice, "operations", carol)
        h.equal(carol.labels()["operations"]["topic"], "on call: bob")


def test_direct_messages():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        room = alice.ask("direct", account="bob")["room"]
        alice.say(room, "psst")
        bob.wait_text("psst", room=room)
        # The same room, found and not made.
        h.equal(bob.ask("direct", account="alice")["room"], room)
        bob.say(room, "yes?")
        alice.wait_text("yes?", room=room)


def test_namesakes():
    """Two rooms of one name have two labels."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        first = alice.ask("create", name="ops")
        second = alice.ask("create", name="ops")
        h.equal((first["label"], second["label"]), ("ops", "ops~2"))


def test_invited_while_offline():
    """Invitation, key and messages wait on the server."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        bob.quit()
        alice.ask("create", name="ops")
        alice.ask("invite", room="ops", accounts=["bob"])
        alice.say("ops", "said while bob was away")
        alice.quit()  # nobody is there to help him
        bob = Person(server, "bob", data=bob.data, password=None)
        bob.wait_event(event="invited", target_self=True)
        bob.ask("accept", room="ops")
        bob.wait_text("said while bob was away", replay=True)
        bob.say("ops", "back")


def test_invited_before_the_first_login():
    """The invitation is kept by the inviter's client, and sent when the account has an identity."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("create", name="ops")
        alice.ask("invite", room="ops", accounts=["bob"], err="no_identity")
        bob, = people(server, "bob")
        bob.wait_event(event="invited", target_self=True)
        bob.ask("accept", room="ops")
        alice.say("ops", "welcome")
        bob.wait_text("welcome")


def test_invited_before_the_first_login_by_one_who_left_meanwhile():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("create", name="ops")
        alice.ask("invite", room="ops", accounts=["bob"], err="no_identity")
        alice.quit()
        bob, = people(server, "bob")
        alice = Person(server, "alice", data=alice.data, password=None)
        bob.wait_event(event="invited", target_self=True)


def test_no_such_account():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("create", name="ops")
        alice.ask("invite", room="ops", accounts=["nobody"], err="no_account")


def test_a_newcomer_reads_nothing_from_before():
    """Texts from before the invitation are not shown; those after it are, joined or not yet."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob, carol = people(server, "alice", "bob", "carol")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        alice.say("ops", "before")
        alice.ask("invite", room="ops", accounts=["carol"])
        alice.say("ops", "between")
        carol.wait_event(event="invited", target_self=True)
        carol.ask("accept", room="ops")
        alice.say("ops", "after")
        carol.wait_text("after")
        carol.wait_text("between")
        h.equal([t for t in carol.texts("ops") if t == "before"], [])


def test_several_sessions_of_one_user():
    """Two processes on one machine: both see all, whoever says it."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        second = Person(server, "alice", data=alice.data, password=None)
        second.user = "alice"
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        second.wait_event(event="joined", actor="bob")
        alice.say("ops", "from the first")
        second.wait_text("from the first")
        second.say("ops", "from the second")
        for person in (alice, bob, second):
            person.wait_text("from the second")
            h.equal(person.texts("ops"), ["from the first", "from the second"])


def test_identity_moves_to_another_machine():
    """Exported under a passphrase, imported elsewhere: the other machine reads what is kept, and both go on."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        bob.say("ops", "kept on the server")
        alice.wait_text("kept on the server")
        where = h.temp_dir()
        passphrase = h.write(os.path.join(where, "passphrase"), "correct horse\n", 0o600)
        moved, data = os.path.join(where, "identity"), os.path.join(where, "data")
        there = (server.address, str(server.port))
        h.run([h.CLIENT, "identity", "export", moved, "--data-dir", alice.data, "-u", "alice",
               "--passphrase-file", passphrase, *there])
        h.equal(h.mode_of(moved), 0o600)
        h.run([h.CLIENT, "identity", "import", moved, "--data-dir", data, "-u", "alice",
               "--passphrase-file", passphrase, *there])
        laptop = Person(server, "alice", data=data, password=None)
        h.equal(laptop.ask("whoami")["digits"], alice.ask("whoami")["digits"])
        laptop.ask("history", room="ops", count=100)
        laptop.wait_text("kept on the server")
        laptop.say("ops", "from the laptop")
        for person in (alice, bob):
            person.wait_text("from the laptop")
        wrong = h.write(os.path.join(where, "wrong"), "another\n", 0o600)
        _, err = h.run([h.CLIENT, "identity", "import", moved, "--data-dir", os.path.join(where, "other"), "-u",
                        "alice", "--passphrase-file", wrong, *there], status=None)
        h.match(r"passphrase", err)


def test_change_the_own_password():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("change_password", old="wrong", new="next-secret", err="login_refused")
        alice.ask("change_password", old=ACCOUNTS["alice"], new="next-secret")
        h.run([h.PASSWD, "-f", server.passwd_file, "--stdin", "verify", "alice"], stdin="next-secret\n")
        alice.quit()
        # This client gave the old password, and proved it by giving it: nothing is asked.
        Person(server, "alice", data=alice.data, password=None)


def test_a_password_changed_by_the_administrator_is_asked_for_once():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.quit()
        h.run([h.PASSWD, "-f", server.passwd_file, "--stdin", "passwd", "alice"], stdin="reset\n")
        client = h.Client(server, "alice", data=alice.data)
        needed = client.wait_event(event="password_needed")
        h.equal(needed["err"], "password_required")
        client.command(cmd="password", password="reset")
        client.wait_event(event="synced")
        client.command(cmd="quit")
        h.equal(client.wait_exit(), 0)
        Person(server, "alice", data=alice.data, password=None)


def test_a_locked_account_is_out_within_a_second():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        h.run([h.PASSWD, "-f", server.passwd_file, "lock", "alice"])
        h.equal(alice.wait_exit(), 4)
        h.run([h.PASSWD, "-f", server.passwd_file, "unlock", "alice"])
        server.wait_log("passwords_loaded", after=2)
        Person(server, "alice", data=alice.data, password=None)


def test_a_server_restart_is_lived_through():
    """Members come back by themselves, and what was said to nobody is sent then."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        alice.say("ops", "one")
        bob.wait_text("one")
        h.equal(server.stop(), 0)
        bob.wait_event(event="disconnected")
        alice.wait_event(event="disconnected")
        alice.command(cmd="send", room="ops", text="two", id="two")
        alice.wait_event(event="queued")
        with h.Server(state=server.state, port=server.port):
            h.equal(alice.wait_event(event="done", id="two")["err"], "ok")
            bob.wait_text("two")
            h.equal(bob.texts("ops"), ["one", "two"])


def test_history_pages_back():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("create", name="ops")
        for i in range(30):
            alice.say("ops", f"line {i}")
        alice.quit()
        where = alice.data
        alice = Person(server, "alice", data=where, password=None)
        done = alice.ask("history", room="ops", count=10)
        h.check(done["number"] >= 1, "something is read back")
        h.equal([t for t in alice.texts("ops")], sorted(alice.texts("ops"), key=lambda t: int(t.split()[1])))


def test_long_and_odd_texts():
    """16 KiB, several lines, every plane of Unicode; one byte more is refused."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = people(server, "alice", "bob")
        alice.ask("create", name="ops")
        invite(alice, "ops", bob)
        for text in ("x" * 16384, "two\nlines", "日本語 \U0001F512 ünïcödé", "/not a command", "\x1b[31mred"):
            alice.say("ops", text)
            bob.wait_text(text)
        alice.ask("send", room="ops", text="x" * 16385, err="too_long")


def test_room_names_have_a_rule():
    with h.Server(accounts=ACCOUNTS) as server:
        alice, = people(server, "alice")
        alice.ask("create", name="ü" * 64)
        for name in ("", " ops", "ops ", "a\nb", "ü" * 65):
            alice.ask("create", name=name, err="invalid")


if __name__ == "__main__":
    sys.exit(h.main())
