# SPDX-License-Identifier: GPL-3.0-or-later
"""libchat.so from Python, through its public functions alone: for tests of the installed library.

    lib = libchat.Library("/somewhere/libchat.so")
    with lib.client("alice", server, password="secret") as alice:
        alice.wait("synced")
        room = alice.done(alice.create("ops")).room
"""

import ctypes
import os
import re

import harness as h

CHAT_ERR_CLOSED = 13
CHAT_ERR_TIMEOUT = 20


class Id(ctypes.Structure):
    _fields_ = [("b", ctypes.c_uint8 * 32)]

    def hex(self):
        return bytes(self.b).hex()


class RoomInfo(ctypes.Structure):
    _fields_ = [("id", Id), ("label", ctypes.c_char_p), ("name", ctypes.c_char_p), ("topic", ctypes.c_char_p),
                ("inviter", ctypes.c_char_p), ("stay", ctypes.c_int), ("direct", ctypes.c_bool),
                ("read_only", ctypes.c_bool), ("role", ctypes.c_uint), ("member_count", ctypes.c_size_t),
                ("head_seq", ctypes.c_uint64), ("read_seq", ctypes.c_uint64), ("unread_count", ctypes.c_uint64),
                ("log_hash", Id), ("epoch", ctypes.c_uint64)]


class Member(ctypes.Structure):
    _fields_ = [("member_id", Id), ("account", ctypes.c_char_p), ("stay", ctypes.c_int), ("role", ctypes.c_uint),
                ("self", ctypes.c_bool)]


class Online(ctypes.Structure):
    _fields_ = [("account", ctypes.c_char_p), ("sessions", ctypes.c_uint32), ("since_unix_ms", ctypes.c_uint64)]


class Whoami(ctypes.Structure):
    _fields_ = [("account", ctypes.c_char_p), ("server", ctypes.c_char_p), ("fingerprint", ctypes.c_char_p),
                ("digits", ctypes.c_char_p), ("data_dir", ctypes.c_char_p), ("member_id", Id),
                ("connected", ctypes.c_bool)]


class Refused(Exception):
    """A function of the library did not answer CHAT_OK."""

    def __init__(self, name, text=None):
        super().__init__(f"{name}: {text}" if text else name)
        self.name, self.text = name, text


class Event:
    """A copy of what an event carries; type and err are names."""

    def __init__(self, lib, event):
        string = {name: getattr(lib, "chat_event_" + name)(event).decode("utf-8", "replace")
                  for name in ("label", "actor", "target", "mend")}
        number = {name: getattr(lib, "chat_event_" + name)(event)
                  for name in ("token", "seq", "time_ms", "number", "total", "flags", "self", "target_self")}
        self.__dict__.update(string)
        self.__dict__.update(number)
        self.type = lib.chat_event_type_name(event).decode()
        self.err = lib.chat_err_name(lib.chat_event_err(event)).decode()
        self.text = ctypes.string_at(lib.chat_event_text(event), lib.chat_event_text_len(event)).decode()
        room, digest = lib.chat_event_room(event), lib.chat_event_hash(event)
        self.room = Id.from_buffer_copy(room.contents) if room else None
        self.hash = Id.from_buffer_copy(digest.contents) if digest else None
        count = ctypes.c_size_t()
        online = lib.chat_event_online(event, ctypes.byref(count))
        self.online = {online[i].account.decode(): online[i].sessions for i in range(count.value)}

    def __repr__(self):
        shown = {key: value for key, value in vars(self).items() if value and key not in ("room", "hash")}
        return f"<{' '.join(f'{key}={value!r:.200}' for key, value in shown.items())}>"


