"""A machine's page: conditions of its node, pods by student, RAM beside the budget, what it loaded; and who sees it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.support.hostile import EVIL
from tests.unit.console.consoles import AWAY, W1, Room
from tests.unit.console.test_door import class_, student

from nodisk.classes.on_node import OnNode, on_node
from nodisk.classes.own import Together, Used
from nodisk.classes.record import Class
from nodisk.console import machine_node
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.kube.errors import Unreachable
from nodisk.machines.asked import Api, Asked, NodeView
from nodisk.records.console_access import ConsoleRole
from nodisk.values import Stage

NODE = {
    "metadata": {"name": "w1"},
    "status": {
        "conditions": [
            {"type": "MemoryPressure", "status": "True", "message": f"short of memory {EVIL[0]}"},
            {"type": "Ready", "status": "True", "reason": "KubeletReady"},
        ]
    },
}


def pod(namespace: str, name: str, phase: str = "Running") -> dict[str, object]:
    return {"metadata": {"namespace": namespace, "name": name}, "status": {"phase": phase}}


PODS = [
    pod("kube-system", "coredns"),
    pod("k8s-jan-kowalski", EVIL[0]),
    pod("k8s-ewa-zak", "web"),
    pod("k8s-ewa-zak", "done", "Succeeded"),
]


@pytest.fixture
def asked(room: Room) -> list[str]:
    """A cluster with that node, and what was asked of it."""
    found: list[str] = []

    def ask(_: LabContext, name: str, classes: Iterable[Class]) -> OnNode | None:
        found.append(name)
        return on_node(NODE, PODS, classes)

    room.console.on_node = ask
    return found


def page(room: Room, role: ConsoleRole = ConsoleRole.ADMIN, *, answers: bool = True) -> str:
    browser = room.browser().sign_in("anna", role)
    answer = Asked(Api.ANSWERS, {"w1": NodeView("True", "v1.36.2", None)}, "API answers") if answers else AWAY
    room.console.snapshot = Snapshot(room.console.context, ask=lambda _: answer)
    return browser.get("/machine/w1").text


def test_whose_pods_are_there_and_what_its_node_says(room: Room, asked: list[str]) -> None:
    class_(room)
    shown = page(room)
    assert asked == ["w1"]
    assert "Jan Kowalski (k8s)" in shown
    assert shown.index("Ewa Żak (k8s)") < shown.index("Jan Kowalski (k8s)") < shown.index("coredns")
    assert "done" not in shown.partition("Pods (3)")[2].partition("</table>")[0]
    assert '<tr class="failed"><th scope="row">MemoryPressure</th><td>True</td>' in shown
    assert EVIL[0] not in shown


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_others_don_t_see_students_there(room: Room, asked: list[str], role: ConsoleRole) -> None:
    class_(room)
    shown = page(room, role)
    assert "Kowalski" not in shown
    assert asked == []


def test_where_the_api_is_away(room: Room, asked: list[str]) -> None:
    assert "MemoryPressure" not in page(room, answers=False)

    def away(*_: object) -> OnNode | None:
        raise Unreachable("it is away")

    room.console.on_node = away
    assert "MemoryPressure" not in page(room)


def test_ram_beside_the_budget_and_what_was_loaded(room: Room) -> None:
    room.database.set_ram(W1, {"total": 1024, "available": 600, "rootfs": 140, "odd": 3})
    room.report(Stage.READY)
    shown = page(room, ConsoleRole.VIEWER, answers=False)
    table = shown.partition("RAM when it was ready")[2].partition("</table>")[0]
    assert [table.index(word) for word in ("total", "available", "rootfs", "odd")] == sorted(
        table.index(word) for word in ("total", "available", "rootfs", "odd")
    )
    assert '<th scope="row">rootfs</th><td>140</td><td>130</td>' in table
    assert '<th scope="row">odd</th><td>3</td><td>–</td>' in table


def test_kinds_of_ram_in_order() -> None:
    found = machine_node.ram({"b": 5, "available": 1, "a": 5, "total": 9, "c": 7}, {"a": 4})
    assert found == [
        ("total", 9, None),
        ("available", 1, None),
        ("c", 7, None),
        ("a", 5, 4),
        ("b", 5, None),
    ]


def test_a_class_s_page_says_who_uses_how_much_and_when_they_were_here(room: Room) -> None:
    found = class_(room)
    used = (Used("Pods", "2", "10"), Used("Memory", "0", "1Gi"))
    room.console.together = lambda *_: Together((), {one.key: used for one in found.students})
    student(room, found)
    shown = room.browser().sign_in().get("/class/k8s").text
    rows = {name: shown.partition(name)[2].partition("</tr>")[0] for name in ("Jan Kowalski", "Ewa Żak")}
    assert "Pods 2/10" in rows["Jan Kowalski"]
    assert "Memory" not in rows["Jan Kowalski"]
    assert rows["Jan Kowalski"].count("<time") == rows["Ewa Żak"].count("<time") + 1

    def away(*_: object) -> Together:
        raise Unreachable("it is away")

    room.console.together = away
    assert "Jan Kowalski" in room.browser().sign_in().get("/class/k8s").text
