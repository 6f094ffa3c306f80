"""The room off and on again, each with one command; then as it was, to the object."""

from __future__ import annotations

import json
import re

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver

from nodisk.machines.power import Power

pytestmark = [pytest.mark.vm, pytest.mark.apart]

OVER = 1.10
"""How much longer `room on` may take until all are Ready than `lab up` did, whose machines form the cluster first."""


def first_boot(vm: Driver) -> float:
    """Seconds from power-on until the last machine was Ready, in `lab up`'s own table."""
    said = vm.file.with_name("up.log").read_text()
    ready = [int(one) for one in re.findall(r"^\S+ +(?:control-plane|worker) .* (\d+) *$", said, re.MULTILINE)]
    assert len(ready) == 3, said
    return max(ready)


def test_off_and_on_again(vm: Driver) -> None:
    before = vm.boot_ids()
    vm("kubectl", "create", "configmap", "over-night", "--from-literal=year=1848")
    off = json.loads(vm("room", "off", "--output", "json", timeout=BOOT_WITHIN).stdout)["machines"]
    assert {one["outcome"] for one in off} == {"confirmed"}, off
    assert [one["name"] for one in off] == ["w1", "w2", "cp1"], "the control plane last"
    context = vm.context()
    power = Power(context.lab, context.state)
    assert [power.pid(machine) for machine in context.lab.machines] == [None] * 3
    assert vm.status()["armed"] is False
    try:
        on = json.loads(vm("room", "on", "--for", f"{BOOT_WITHIN:g}s", "--output", "json", timeout=1800).stdout)
        assert on["missing"] == {}
        print(f"Ready after {on['seconds']:.0f} s; in lab up after {first_boot(vm):.0f} s")
        assert on["seconds"] <= OVER * first_boot(vm)
        assert vm.status()["armed"] is False, "disarmed when all are Ready"
        assert set(before.values()).isdisjoint(vm.boot_ids().values())
        assert vm.kubectl("get", "configmap", "over-night")["data"] == {"year": "1848"}
        nodes = vm.kubectl("get", "nodes")["items"]
        assert not any(node["spec"].get("unschedulable") for node in nodes), "open to pods again"
    finally:
        vm("arm", "--for", "always")  # for the tests that come after
    vm("kubectl", "delete", "configmap", "over-night")
