"""DNS messages (RFC 1035, section 4), as far as one who passes them on must understand them.

Bytes in, values out, and back: no sockets. What can't be read raises Malformed: the names in it can't be judged then.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from nodisk.plan.name_views import Labels

HEADER = 12
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
_IN = 1
_SOA, _OPT = 6, 41
_NAMES_IN: dict[int, int] = {2: 0, 5: 0, 12: 0, 15: 2, 33: 6, 39: 0}
"""Types whose data end in a name → bytes before it: NS, CNAME, PTR, MX, SRV, DNAME."""
_LONGEST_NAME, _LONGEST_LABEL = 255, 63
_QR, _OPCODE, _TC, _RD, _RA = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
_MOST_BEHIND = 2
"""Records behind a query's question: EDNS and a signature (RFC 8945)."""
_EDNS_SIZE = 1232


class Malformed(ValueError):
    """Bytes that are no DNS message, or none of a kind that is passed on."""


class Question(NamedTuple):
    """What a message asks, or answers."""

    name: Labels
    kind: int
    """The type of record."""
    end: int
    """Where it ends in the message."""


class Answer(NamedTuple):
    """What an answer has."""

    question: Question
    code: int
    """The response code in the header."""
    records: int
    """In the section for answers."""
    names: tuple[Labels, ...]
    """Of all records: whose they are, and what they point to."""
    cut: bool
    """Not all had room (TC): there may be more names."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What a name that is not there is not there by: the SOA record of its zone."""

    zone: Labels
    master: Labels
    mailbox: Labels
    ttl: int
    """Seconds for which others may remember."""


def question(packet: bytes) -> Question:
    """The question of a query: exactly one, in class IN, with nothing behind it but EDNS and a signature."""
    _, flags, count, answers, authorities, others = _head(packet)
    if flags & (_QR | _OPCODE) or count != 1:
        raise Malformed("not a query with one question")
    if answers or authorities or others > _MOST_BEHIND:
        raise Malformed("a query that brings records")
    return _question(packet, {})


def answer(packet: bytes) -> Answer:
    """All that an answer to one question tells by names. A truncated one has fewer records."""
    _, flags, count, answers, authorities, others = _head(packet)
    if not flags & _QR or count != 1:
        raise Malformed("not an answer to one question")
    known: dict[int, Labels] = {}
    asked = _question(packet, known)
    names: list[Labels] = []
    at = asked.end
    for _ in range(answers + authorities + others):
        at = _record(packet, at, known, names)[1]
    return Answer(asked, flags & 0xF, answers, tuple(names), bool(flags & _TC))


def with_id(packet: bytes, number: int) -> bytes:
    """The message under another id."""
    return struct.pack("!H", number) + packet[2:]


def id_of(packet: bytes) -> int:
    """The message's id; raises Malformed if it is too short for a header."""
    return _head(packet)[0]


def refusal(query: bytes, code: int, authority: Authority | None = None, *, cut: bool = False) -> bytes:
    """An answer without records to a query that ``question`` has read.

    ``authority``: with that SOA record. ``cut``: it tells to ask again by TCP.
    """
    asked = question(query)
    number, flags = _head(query)[:2]
    soa = b"" if authority is None else _soa(authority)
    opt = b"\0" + struct.pack("!HHIH", _OPT, _EDNS_SIZE, 0, 0) if _has_opt(query, asked.end) else b""
    flags = _QR | (_TC if cut else 0) | flags & _RD | _RA | code
    head = struct.pack("!6H", number, flags, 1, 0, bool(soa), bool(opt))
    return head + query[HEADER : asked.end] + soa + opt


def no_question(packet: bytes, code: int) -> bytes:
    """An answer to what can't be read beyond its header; raises Malformed if not even that is there, or it is no query.

    An answer to an answer would go to and fro for ever.
    """
    number, flags = _head(packet)[:2]
    if flags & _QR:
        raise Malformed("not a query")
    return struct.pack("!6H", number, _QR | flags & (_OPCODE | _RD) | _RA | code, 0, 0, 0, 0)


def encoded(name: Labels) -> bytes:
    """A name as it is in a message, without compression."""
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0"


