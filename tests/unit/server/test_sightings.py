"""Machines that lab.yaml doesn't know: what is noted of them, and how much at most."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.records import sightings
from nodisk.records.database import Database
from nodisk.records.sightings import FIELDS, KEEP, MAX_VALUE
from nodisk.values import Mac

M1, M2 = Mac(0x8CEC4B000001), Mac(0x8CEC4B000002)


def test_what_is_told_once_stays(tmp_path: Path) -> None:
    clock = iter(range(100))
    with Database(tmp_path / "nodisk.db", now=lambda: float(next(clock))) as database:
        seen = database.sightings
        seen.see(M2)
        seen.see(
            M1, address=IPv4Address("10.0.0.7"), said={"product": "OptiPlex", "memsize": "8066", "platform": "efi"}
        )
        seen.see(M2, address=IPv4Address("10.0.0.8"), said={"serial": "X1"})
        seen.see(M1)
        first, second = seen.all()
    assert (first.mac, first.first, first.last, first.said) == (M2, 0, 2, {"serial": "X1"})
    assert (second.mac, second.address, second.memory_mib, second.firmware) == (
        M1,
        IPv4Address("10.0.0.7"),
        8066,
        "UEFI",
    )
    assert second.to_json()["product"] == "OptiPlex"


def test_invented_macs_push_out_the_oldest_only(tmp_path: Path) -> None:
    clock = iter(range(10 * KEEP))
    with Database(tmp_path / "nodisk.db", now=lambda: float(next(clock))) as database:
        for number in range(KEEP + 5):
            database.sightings.see(Mac(number + 2))
        found = database.sightings.all()
        assert len(found) == KEEP
        assert found[0].mac == Mac(7)
        assert database.sightings.forget(Mac(7))
        assert not database.sightings.forget(Mac(7))


def test_nobody_pushes_out_a_machine_of_the_lab(tmp_path: Path) -> None:
    clock = iter(range(10 * KEEP))
    with Database(tmp_path / "nodisk.db", now=lambda: float(next(clock))) as database:
        database.sightings.see(M1, said={"serial": "X1"}, known=[M1])
        for number in range(KEEP + 5):
            database.sightings.see(Mac(number + 2), known=[M1])
        found = database.sightings.of(M1)
        assert found
        assert found.said == {"serial": "X1"}
        assert len(database.sightings.all()) == KEEP + 1
        assert database.sightings.of(M2) is None


@given(st.binary(min_size=1, max_size=MAX_VALUE))
def test_a_makers_text_comes_through(text: bytes) -> None:
    printable = re.sub(rb"[^ -~]", b"?", text).strip().decode()
    assert sightings.said({"hex.product": text.hex()}) == ({"product": printable} if printable else {})


@pytest.mark.parametrize(("digits", "read"), [("4142zz", "AB"), ("414", "A"), ("zz", ""), ("41 42", "A"), ("Aé", "")])
def test_digits_that_are_none(digits: str, read: str) -> None:
    assert sightings.said({"hex.serial": digits}).get("serial", "") == read


def test_what_tells_two_machines_apart() -> None:
    one = {"product": "OptiPlex", "uuid": "4C4C", "serial": "A"}
    assert not sightings.another(one, {**one, "product": "Latitude", "uuid": "4c4c"})
    assert not sightings.another(one, {})
    assert not sightings.another({}, one)
    assert sightings.another(one, {"serial": "B"})
    assert sightings.another(one, {**one, "uuid": "4c4d"})
    assert sightings.board({}) == "a PC"


@given(st.dictionaries(st.sampled_from([*FIELDS, "hex.product", "hex.serial", "evil"]), st.text(max_size=200)))
def test_whatever_a_machine_says_is_a_line_of_ascii(values: dict[str, str]) -> None:
    said = sightings.said(values)
    assert said.keys() <= set(FIELDS)
    for value in (*said.values(), sightings.words(said), sightings.board(said)):
        assert value.isascii()
        assert value.isprintable()
    assert all(len(value) <= MAX_VALUE for value in said.values())
