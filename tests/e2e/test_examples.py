#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Computes the worked examples of chat-protocol(7) once more, from what the page says and nothing else: no
code of this project, no library but Python's own.  Ed25519, AES-GCM and RSA are written out here, slowly,
after their standards.  TAP on standard output."""

import base64
import hashlib
import hmac
import json
import os
import struct
import traceback

TOP = os.environ.get("abs_top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

# ---- the page's notation


def H(b):
    return hashlib.sha256(b).digest()


def D(x):
    return b"secure-chat " + x.encode() + b" v1\0"


def HKDF(ikm, salt, info, n):
    prk, out, t = hmac.digest(salt, ikm, "sha256"), b"", b""
    for i in range(1, (n + 31) // 32 + 1):
        t = hmac.digest(prk, t + info + bytes([i]), "sha256")
        out += t
    return out[:n]


def u8(v):
    return struct.pack(">B", v)


def u32(v):
    return struct.pack(">I", v)


def u64(v):
    return struct.pack(">Q", v)


def str8(b):
    return u8(len(b)) + b


def str16(b):
    return struct.pack(">H", len(b)) + b


# ---- Ed25519 (RFC 8032, 5.1)

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    s, t = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * CURVE_D % P, 2 * z1 * z2 % P
    e, f, g, h = t - s, d - c, d + c, t + s
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_mul(n, a):
    r = (0, 1, 1, 0)
    while n:
        if n & 1:
            r = point_add(r, a)
        a, n = point_add(a, a), n >> 1
    return r


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    xx = (y * y - 1) * pow(CURVE_D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 else x
    return (x, y, 1, x * y % P)


BASE = base_point()


def point_bytes(a):
    zi = pow(a[2], P - 2, P)
    x, y = a[0] * zi % P, a[1] * zi % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def secret(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return a, h[32:]


def public(seed):
    return point_bytes(point_mul(secret(seed)[0], BASE))


def Sign(seed, x, b):
    a, prefix = secret(seed)
    message = D(x) + b

    def number(*parts):
        return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER

    r = number(prefix, message)
    point = point_bytes(point_mul(r, BASE))
    s = (r + number(point, public(seed), message) * a) % ORDER
    return point + s.to_bytes(32, "little")


# ---- AES (FIPS 197) and GCM (NIST SP 800-38D)


def xtime(a):
    return (a << 1 ^ (0x11B if a & 0x80 else 0)) & 0xFF


def make_sbox():
    sbox, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= xtime(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4)
        sbox[p] = 0x63 ^ 0xFF & (q ^ turned)
        if p == 1:
            return sbox


SBOX = make_sbox()


def expand(key):
    words, n = [list(key[i:i + 4]) for i in range(0, len(key), 4)], len(key) // 4
    rcon = 1
    for i in range(n, 4 * (n + 7)):
        w = list(words[-1])
        if i % n == 0:
            w = [SBOX[b] for b in w[1:] + w[:1]]
            w[0] ^= rcon
            rcon = xtime(rcon)
        elif n > 6 and i % n == 4:
            w = [SBOX[b] for b in w]
        words.append([a ^ b for a, b in zip(words[i - n], w)])
    return [sum(words[i:i + 4], []) for i in range(0, len(words), 4)]


def aes(keys, block):
    s = [a ^ b for a, b in zip(block, keys[0])]
    for i, key in enumerate(keys[1:], 1):
        s = [SBOX[s[(j + 4 * (j % 4)) % 16]] for j in range(16)]
        if i < len(keys) - 1:
            mixed = []
            for c in range(0, 16, 4):
                column, every = s[c:c + 4], s[c] ^ s[c + 1] ^ s[c + 2] ^ s[c + 3]
                mixed += [column[j] ^ every ^ xtime(column[j] ^ column[(j + 1) % 4]) for j in range(4)]
            s = mixed
        s = [a ^ b for a, b in zip(s, key)]
    return bytes(s)


def gcm(key, nonce, aad, plain):
    """The ciphertext and its tag."""
    keys = expand(key)
    h = int.from_bytes(aes(keys, bytes(16)), "big")
    out = b""
    for i in range(0, len(plain), 16):
        pad = aes(keys, nonce + u32(2 + i // 16))
        out += bytes(a ^ b for a, b in zip(plain[i:i + 16], pad))
    y = 0
    padded = aad + bytes(-len(aad) % 16) + out + bytes(-len(out) % 16)
    padded += u64(8 * len(aad)) + u64(8 * len(out))
    for i in range(0, len(padded), 16):
        x, z, v = y ^ int.from_bytes(padded[i:i + 16], "big"), 0, h
        for bit in range(127, -1, -1):
            z ^= v if x >> bit & 1 else 0
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
        y = z
    return out + bytes(a ^ b for a, b in zip(y.to_bytes(16, "big"), aes(keys, nonce + u32(1))))


# ---- RSAES-OAEP (RFC 8017, 7.1.1)


def mgf1(seed, n):
    return b"".join(H(seed + u32(i)) for i in range((n + 31) // 32))[:n]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def oaep(label, plain, seed, n):
    db = H(label) + bytes(n - len(plain) - 66) + b"\x01" + plain
    masked = xor(db, mgf1(seed, len(db)))
    return b"\0" + xor(seed, mgf1(masked, 32)) + masked


def rsa(n, em):
    return pow(int.from_bytes(em, "big"), 65537, int.from_bytes(n, "big")).to_bytes(len(n), "big")


# ---- protobuf, and padding


def varint(v):
    return bytes([v]) if v < 128 else bytes([v & 127 | 128]) + varint(v >> 7)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pad(content, most):
    units = sorted([2**k for k in range(10)] + [3 * 2**k for k in range(9)])
    size = next(64 * u for u in units if 64 * u >= 4 + len(content) and u <= most)
    return (u32(len(content)) + content).ljust(size, b"\0")


# ---- the examples


class Values:
    """One example: v["name"] takes the next value of that name, in order."""

    def __init__(self, example):
        self.name = example["name"]
        self.left = [(v["name"], bytes.fromhex(v["hex"]) if "hex" in v else v.get("text", v.get("number")))
                     for v in example["values"]]
        self.first = dict(reversed(self.left))
        self.all = list(self.left)

    def __getitem__(self, name):
        for i, (n, value) in enumerate(self.left):
            if n == name:
                del self.left[i]
                return value
        return self.first[name]

    def check(self, name, value):
        expected = self[name]
        if value != expected:
            show = [x.hex() if isinstance(x, bytes) else repr(x) for x in (value, expected)]
            raise AssertionError(f"{self.name}, {name}: by the page {show[0]}, in the example {show[1]}")

    def check_fields(self, last, value):
        """The values from `version` or `format` to that name, joined."""
        names = [n for n, _ in self.all]
        start = names.index("format" if self.name == "bag" else "version")
        fields = b"".join(v for _, v in self.all[start:names.index(last) + 1])
        if fields != value:
            raise AssertionError(f"{self.name}: the fields are {fields.hex()}, together {value.hex()}")


with open(os.path.join(TOP, "tests", "vectors", "examples.json"), encoding="utf-8") as file:
    EXAMPLES = {e["name"]: Values(e) for e in json.load(file)["examples"]}

ALICE = bytes(range(0x00, 0x20))
BOB = bytes(range(0x40, 0x60))
REALM = EXAMPLES["member_id"].first["realm"]
ROOM = EXAMPLES["create"].first["event_hash"]
K = EXAMPLES["epoch"].first["K"]
EPOCH = EXAMPLES["rekey"].first["event_hash"]


def test_member_id():
    v = EXAMPLES["member_id"]
    v.check("ed_seed", ALICE)
    v.check("ed_pk", public(ALICE))
    v.check('D("member")', D("member"))
    preimage = D("member") + REALM + str8(v["account"].encode()) + v["ed_pk"]
    v.check("preimage", preimage)
    v.check("member_id", H(preimage))
    v.check("digits", " ".join(f"{n % 100000:05}" for n in struct.unpack(">8I", H(preimage))))
    v.check("QR code", "secure-chat:1:" + base64.urlsafe_b64encode(H(preimage)).decode().rstrip("="))


def check_card(name, account, seed):
    v = EXAMPLES[name]
    body = u8(1) + u8(1) + u8(0) + REALM + str8(account) + public(seed) + u32(1) + bytes(32)
    body += v["rsa_n"] + v["time_ms"]
    v.check("sig", Sign(seed, "card", body))
    v.check("card", body + Sign(seed, "card", body))
    v.check_fields("sig", body + Sign(seed, "card", body))
    v.check("card_hash", H(D("card") + body))
    v.check("member_id", H(D("member") + REALM + str8(account) + public(seed)))


def test_card():
    check_card("card", b"alice", ALICE)
    check_card("card of bob", b"bob", BOB)


def test_bag():
    v = EXAMPLES["bag"]
    k = HKDF(v["bag_key"], REALM, D("bag"), 32)
    v.check("k", k)
    aad = D("bag") + REALM + str8(b"alice") + u64(1)
    v.check("aad", aad)
    bag = field(1, v["rsa_key"])
    v.check("Bag", bag)
    nonce = v["nonce"]
    v.check("bag", u8(1) + u64(1) + nonce + gcm(k, nonce, aad, bag))
    v.check_fields("nonce", u8(1) + u64(1) + nonce)


def test_recovery():
    v = EXAMPLES["recovery"]
    code = v["code"]
    text = base64.b32encode(code).decode().rstrip("=")
    v.check("shown", "-".join(text[i:i + 4] for i in range(0, 26, 4)))
    rk = HKDF(code, REALM, D("recovery") + str8(b"alice"), 32)
    v.check("rk", rk)
    aad = D("recovery") + REALM + str8(b"alice") + public(ALICE)
    v.check("aad", aad)
    nonce = v["nonce"]
    v.check("blob", u8(1) + nonce + gcm(rk, nonce, aad, ALICE + EXAMPLES["bag"].first["bag_key"]))


def test_login():
    v = EXAMPLES["login"]
    signed = u8(1) + REALM + str8(b"alice") + EXAMPLES["member_id"].first["member_id"] + v["binding"]
    v.check("signed", signed)
    v.check("signature", Sign(ALICE, "login", signed))


def check_frame(name, protobuf):
    EXAMPLES[name].check("protobuf", protobuf)
    EXAMPLES[name].check("length", u32(len(protobuf)))


def test_frames():
    check_frame("hello", field(1, 1) + field(2, field(1, 1) + field(2, b"example 1")))
    limits = b"".join(field(i + 1, n) for i, n in enumerate([16384, 1048576, 2000, 1000, 64, 75000]))
    answer = field(1, 1) + field(2, REALM) + field(3, b"example-server 1") + field(4, 1767225600000)
    answer += field(5, limits)
    check_frame("hello_ok", field(1, 1) + field(4, answer))
    message = EXAMPLES["message"].first["wire"]
    check_frame("post_message", field(1, 7) + field(23, field(1, ROOM) + field(2, message)))
    stub = field(1, ROOM) + field(2, 5) + field(3, 1767225605000) + field(4, 2) + field(6, entry_hash(5))
    check_frame("stub", field(30, stub))


def check_event(name, number, seed, payload, after, seen):
    """Everything from the page but the time."""
    v = EXAMPLES[name]
    actor = EXAMPLES["card" if seed == ALICE else "card of bob"].first["member_id"]
    room = bytes(32) if number == 1 else ROOM
    body = u8(1) + u8(number) + room + actor + after + u64(seen) + log(seen)[1] + v["time_ms"] + payload
    v.check("sig", Sign(seed, "event", body))
    v.check("wire", body + Sign(seed, "event", body))
    v.check_fields("sig", body + Sign(seed, "event", body))
    v.check("event_hash", H(D("event") + body))


def test_events():
    card, of_bob = EXAMPLES["card"].first["card"], EXAMPLES["card of bob"].first["card"]
    nonce = EXAMPLES["create"].first["nonce"]
    check_event("create", 1, ALICE, nonce + u8(1) + u8(0) + u8(0) + u8(0) + REALM + str16(card), bytes(32), 0)
    check_event("invite", 2, ALICE, str16(of_bob), ROOM, 1)
    invite = EXAMPLES["invite"].first["event_hash"]
    epoch = EXAMPLES["epoch"].first
    payload = u64(1) + epoch["commitment"] + epoch["wraps_hash"] + str16(epoch["info_box"])
    check_event("rekey", 10, ALICE, payload, invite, 2)
    check_event("join", 3, BOB, b"", invite, 3)


def check_wrap(v, commitment):
    card = EXAMPLES[{"alice": "card", "bob": "card of bob"}[v["to"]]].first
    label = D("wrap") + ROOM + u64(1) + commitment + card["member_id"] + card["card_hash"]
    v.check("label", label)
    em = oaep(label, K, v["OAEP seed"], 384)
    v.check("EM", em)
    v.check("wrap", rsa(card["rsa_n"], em))
    return rsa(card["rsa_n"], em)


def test_epoch():
    v = EXAMPLES["epoch"]
    invite, alice = EXAMPLES["invite"].first["event_hash"], EXAMPLES["card"].first["member_id"]
    esalt = H(D("epoch") + ROOM + u64(1) + invite + alice)
    v.check("esalt", esalt)
    commitment = HKDF(K, esalt, D("commit"), 32)
    v.check("commitment", commitment)
    hashes = []
    for _ in range(2):
        hashes.append(H(check_wrap(v, commitment)))
        v.check("H(wrap)", hashes[-1])
    v.check("wraps_hash", H(D("wraps") + u32(2) + b"".join(hashes)))
    okm = HKDF(K, esalt, D("info"), 28)
    v.check("ik", okm[:16])
    v.check("iv", okm[16:])
    info = field(1, v["name"].encode()) + field(2, v["topic"].encode())
    v.check("RoomInfo", info)
    v.check("padded", pad(info, 24))
    v.check("aad", D("info") + ROOM + u64(1))
    v.check("info_box", gcm(okm[:16], okm[16:], D("info") + ROOM + u64(1), pad(info, 24)))


def test_rewrap():
    v = EXAMPLES["rewrap"]
    bob = EXAMPLES["card of bob"].first
    wrap = check_wrap(v, EXAMPLES["epoch"].first["commitment"])
    b = u8(1) + EPOCH + bob["member_id"] + bob["card_hash"] + EXAMPLES["card"].first["member_id"] + wrap
    v.check("b", b)
    v.check("sig", Sign(ALICE, "rewrap", b))


def test_message():
    v = EXAMPLES["message"]
    header = u8(1) + EPOCH + EXAMPLES["card"].first["member_id"] + v["device"]
    header += u64(1) + u64(4) + log(4)[1] + v["time_ms"]
    v.check_fields("time_ms", header)
    if len(header) != 129:
        raise AssertionError("the header has 129 bytes")
    salt = v["salt"]
    okm = HKDF(K, salt, D("message") + H(header), 28)
    v.check("key", okm[:16])
    v.check("iv", okm[16:])
    content = field(1, v["text"].encode())
    v.check("Content", content)
    v.check("pt", pad(content, 768))
    ct = gcm(okm[:16], okm[16:], header, pad(content, 768))
    v.check("ct", ct)
    v.check("body_hash", H(salt + ct))
    sig = Sign(ALICE, "message", header + H(salt + ct))
    v.check("sig", sig)
    v.check("msg_hash", H(D("message") + header + H(salt + ct)))
    v.check("wire", header + salt + ct + sig)


ENTRIES = {1: "create", 2: "invite", 3: "rekey", 4: "join", 5: "message"}


def entry_hash(n):
    v = EXAMPLES[ENTRIES[n]].first
    kind, own = (2, v["msg_hash"]) if n == 5 else (1, v["event_hash"])
    return H(D("entry") + u8(kind) + own + v["sig"])


def log(n):
    """E and L at n, and what L is the hash of."""
    E, L, preimage = bytes(32), bytes(32), b""
    for i in range(1, n + 1):
        if i != 5:
            E = H(D("chain") + E + EXAMPLES[ENTRIES[i]].first["event_hash"])
        preimage = L + u64(i) + u64(1767225600000 + 1000 * i) + entry_hash(i) + E
        L = H(D("log") + preimage)
    return E, L, preimage


def test_log():
    v = EXAMPLES["log"]
    for n in ENTRIES:
        v.check("n", n)
        v.check("server_time_ms", u64(1767225600000 + 1000 * n))
        v.check("entry_hash", entry_hash(n))
        v.check("E", log(n)[0])
        v.check("L", log(n)[1])


def test_newcomer():
    v = EXAMPLES["newcomer"]
    preimage = v["preimage"]
    v.check("seen_seq", 1)
    v.check("stub", 2)
    v.check("seen_hash", H(D("log") + preimage))
    if preimage != log(1)[2] or len(preimage) != 112:
        raise AssertionError("not the preimage of L at 1")
    v.check("entry_hash", entry_hash(2))
    E = H(D("chain") + preimage[-32:] + EXAMPLES["invite"].first["event_hash"])
    v.check("E", E)
    v.check("L", H(D("log") + H(D("log") + preimage) + u64(2) + v["server_time_ms"] + entry_hash(2) + E))


TESTS = [test_member_id, test_card, test_bag, test_recovery, test_login, test_frames, test_events, test_epoch,
         test_rewrap, test_message, test_log, test_newcomer]

print(f"1..{len(TESTS)}")
for at, test in enumerate(TESTS, 1):
    try:
        test()
        print(f"ok {at} - {test.__name__[5:]}")
    except Exception as err:  # a failing test must not hide the next ones
        print("".join("# " + line for line in traceback.format_exc().splitlines(True)), end="")
        print(f"not ok {at} - {test.__name__[5:]}: {err}")
