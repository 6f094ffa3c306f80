"""What is computed of a lab, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from nodisk.spec.model import Lab, macs
from nodisk.spec.once import once
from nodisk.values import Mac


def lab(*last: int) -> Lab:
    machines = [
        {"name": f"m{n}", "mac": f"52:54:00:77:00:{n:02x}", "address": f"10.77.0.{n}", "role": "control-plane"}
        for n in last
    ]
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    return Lab.model_validate({"name": "room", "network": network, "machines": machines})


def test_each_lab_is_computed_once_while_it_is_asked_about() -> None:
    asked: list[int] = []

    @once
    def count(of: Lab) -> int:
        asked.append(len(of.machines))
        return len(of.machines)

    one, two = lab(2), lab(2, 3)
    assert [count(one), count(one), count(two), count(two), count(one)] == [1, 1, 2, 2, 1]
    assert asked == [1, 2, 1]


def test_threads_that_ask_about_different_labs_get_their_own_answers() -> None:
    @once
    def count(of: Lab) -> int:
        return len(of.machines)

    labs = [lab(*range(2, 2 + number)) for number in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda number: count(labs[number % 3]), range(3000)))
    assert found == [number % 3 + 1 for number in range(3000)]


def test_a_changed_copy_of_a_lab_is_another() -> None:
    before = lab(2, 3)
    assert before.by_mac(Mac.parse("52:54:00:77:00:03")) is before.machines[1]
    after = before.model_copy(update={"machines": before.machines[:1]})
    assert after.by_mac(Mac.parse("52:54:00:77:00:03")) is None
    assert after.by_address(IPv4Address("10.77.0.2")) is before.machines[0]
    assert after.by_address(IPv4Address("10.77.0.3")) is None
    assert (len(macs(before)), len(macs(after))) == (2, 1)


def test_of_two_with_one_mac_the_first_counts() -> None:
    both = lab(2, 2)
    assert both.by_mac(both.machines[0].mac) is both.machines[0]
