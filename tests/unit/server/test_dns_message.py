"""DNS messages: what is read of any that may be sent, and that nothing else ever happens than Malformed."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.dns_messages import message, opt, record

from nodisk.plan.name_views import labels_of
from nodisk.server import dns_message
from nodisk.server.dns_message import NXDOMAIN, SERVFAIL, Authority, Malformed, encoded

LABEL = st.binary(min_size=1, max_size=63).map(bytes.lower)
NAME = st.lists(LABEL, max_size=5).map(tuple).filter(lambda name: sum(map(len, name)) + len(name) < 255)
WEB = labels_of("web.demo-ana.svc.cluster.local")


@given(NAME, st.integers(0, 65535), st.integers(0, 65535))
def test_a_question(name: tuple[bytes, ...], kind: int, number: int) -> None:
    packet = message(name, kind, number=number)
    asked = dns_message.question(packet)
    assert (asked.name, asked.kind, asked.end) == (name, kind, len(packet))
    assert dns_message.id_of(dns_message.with_id(packet, 7)) == 7
    assert dns_message.with_id(packet, number) == packet


def test_a_question_in_capitals() -> None:
    """Resolvers mix them to tell answers from forgeries, so they come back as they were."""
    packet = message((b"WeB", b"Shop", b"svc"), 1)
    assert dns_message.question(packet).name == (b"web", b"shop", b"svc")
    assert b"\3WeB\4Shop" in dns_message.refusal(packet, NXDOMAIN)


@given(NAME, st.lists(st.tuples(NAME, st.sampled_from([1, 2, 5, 12, 15, 16, 28, 33, 39, 257]), NAME), max_size=6))
def test_all_names_of_an_answer(
    asked: tuple[bytes, ...], drawn: list[tuple[tuple[bytes, ...], int, tuple[bytes, ...]]]
) -> None:
    before = {15: 2, 33: 6}
    records, wanted = [], list[tuple[bytes, ...]]()
    for owner, kind, target in drawn:
        wanted.append(owner)
        if kind in (2, 5, 12, 15, 33, 39):
            records.append(record(encoded(owner), kind, bytes(before.get(kind, 0)) + encoded(target)))
            wanted.append(target)
        else:
            records.append(record(encoded(owner), kind, b"\xff" * 4))
    found = dns_message.answer(message(asked, 1, flags=0x8180, answers=records))
    assert found.names == tuple(wanted)
    assert (found.question.name, found.code, found.records) == (asked, 0, len(drawn))


def test_compressed_names() -> None:
    """As unbound writes them: the owner is the question, the target ends in its suffix."""
    target = b"\3www" + struct.pack("!H", 0xC000 | 12 + 4)
    packet = message(WEB, 1, flags=0x8180, answers=[record(b"\xc0\x0c", 5, target), record(b"\xc0\x0c", 1, bytes(4))])
    found = dns_message.answer(packet)
    assert found.names == (WEB, (b"www", *WEB[1:]), WEB)


@pytest.mark.parametrize(
    "owner",
    [
        struct.pack("!H", 0xC000 | 12 + len(encoded(WEB)) + 4),  # to itself
        b"\1a" + struct.pack("!H", 0xC000 | 12 + len(encoded(WEB)) + 4),  # to where it began
        struct.pack("!H", 0xC000 | 4),  # into the header
        struct.pack("!H", 0xFFFF),  # beyond the end
        b"\x40a",  # a label of another kind
        b"\5ab",  # cut off
    ],
)
def test_pointers_that_lead_nowhere(owner: bytes) -> None:
    with pytest.raises(Malformed):
        dns_message.answer(message(WEB, 1, flags=0x8180, answers=[record(owner, 1, bytes(4))]))


def test_a_name_is_never_longer_than_a_name() -> None:
    """Pointers to a long name again and again would make a short packet a long work."""
    long = tuple(b"x" * 60 for _ in range(4))
    at = 12
    with pytest.raises(Malformed):
        dns_message.answer(
            message(
                long, 1, flags=0x8180, answers=[record(b"\x3f" + b"y" * 63 + struct.pack("!H", 0xC000 | at), 1, b"")]
            )
        )


@given(st.binary(max_size=300))
@example(bytes(12))
def test_any_bytes(packet: bytes) -> None:
    for read in (dns_message.question, dns_message.answer, dns_message.id_of):
        with contextlib.suppress(Malformed):
            read(packet)
    with contextlib.suppress(Malformed):
        assert len(dns_message.no_question(packet, SERVFAIL)) == 12


@given(NAME, st.binary(max_size=60), st.integers(0, 3), st.integers(0, 3))
def test_any_bytes_behind_a_question(name: tuple[bytes, ...], rest: bytes, answers: int, others: int) -> None:
    head = struct.pack("!6H", 1, 0x8180, 1, answers, 0, others)
    packet = head + message(name, 1)[12:] + rest
    try:
        found = dns_message.answer(packet)
    except Malformed:
        return
    assert found.records == answers
    assert len(found.names) >= answers + others


@pytest.mark.parametrize(
    "packet",
    [
        message(WEB, 1, flags=0x8180),  # an answer
        message(WEB, 1, flags=0x2000),  # a NOTIFY
        message(WEB, 1)[:-1],
        message(WEB, 1, group=3),
        struct.pack("!6H", 1, 0x0100, 2, 0, 0, 0) + message(WEB, 1)[12:] * 2,
        message(WEB, 1, answers=[opt()]),
        struct.pack("!6H", 1, 0x0100, 1, 0, 1, 0) + message(WEB, 1)[12:] + opt(),
        message(WEB, 1, others=[opt()] * 3),
    ],
)
def test_what_is_no_question(packet: bytes) -> None:
    with pytest.raises(Malformed):
        dns_message.question(packet)


def test_a_refusal_says_why() -> None:
    query = message(WEB, 1, number=4711, others=[opt()])
    soa = Authority(WEB[-2:], (b"ns", b"dns", *WEB[-2:]), (b"hostmaster", *WEB[-2:]), 5)
    reply = dns_message.refusal(query, NXDOMAIN, soa)
    assert struct.unpack_from("!6H", reply) == (4711, 0x8183, 1, 0, 1, 1)
    found = dns_message.answer(reply)
    assert (found.question.name, found.code, found.records) == (WEB, NXDOMAIN, 0)
    assert found.names == (WEB[-2:], ())  # the SOA's owner, and EDNS
    plain = dns_message.refusal(message(WEB, 1), SERVFAIL)
    assert struct.unpack_from("!6H", plain)[2:] == (1, 0, 0, 0)


class Counted(bytes):
    """Bytes that know how often one of them was looked at."""

    looks = 0

    def __getitem__(self, key: Any) -> Any:
        self.looks += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("records", [2, 1000])
def test_a_ladder_of_pointers_is_not_climbed(records: int) -> None:
    """Each leads to the one before: a server that follows them for each record does nothing else for seconds."""
    query = message(WEB, 1)
    foot = len(query) + 11
    ladder = b"\0" + b"".join(struct.pack("!H", 0xC000 | foot + max(0, 2 * step - 1)) for step in range(5000))
    top = struct.pack("!H", 0xC000 | foot + len(ladder) - 2)
    packet = Counted(message(WEB, 1, others=[record(b"\0", 16, ladder), *[record(top, 16, b"")] * (records - 1)]))
    with contextlib.suppress(Malformed):
        assert struct.unpack_from("!6H", dns_message.refusal(packet, SERVFAIL))[5] == 0
    assert packet.looks < 50


@given(NAME, NAME, st.booleans())
def test_edns_is_found_behind_any_owner(name: tuple[bytes, ...], owner: tuple[bytes, ...], signed: bool) -> None:
    others = [record(encoded(owner), 250, b"signature"), opt()] if signed else [opt()]
    reply = dns_message.refusal(message(name, 1, others=others), SERVFAIL)
    assert struct.unpack_from("!6H", reply)[5] == 1
    assert not dns_message.answer(reply).cut