class Library:
    """The functions, with the types of what they take and give where ctypes has to know."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        for name in ("chat_version", "chat_strerror", "chat_err_name", "chat_event_type_name", "chat_event_mend",
                     "chat_event_label", "chat_event_actor", "chat_event_target"):
            getattr(self.lib, name).restype = ctypes.c_char_p
        for name in ("token", "seq", "time_ms", "number", "total"):
            getattr(self.lib, "chat_event_" + name).restype = ctypes.c_uint64
        self.lib.chat_event_flags.restype = ctypes.c_uint32
        self.lib.chat_event_self.restype = self.lib.chat_event_target_self.restype = ctypes.c_bool
        self.lib.chat_event_text.restype = ctypes.c_void_p
        self.lib.chat_event_text_len.restype = ctypes.c_size_t
        self.lib.chat_event_room.restype = self.lib.chat_event_hash.restype = ctypes.POINTER(Id)
        self.lib.chat_event_online.restype = ctypes.POINTER(Online)

    def check(self, err, text=None):
        if err:
            raise Refused(self.lib.chat_err_name(err).decode(), text)

    def checked(self, function, *args):
        """Calls a function whose last argument is `char **ret_text`."""
        text = ctypes.c_char_p()
        err = function(*args, ctypes.byref(text))
        self.check(err, text.value.decode() if text.value else None)

    def config(self, account, server, data=None, **more):
        """A configuration; the keys of `more` are those of the chat_config_set_ functions."""
        config = ctypes.c_void_p()
        self.check(self.lib.chat_config_new(ctypes.byref(config)))
        self.check(self.lib.chat_config_set_account(config, account.encode()))
        self.check(self.lib.chat_config_set_server(config, server.address.encode(), str(server.port).encode()))
        self.check(self.lib.chat_config_set_data_dir(config, (data or os.path.join(h.temp_dir(), "data")).encode()))
        if not more:
            more = {"fingerprint": server.fingerprint}
        for key, value in more.items():
            function = getattr(self.lib, "chat_config_set_" + key)
            if isinstance(value, str):
                self.check(function(config, value.encode()))
            elif isinstance(value, bool):
                function(config, ctypes.c_bool(value))
            else:
                self.check(function(config, ctypes.c_size_t(value)))
        return config

    def client(self, account, server, password=None, data=None, **more):
        return Client(self, account, self.config(account, server, data, **more), password)


class Client:
    """One client, started.  Events that a wait passes over are kept in self.events, in order."""

    def __init__(self, library, account, config, password=None):
        self.library, self.lib, self.account, self.password = library, library.lib, account, password
        self.events, self._next = [], 0
        self._client = ctypes.c_void_p()
        try:
            library.checked(self.lib.chat_client_new, config, ctypes.byref(self._client))
        finally:
            self.lib.chat_config_free(config)
        library.check(self.lib.chat_client_start(self._client))

    def close(self):
        if self._client:
            self.lib.chat_client_free(self._client)
            self._client = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for event in self.events[-40:]:
                print(f"# {self.account}: {event}")
        self.close()

    def read(self, timeout_ms=None):
        """The next event; None at the end.  A question for the password is answered, once."""
        event = ctypes.c_void_p()
        timeout = int(h.PATIENCE * 1000) if timeout_ms is None else timeout_ms
        err = self.lib.chat_next_event(self._client, timeout, ctypes.byref(event))
        if err == CHAT_ERR_CLOSED:
            return None
        self.library.check(err, f"{self.account} waits for an event")
        result = Event(self.lib, event)
        self.lib.chat_event_free(event)
        self.events.append(result)
        if result.type == "password_needed" and self.password is not None:
            password, self.password = self.password.encode(), None
            self.library.check(self.lib.chat_give_password(self._client, password, ctypes.c_size_t(len(password))))
        return result

    def wait(self, type, **fields):
        """The first event of this type with these fields behind the last one that was waited for."""
        while True:
            while self._next < len(self.events):
                event = self.events[self._next]
                self._next += 1
                if event.type == type and all(getattr(event, key) == value for key, value in fields.items()):
                    return event
            h.check(self.read() is not None, f"{self.account}: the end came before {type} {fields}")

    def done(self, token, err="ok"):
        """The end of a request; looked for among all events."""
        while True:
            for event in self.events:
                if event.type == "done" and event.token == token:
                    h.equal((event.err, event.text if event.err != err else ""), (err, ""), f"end of {token}")
                    return event
            h.check(self.read() is not None, f"the end came before the DONE of {token}")

    # requests: each gives its token

    def _ask(self, function, *args):
        token = ctypes.c_uint64()
        self.library.check(getattr(self.lib, function)(self._client, *args, ctypes.byref(token)))
        return token.value

    def send(self, room, text):
        data = text.encode()
        return self._ask("chat_send", ctypes.byref(room), data, ctypes.c_size_t(len(data)))

    def create(self, name):
        return self._ask("chat_create", name.encode())

    def invite(self, room, *accounts):
        names = (ctypes.c_char_p * len(accounts))(*[name.encode() for name in accounts])
        return self._ask("chat_invite", ctypes.byref(room), names, ctypes.c_size_t(len(accounts)))

    def accept(self, room):
        return self._ask("chat_accept", ctypes.byref(room))

    def decline(self, room):
        return self._ask("chat_decline", ctypes.byref(room))

    def leave(self, room):
        return self._ask("chat_leave", ctypes.byref(room))

    def set_topic(self, room, topic):
        return self._ask("chat_set_topic", ctypes.byref(room), topic.encode())

    def set_name(self, room, name):
        return self._ask("chat_set_name", ctypes.byref(room), name.encode())

    def direct(self, account):
        return self._ask("chat_direct", account.encode())

    def history(self, room, count):
        return self._ask("chat_history", ctypes.byref(room), ctypes.c_size_t(count))

    def who(self):
        return self._ask("chat_who")

    def change_password(self, old, new):
        old, new = old.encode(), new.encode()
        return self._ask("chat_change_password", old, ctypes.c_size_t(len(old)), new, ctypes.c_size_t(len(new)))

    def mark_read(self, room, seq):
        self.library.check(self.lib.chat_mark_read(self._client, ctypes.byref(room), ctypes.c_uint64(seq)))

    def trust(self, agree=True):
        self.library.check(self.lib.chat_trust_server(self._client, ctypes.c_bool(agree)))

    # what is known: dictionaries and names

    def _list(self, kind, entry, free, *args):
        pointer = ctypes.c_void_p()
        self.library.check(getattr(self.lib, kind)(self._client, *args, ctypes.byref(pointer)))
        count = ctypes.c_size_t.from_address(pointer.value).value
        entries = (entry * count).from_address(pointer.value + ctypes.sizeof(ctypes.c_size_t))
        result = [{name: getattr(e, name) for name, _ in entry._fields_} for e in entries]
        for item in result:
            for key, value in item.items():
                if isinstance(value, bytes):
                    item[key] = value.decode("utf-8", "replace")
                elif isinstance(value, Id):
                    item[key] = Id.from_buffer_copy(value)
        getattr(self.lib, free)(pointer)
        return result

    def rooms(self):
        return {room["label"]: room for room in self._list("chat_rooms", RoomInfo, "chat_room_list_free")}

    def members(self, room):
        members = self._list("chat_members", Member, "chat_member_list_free", ctypes.byref(room))
        return {member["account"]: member for member in members}

    def find_room(self, label):
        room = Id()
        self.library.check(self.lib.chat_find_room(self._client, label.encode(), ctypes.byref(room)))
        return room

    def whoami(self):
        pointer = ctypes.POINTER(Whoami)()
        self.library.check(self.lib.chat_whoami(self._client, ctypes.byref(pointer)))
        who = {name: getattr(pointer.contents, name) for name, _ in Whoami._fields_ if name != "member_id"}
        self.lib.chat_whoami_free(pointer)
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in who.items()}

    def messages(self, room=None):
        """(actor, text) of the messages seen so far, without those that answer history()."""
        return [(event.actor, event.text) for event in self.events if event.type == "message" and
                not event.flags & 1 and (room is None or event.room.hex() == room.hex())]

    def wait_message(self, text, **fields):
        return self.wait("message", text=text, **fields)


def is_digits(text):
    """Whether it is shown as ids are: 8 groups of 5 digits."""
    return re.fullmatch(r"\d{5}( \d{5}){7}", text) is not None
