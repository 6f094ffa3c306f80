"""Which names, addresses and seats machines get; and what is refused, with what to do."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES, lab

from nodisk.errors import UsageError
from nodisk.machines import adopt, vendors
from nodisk.machines.adopt import Wish
from nodisk.spec.change import Edit
from nodisk.spec.load import parse
from nodisk.spec.model import Machine
from nodisk.values import Mac, Name, Role, Seat


def mac(number: int) -> Mac:
    return Mac.parse(f"8c:ec:4b:00:00:{number:02x}")


def adopted(text: str, macs: list[Mac], wish: Wish, **more: object) -> tuple[Machine, ...]:
    old = parse(text, file="lab.yaml")
    edit = adopt.adopt(text, old, macs, wish, **more)  # type: ignore[arg-type]
    assert parse(edit.text, file="lab.yaml").machines == edit.machines
    return edit.machines[len(old.machines) :]


def test_the_next_names_addresses_and_seats() -> None:
    made = adopted(TEN_LINES, [mac(3), mac(1), mac(2)], Wish(columns=2), taken={IPv4Address("10.77.0.14")})
    assert [(str(one.name), str(one.address), str(one.seat)) for one in made] == [
        ("w2", "10.77.0.13", "1,1"),
        ("w3", "10.77.0.15", "1,2"),
        ("w4", "10.77.0.16", "2,1"),
    ]
    assert [one.mac for one in made] == [mac(3), mac(1), mac(2)]


def test_gaps_are_filled_and_seats_that_are_taken_left_out() -> None:
    text = lab(w1='name: w2, mac: 52:54:00:00:00:02, address: 10.77.0.13, seat: "1,1"')
    made = adopted(text, [mac(1), mac(2)], Wish(columns=3))
    assert [(str(one.name), str(one.address), str(one.seat)) for one in made] == [
        ("w1", "10.77.0.12", "1,2"),
        ("w3", "10.77.0.14", "1,3"),
    ]


def test_what_was_given_is_what_it_gets() -> None:
    wish = Wish(Role.CONTROL_PLANE, Name("boss"), IPv4Address("10.77.0.99"), seat=Seat(9, 9))
    (made,) = adopted(TEN_LINES, [mac(1)], wish)
    assert (str(made.name), str(made.address), made.role, made.seat) == (
        "boss",
        "10.77.0.99",
        Role.CONTROL_PLANE,
        Seat(9, 9),
    )
    (other,) = adopted(TEN_LINES, [mac(1)], Wish(Role.CONTROL_PLANE))
    assert str(other.name) == "cp2"
    (other,) = adopted(TEN_LINES, [mac(1)], Wish(prefix="cp"))
    assert (str(other.name), other.role) == ("cp2", Role.WORKER)


@given(st.integers(0, 40), st.sets(st.integers(1, 254), max_size=230))
def test_nobody_gets_what_another_has(count: int, used: set[int]) -> None:
    text = lab()
    taken = {IPv4Address(f"10.77.0.{number}") for number in used}
    macs = [mac(number) for number in range(count)]
    named = {IPv4Address(f"10.77.0.{number}") for number in (1, 254, 11, 12)}
    if len(named | taken) + count > 254:
        with pytest.raises(UsageError, match=r"no address of 10.77.0.0/24 is free"):
            adopted(text, macs, Wish(), taken=taken)
        return
    made = adopted(text, macs, Wish(), taken=taken)
    assert not {one.address for one in made} & (named | taken)
    assert len({one.address for one in made}) == len({one.name for one in made}) == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text, lab: adopt.adopt(text, lab, [lab.machines[1].mac], Wish()), "is in lab.yaml already: it is w1"),
        (lambda text, lab: adopt.adopt(text, lab, [mac(1)], Wish(name=Name("w1"))), "the name w1 is taken"),
        (lambda text, lab: adopt.adopt(text, lab, [mac(1)], Wish(name=Name("server"))), "is reserved"),
        (
            lambda text, lab: adopt.adopt(text, lab, [mac(1)], Wish(address=IPv4Address("10.77.0.1"))),
            "10.77.0.1 is the server's address",
        ),
        (
            lambda text, lab: adopt.adopt(text, lab, [mac(1)], Wish(address=IPv4Address("10.77.0.12"))),
            "10.77.0.12 is w1's address",
        ),
        (lambda text, lab: adopt.rename(text, lab, "w1", Name("cp1")), "the name cp1 is taken"),
        (lambda text, lab: adopt.rename(text, lab, "w7", Name("w8")), "has no machine 'w7'"),
        (lambda text, lab: adopt.swap(text, lab, "w1", lab.machines[0].mac), "it is cp1's"),
        (lambda text, lab: adopt.swap(text, lab, "w1", lab.machines[1].mac), "has that MAC already"),
        (lambda text, lab: adopt.forget(text, lab, "w7"), "has no machine 'w7'"),
    ],
)
def test_what_is_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError) as refused:
        change(TEN_LINES, parse(TEN_LINES, file="lab.yaml"))
    assert message in refused.value.message
    assert refused.value.hint


def test_rename_swap_and_forget() -> None:
    old = parse(TEN_LINES, file="lab.yaml")

    def machines(edit: Edit) -> list[str]:
        found = parse(edit.text, file="lab.yaml").machines
        assert found == edit.machines
        return [f"{one.name} {one.mac}" for one in found]

    cp1 = "cp1 52:54:00:00:00:01"
    assert machines(adopt.rename(TEN_LINES, old, "w1", Name("window"))) == [cp1, "window 52:54:00:00:00:02"]
    assert machines(adopt.swap(TEN_LINES, old, "w1", mac(1))) == [cp1, "w1 8c:ec:4b:00:00:01"]
    assert machines(adopt.forget(TEN_LINES, old, "w1")) == [cp1]


IEEE = "OUI/MA-L\r\n\r\n8C-EC-4B   (hex)\t\tDell Inc.\r\n8CEC4B     (base 16)\t\tDell Inc.\r\n\t\t\t\tOne Way\r\n"
UDEV = "# comment\n\nOUI:8CEC4B*\n ID_OUI_FROM_DATABASE=Dell Inc.\n"


@pytest.mark.parametrize(("name", "text"), [("oui.txt", IEEE), ("20-OUI.hwdb", UDEV)])
def test_makers_of_cards(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    virtual, other = Mac.parse("52:54:00:00:00:01"), Mac.parse("00:00:01:00:00:01")
    found = vendors.vendors([mac(1), virtual, other], [tmp_path / "absent", file])
    assert found == {mac(1): "Dell Inc.", virtual: "locally administered", other: None}
    assert vendors.vendors([mac(1)], [tmp_path / "absent"]) == {mac(1): None}