def _head(packet: bytes) -> tuple[int, int, int, int, int, int]:
    if len(packet) < HEADER:
        raise Malformed("shorter than a header")
    number, flags, questions, answers, authorities, others = struct.unpack_from("!6H", packet)
    return number, flags, questions, answers, authorities, others


def _question(packet: bytes, known: dict[int, Labels]) -> Question:
    name, at = _name(packet, HEADER, known)
    try:
        kind, group = struct.unpack_from("!2H", packet, at)
    except struct.error:
        raise Malformed("a question that is cut off") from None
    if group != _IN:
        raise Malformed("not of class IN")
    return Question(name, kind, at + 4)


def _record(packet: bytes, at: int, known: dict[int, Labels], names: list[Labels]) -> tuple[int, int]:
    """A record's type and end; its names are added to ``names``."""
    owner, at = _name(packet, at, known)
    try:
        kind, _, _, length = struct.unpack_from("!HHIH", packet, at)
    except struct.error:
        raise Malformed("a record that is cut off") from None
    at += 10
    end = at + length
    if end > len(packet):
        raise Malformed("data that are cut off")
    names.append(owner)
    if (before := _NAMES_IN.get(kind)) is not None:
        name, stop = _name(packet, at + before, known)
        if stop > end:
            raise Malformed("a name beyond its record")
        names.append(name)
    return kind, end


def _name(packet: bytes, at: int, known: dict[int, Labels]) -> tuple[Labels, int]:
    """The name at ``at`` and where it ends; ``known``: names that have been read, by their places.

    A pointer must lead back (section 4.1.4: to a *prior* occurrence), so following them comes to an end.
    """
    labels: list[bytes] = []
    place, end, length = at, -1, 1
    try:
        # Nearly all: a pointer to the question.
        if packet[at] & 0xC0 == 0xC0 and (whole := known.get((packet[at] & 0x3F) << 8 | packet[at + 1])) is not None:
            return whole, at + 2
        while size := packet[place]:
            if size & 0xC0 == 0xC0:
                target = (size & 0x3F) << 8 | packet[place + 1]
                end = place + 2 if end < 0 else end
                if target >= place or target < HEADER:
                    raise Malformed("a pointer that doesn't lead back")
                if (rest := known.get(target)) is not None:
                    labels += rest
                    length += sum(map(len, rest)) + len(rest)
                    break
                place = target
                continue
            if size > _LONGEST_LABEL:
                raise Malformed("a label of a kind that is not known")
            label = packet[place + 1 : place + 1 + size]
            length += size + 1
            if len(label) != size or length > _LONGEST_NAME:
                raise Malformed("a label that is cut off, or a name that is too long")
            labels.append(label.lower())
            place += size + 1
        else:
            end = place + 1 if end < 0 else end
    except IndexError:
        raise Malformed("a name that is cut off") from None
    if length > _LONGEST_NAME:
        raise Malformed("a name that is too long")
    known[at] = tuple(labels)
    return known[at], end


def _has_opt(query: bytes, at: int) -> bool:
    """Whether a query speaks EDNS: then so must its answer (RFC 6891, section 7).

    Whose the records are doesn't matter, so no pointer is followed: the work grows with the query's length only.
    """
    try:
        for _ in range(_head(query)[5]):
            at = _behind_owner(query, at)
            kind, _, _, length = struct.unpack_from("!HHIH", query, at)
            if kind == _OPT:
                return True
            at += 10 + length
    except (IndexError, struct.error):
        pass
    return False


def _behind_owner(packet: bytes, at: int) -> int:
    """Where the name at ``at`` ends; raises IndexError."""
    while size := packet[at]:
        if size & 0xC0:
            return at + 2
        at += size + 1
    return at + 1


def _soa(authority: Authority) -> bytes:
    data = encoded(authority.master) + encoded(authority.mailbox)
    data += struct.pack("!5I", 1, 7200, 1800, 86400, authority.ttl)
    return encoded(authority.zone) + struct.pack("!HHIH", _SOA, _IN, authority.ttl, len(data)) + data
