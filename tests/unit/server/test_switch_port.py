"""Which switch port a machine tells of: LLDP's values, from whoever is on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.plan import boot
from nodisk.records import sightings, switch_port
from nodisk.values import Mac

M1 = Mac(0x8CEC4B000001)
MAC = bytes.fromhex("8cec4b000001")


@pytest.mark.parametrize(
    ("chassis", "port", "read"),
    [
        (b"\4" + MAC, b"\5GigabitEthernet1/0/7", ("8c:ec:4b:00:00:01", "GigabitEthernet1/0/7")),
        (b"\5\1\x0a\x4d\0\xfe", b"\3" + MAC, ("10.77.0.254", "8c:ec:4b:00:00:01")),
        (b"\7room-switch\0more", b"\7 12 ", ("room-switch", "12")),
        (b"\4short", b"\4\2" + MAC, ("short", "\2\x8c\xecK".encode("latin-1").decode("utf-8", "replace"))),
        (b"", b"", ("", "")),
        (b"\4", b"\5", ("", "")),
    ],
)
def test_ids(chassis: bytes, port: bytes, read: tuple[str, str]) -> None:
    values = {"chassis": chassis, "port": port}
    assert (switch_port.switch(values), switch_port.port(values)) == read


def test_a_switch_goes_by_its_name() -> None:
    assert switch_port.switch({"chassis": b"\4" + MAC, "system": b"sw1.example"}) == "sw1.example"


@given(st.dictionaries(st.sampled_from([*boot.LLDP]), st.binary(max_size=255)))
def test_whatever_a_switch_says_is_a_line_of_ascii(values: dict[str, bytes]) -> None:
    said = sightings.said({f"hex.{name}": value.hex() for name, value in values.items()})
    assert said.keys() <= {"switch", "port"}
    for text in (*said.values(), sightings.place(said), sightings.board(said)):
        assert text.isascii()
        assert text.isprintable()
    assert all(len(text) <= sightings.MAX_VALUE for text in said.values())


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=20))
def test_any_ports_can_be_sorted(ports: list[tuple[str, str]]) -> None:
    assert len(sorted(ports, key=lambda one: switch_port.order(*one))) == len(ports)


def test_numbers_in_ports_count_as_numbers() -> None:
    ports = [("sw1", f"Gi1/0/{number}") for number in (1, 2, 9, 10, 24)] + [("sw2", "1"), ("sw10", "1")]
    mixed = [*ports[3:], *ports[:3]]
    assert sorted(mixed, key=lambda one: switch_port.order(*one)) == ports


def test_a_machine_that_hangs_elsewhere() -> None:
    one = {"switch": "sw1", "port": "7"}
    assert sightings.moved(one, {"switch": "sw1", "port": "8"}) == "another switch port: sw1 8; before: sw1 7"
    assert not sightings.moved(one, dict(one))
    assert not sightings.moved(one, {}), "no frame came yet"
    assert not sightings.moved({}, one)
