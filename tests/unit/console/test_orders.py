"""Orders: whom they mean, which command they are, and what a command's end says of each machine."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.waits import until_async
from tests.unit.spec.labs import lab

from nodisk.cli import nodisk
from nodisk.console import orders
from nodisk.console.errands import KEPT, Errand, Errands, by_command
from nodisk.console.orders import Action, AnyOrder, Came, Order
from nodisk.context import LabContext
from nodisk.machines.buttons.button import Answer, Outcome, State
from nodisk.server.handlers.common import Problem
from nodisk.server.own_command import Ended
from nodisk.spec.load import load, parse
from nodisk.state import State as StateFolder

LAB = parse(
    lab(machine='seat: "1,1"', w1='name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12, seat: "2,1"'), file="x"
)
NO_CLUSTER = """\
name: wire
network: {subnet: 10.98.0.0/24, server: 10.98.0.1}
kubernetes: {engine: none}
machines: [{name: w1, mac: 52:54:00:00:00:02, address: 10.98.0.11}]
"""
W1 = Order(Action.OFF, ("w1",), everything=False)


def test_whom_an_order_means() -> None:
    def names(*asked: str, row: str = "", every: bool = False) -> tuple[str, ...]:
        found = orders.order(LAB, "off", asked, row=row, every=every)
        return found.machines if found else ()

    assert names("w1") == names("w1", "w1", "nobody") == ("w1",)
    assert names("w1", row="1") == ("cp1",)
    assert names("w1", every=True) == ("cp1", "w1")
    assert names() == names("nobody") == names(row="3") == names("w1", row="x") == ()
    assert orders.order(LAB, "rm", ["w1"]) is None
    assert orders.rows(LAB) == (1, 2)


@pytest.mark.parametrize("action", Action)
def test_each_is_a_command_that_there_is(action: Action) -> None:
    for every in (False, True):
        found = orders.order(LAB, action, ["w1"], every=every)
        assert found is not None
        words = shlex.split(found.line)
        assert words == ["nodisk", *found.command(["--all"] if every else found.machines)]
        group = nodisk.get_command(None, words[1])  # type: ignore[arg-type]
        assert group is not None
        command = group.get_command(None, words[2])  # type: ignore[attr-defined]
        context = command.make_context(words[2], [*words[3:]])
        assert context.params["every" if every else "names"]
        # What the server runs names each machine: one that came meanwhile is not switched along.
        command.make_context(words[2], list(found.words[2:]))
        assert set(found.machines) <= set(found.words)
        assert "--all" not in found.words


def test_what_came_of_it() -> None:
    both = Order(Action.OFF, ("cp1", "w1"), everything=True)
    answers = [
        Answer("cp1", "ipmi", Outcome.CONFIRMED, State.OFF, "was seen").to_json(),
        Answer("w1", "ipmi", Outcome.ASKED, State.ON, "took the request").to_json(),
    ]
    found = both.came(6, json.dumps({"machines": answers}), "error: asked\nhint: x\n")
    assert found == (Came("cp1", Outcome.CONFIRMED, "was seen"), Came("w1", Outcome.ASKED, "took the request"))
    assert orders.summary(found) == "1 confirmed, 1 asked"
    # Of whom nothing is said, nothing is known.
    found = both.came(1, json.dumps({"machines": answers[:1]}), "x\nerror: it broke\nhint: mend it\n")
    assert found[1] == Came("w1", Outcome.UNKNOWN, "it broke (mend it)")
    assert W1.came(-15, "", "")[0].detail == "the command ended with status -15"
    wake = Order(Action.WAKE, ("w1",), everything=False)
    assert wake.came(0, "sent", "")[0].outcome is Outcome.ASKED
    assert wake.came(4, "", "error: no card")[0] == Came("w1", Outcome.UNKNOWN, "no card")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["machines", "name", "outcome", "detail", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.integers(-20, 20), ANY.map(json.dumps) | st.text(), st.text())
def test_each_machine_has_one_answer_whatever_a_command_says(status: int, output: str, errors: str) -> None:
    found = Order(Action.OFF, ("cp1", "w1"), everything=True).came(status, output, errors)
    assert [one.name for one in found] == ["cp1", "w1"]
    assert all(len(one.detail) <= orders.LONGEST_DETAIL for one in found)
    assert sum(orders.counts(found).values()) == 2


def test_one_at_a_time_for_each_machine() -> None:
    async def go() -> None:
        heard: list[Errand] = []
        free = asyncio.Event()

        async def run(order: AnyOrder) -> Ended:
            await free.wait()
            return Ended(0, "", "error: x")

        errands = Errands(run)
        first = errands.begin(W1, "anna (admin)", heard.append)
        with pytest.raises(Problem) as refused:
            errands.begin(Order(Action.ON, ("cp1", "w1"), everything=True), "jan (admin)", heard.append)
        assert refused.value.status == 409
        assert "anna (admin) is changing w1 (nodisk power off w1)" in refused.value.reason
        errands.begin(Order(Action.ON, ("cp1",), everything=False), "jan (admin)", heard.append)
        assert errands.find(first.number) is first
        assert first.came is None
        free.set()
        await until_async(lambda: len(heard) >= 2, every=0, why=lambda: heard)
        assert first.came == (Came("w1", Outcome.UNKNOWN, "x"),)
        numbers = []
        for _ in range(KEPT + 5):
            numbers.append(errands.begin(W1, "anna (admin)", heard.append).number)
            await errands.close()
        assert errands.find(first.number) is None
        assert [number for number in numbers if errands.find(number)] == numbers[-KEPT:]

    asyncio.run(go())


def test_the_server_s_end_is_theirs() -> None:
    async def go() -> None:
        heard: list[Errand] = []

        async def run(order: AnyOrder) -> Ended:
            await asyncio.Event().wait()
            raise AssertionError

        errands = Errands(run)
        errand = errands.begin(W1, "anna (admin)", heard.append)
        await asyncio.sleep(0)
        await errands.close()
        assert heard == [errand]
        assert errand.came == (Came("w1", Outcome.UNKNOWN, "the server was stopped meanwhile"),)

    asyncio.run(go())


def test_the_command_itself_is_run(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(lab())
    context = LabContext(
        load(tmp_path / "lab.yaml"), tmp_path / "lab.yaml", StateFolder(tmp_path / "s").lab("room"), None
    )
    wake = Order(Action.WAKE, ("w1",), everything=False)

    async def run() -> Ended:
        return await by_command(context)(wake)

    ended = asyncio.run(run())
    assert ended.status != 0
    assert "10.77.0.1" in wake.came(ended.status, ended.output, ended.errors)[0].detail


def test_a_lab_without_a_cluster_has_no_nodes_to_empty() -> None:
    plain = parse(NO_CLUSTER, file="x")
    assert orders.order(plain, "empty", ["w1"]) is None
    assert orders.order(plain, "off", ["w1"]) is not None
    assert set(orders.actions(LAB)) - set(orders.actions(plain)) == orders.OF_CLUSTER
