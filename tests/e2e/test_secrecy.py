#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first promise, looked at from outside: what a server that has everything does not have."""

import os
import secrets
import sqlite3
import sys

import harness as h
from test_chat import ACCOUNTS, Person, invite

REVEAL = os.path.join(h.BUILD, "tests", "e2e", "reveal_keys")
CHUNK = 1 << 20


def unlikely(what):
    """Something to say that stands nowhere else, and is longer than what chance would make."""
    return f"{what}-{secrets.token_hex(12)}"


# ---- places to look in ----


def memory_of(pid):
    """Everything that the process can read of itself: (name of the mapping, bytes), with overlaps."""
    if h.SANITIZER != "no":
        raise h.Skip("a sanitizer maps terabytes for itself, which nobody can read through")
    try:
        maps = h.read(f"/proc/{pid}/maps").splitlines()
        memory = open(f"/proc/{pid}/mem", "rb", buffering=0)  # pylint: disable=consider-using-with
    except PermissionError as why:
        raise h.Skip(f"the memory of a child cannot be read here: {why}") from why
    with memory:
        for line in maps:
            fields = line.split()
            start, end = (int(x, 16) for x in fields[0].split("-"))
            name = fields[5] if len(fields) > 5 else "anonymous"
            if "r" not in fields[1] or name in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            tail = b""
            for at in range(start, end, CHUNK):
                try:
                    memory.seek(at)
                    piece = memory.read(min(CHUNK, end - at))
                except OSError:  # unmapped meanwhile, or behind the end of its file
                    tail = b""
                    continue
                yield f"memory, {name}", tail + piece
                tail = piece[-4096:]


def files_of(path):
    for root, _, names in os.walk(path):
        for name in names:
            full = os.path.join(root, name)
            if os.path.isfile(full):
                yield full, h.read(full, "rb")


def find(places, wanted):
    """{what: the places where it is}, for what is given as {what: bytes}."""
    found = {}
    for place, data in places:
        for what, pattern in wanted.items():
            if pattern in data:
                found.setdefault(what, set()).add(place)
    return found


def reveal(server, person):
    """What only the client has: {name: [bytes, ...]}."""
    out, _ = h.run([REVEAL, os.path.join(person.data, f"{server.address}:{server.port}", person.user)])
    result = {}
    for line in out.splitlines():
        name, value = line.split()
        result.setdefault(name, []).append(bytes.fromhex(value))
    return result


def as_written(what, secret):
    """A secret of bytes, as it is and as hex."""
    return {what: secret, f"{what} in hex": secret.hex().encode(), f"{what} in HEX": secret.hex().upper().encode()}


# ---- the test ----


def test_the_server_has_no_text_no_names_and_no_keys():
    """The memory of a server, and all its files, hold no text, no room's name, no topic, no key of a room or person."""
    said = [unlikely("said-in-the-room") for _ in range(3)]
    names = {"room": unlikely("name"), "renamed": unlikely("renamed"), "topic": unlikely("topic")}
    direct = unlikely("said-to-one-alone")
    with h.Server(accounts=ACCOUNTS) as server:
        alice, bob = Person(server, "alice"), Person(server, "bob")
        alice.user, bob.user = "alice", "bob"
        alice.ask("create", name=names["room"])
        invite(alice, names["room"], bob)
        alice.ask("topic", room=names["room"], topic=names["topic"])
        for text, author, other in zip(said, (alice, bob, alice), (bob, alice, bob)):
            author.say(names["room"], text)
            other.wait_text(text)
        alice.ask("name", room=names["room"], name=names["renamed"])
        room = bob.ask("direct", account="alice")["label"]
        bob.say(room, direct)
        alice.wait_text(direct)
        # What was stored goes through the server once more, on its way to another machine of alice's.
        export = os.path.join(h.temp_dir(), "identity")
        h.write(export + ".pass", "a passphrase\n", 0o600)
        where = ["-u", "alice", "--passphrase-file", export + ".pass", server.address, str(server.port)]
        h.run([h.CLIENT, "identity", "export", export, "--data-dir", alice.data] + where)
        second = os.path.join(h.temp_dir(), "second")
        h.run([h.CLIENT, "identity", "import", export, "--data-dir", second] + where)
        again = Person(server, "alice", data=second, password=None)
        again.wait_text(said[-1])

        secret = {f"text {i}": text.encode() for i, text in enumerate(said)}
        secret.update({f"{what} name": name.encode() for what, name in names.items()})
        secret["text to one alone"] = direct.encode()
        keys = [reveal(server, alice), reveal(server, bob)]
        h.check(len(keys[0]["epoch"]) >= 4, "a key for each rekey of both rooms")
        for whose, found in zip(("alice", "bob"), keys):
            for i, key in enumerate(found["epoch"]):
                secret.update(as_written(f"room key {i} of {whose}", key))
            secret.update(as_written(f"signing key of {whose}", found["ed_seed"][0]))
            secret.update(as_written(f"bag key of {whose}", found["bag_key"][0]))
            # The second half of a PKCS#8 is the private part, wherever exactly that begins.
            secret[f"RSA key of {whose}"] = found["rsa_key"][-1][-600:-500]
        # The passwords went to it, and were forgotten.
        secret.update({f"password of {name}": ACCOUNTS[name].encode() for name in ("alice", "bob")})
        # What it does have: so that it is known that the search finds things.
        public = {"account": b"alice", "room_id": keys[0]["room_id"][0], "epoch_id": keys[0]["epoch_id"][0]}

        where_public = find(memory_of(server.pid), public)
        h.equal(sorted(where_public), sorted(public), "found in memory")
        h.equal(find(memory_of(server.pid), secret), {})
        h.equal(sorted(find(files_of(server.state), public)), sorted(public), "found in files")
        h.equal(find(files_of(server.state), secret), {})
        # And the clients do have it: the search is for the right bytes.
        h.check(find(memory_of(alice.pid), {"name": names["renamed"].encode()}), "a client knows the room's name")
        h.check(find(files_of(alice.data), {"ed_seed": keys[0]["ed_seed"][0]}), "a client keeps its identity")

        for person in (alice, bob, again):
            person.quit()
        h.equal(server.stop(), 0)
        # What is written at the end is no other.
        h.equal(find(files_of(server.state), secret), {})
        h.equal(find([("log", "\n".join(server.err + server.out).encode())], secret), {})


def test_a_bag_that_went_back():
    """A server that gives an older bag of RSA keys than was seen before is told on, and nothing else changes."""
    with h.Server(accounts=ACCOUNTS) as server:
        alice = Person(server, "alice")
        alice.ask("create", name="before")
        alice.quit()
        # As if this client had seen six rotations, which the server has forgotten.
        kept = sqlite3.connect(os.path.join(alice.data, f"{server.address}:{server.port}", "alice", "chat.db"))
        with kept:
            h.equal(kept.execute("UPDATE identity SET bag_version = 7").rowcount, 1)
        kept.close()
        again = Person(server, "alice", data=alice.data, password=None)
        again.wait_until(lambda: next((event for event in again.events if event["event"] == "warning" and
                                       "older than the one seen before" in event["text"]), None), "warning")
        again.say("before", "what was readable still is")
        again.wait_text("what was readable still is")
        again.quit()
        h.equal(server.stop(), 0)


if __name__ == "__main__":
    sys.exit(h.main())
