"""A week by the timetable: five lessons, each of which ends by itself, and nothing of the cluster is lost in any night.

Each machine has a disk with a system and somebody's files. Between lessons it boots that, and nobody ever writes to it.
The server's clock is the real one, so the week's five lessons all are today; weeks on a clock that runs fast are in
``tests/unit/server/test_timetable.py``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.vm.driver import Driver, lab_of_its_own
from tests.vm.marker_disks import Disks, says

from nodisk.assets.container_images import ECHO
from nodisk.machines.power import Power
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.lessons import DAYS

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-week
network: {subnet: 10.93.0.0/24, server: 10.93.0.1}
os: {kernel: cloud}
machines:
  - {name: cp1, mac: "52:54:00:93:00:0b", address: 10.93.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:93:00:15", address: 10.93.0.21, memory: 1GiB}
"""
WEEK = DAYS[:5]
NAMES = ("cp1", "w1")
MINUTE = timedelta(minutes=1)
LONG = timedelta(hours=2)
"""A lesson's length until it is known when it may end."""
BY = "timetable: "
KEPT = ("namespaces", "nodes", "configmaps", "deployments", "services", "serviceaccounts", "clusterroles")
PROOF = "nodisk-verify-"
"""Of the proof that ends each `room on`; its namespace may be just about to go."""


class Room:
    """The lab, and its timetable's only lesson."""

    def __init__(self, driver: Driver, disks: Disks) -> None:
        self.driver, self.disks = driver, disks
        context = driver.context()
        self.state, self.power = context.state, Power(context.lab, context.state)
        self._since = self._begin = datetime.now(UTC)

    def begins(self) -> None:
        """The next lesson begins in one minute or two; the room is switched on a minute before."""
        self._begin = _next_minute(after=MINUTE)
        self._write(self._begin + LONG)

    def ends(self) -> None:
        """It ends at the next full minute, or the one after."""
        self._write(_next_minute(after=MINUTE / 3))

    def _write(self, end: datetime) -> None:
        lesson = f"{DAYS[self._begin.weekday()]} {self._begin:%H:%M}-{end:%H:%M}"
        timetable = f"timetable: {{lessons: ['{lesson}'], timezone: UTC, lead: 1m}}\n"
        self._since = datetime.now(UTC)
        self.driver.file.write_text(LAB + timetable)
        assert running.reload(self.state)

    def switched(self, turn: str) -> None:
        """Wait until the timetable says that all of the room is ``on`` or ``off``; nothing may have gone wrong."""
        what = f"the timetable has switched the room {turn}"
        self.driver.wait(lambda: any(one.startswith("the room ") for one in self._said()), what, seconds=2700)
        assert self._said()[-1] == f"the room is {turn}", self._said()

    def _said(self) -> list[str]:
        with Database(self.state.database, reading=True) as database:
            events = database.events(since=self._since.timestamp(), kinds=(Kind.DAEMON,))
        return [one.detail.removeprefix(BY) for one in events if one.detail.startswith(BY)]

    def boots_its_disk(self, name: str) -> None:
        """Switch a machine on, see that it boots its own disk, and cut its power."""
        printed = len(self.driver.console(name))
        self.driver("lab", "power", name, "on")
        self.driver.wait(lambda: says(name) in self.driver.console(name)[printed:], f"{name} boots its own disk")
        self.driver("lab", "power", name, "cut")

    def objects(self) -> dict[str, str]:
        """Kind, namespace and name → the UID of all that a night must not take or make anew."""
        found = {}
        for kind in KEPT:
            for item in self.driver.kubectl("get", kind, "--all-namespaces")["items"]:
                about = item["metadata"]
                names = (item["kind"], about.get("namespace", ""), about["name"])
                if not any(name.startswith(PROOF) for name in names):
                    found["/".join(names)] = about["uid"]
        return found


def _next_minute(*, after: timedelta) -> datetime:
    """The first full minute that is at least so far away."""
    return (datetime.now(UTC) + after + MINUTE).replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("vmtest-week")
    disks = Disks(folder, NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{disks.programs}:{os.environ['PATH']}")
        with lab_of_its_own(folder, LAB) as driver:
            driver("build", timeout=1800)
            driver.start_server()
            driver("disarm")  # the server of a virtual lab arms it for as long as it runs
            yield Room(driver, disks)


def deployment(path: Path) -> Path:
    """One echo, which runs on each day."""
    labels = {"app": "echo"}
    pod = {"containers": [{"name": "main", "image": ECHO}]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    path.write_text(
        json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo"}, "spec": spec})
    )
    return path


def test_a_week(room: Room, tmp_path: Path) -> None:
    driver, disks = room.driver, room.disks.hashes()
    kept: dict[str, str] = {}
    for day in WEEK:
        began = time.monotonic()
        room.begins()
        room.switched("on")
        on = time.monotonic() - began
        now = room.objects()
        assert {key: now.get(key) for key in kept} == kept, f"lost before {day}"
        if not kept:
            driver("kubectl", "apply", "-f", str(deployment(tmp_path / "echo.json")))
        driver("kubectl", "create", "configmap", f"of-{day}", f"--from-literal=day={day}")
        driver("kubectl", "wait", "--for=condition=Available", "deployment/echo", "--timeout=580s", timeout=700)
        kept = room.objects()
        room.ends()
        room.switched("off")
        assert [room.power.pid(machine) for machine in driver.context().lab.machines] == [None, None]
        room.boots_its_disk("w1")
        print(f"{day}: on after {on:.0f} s, all done after {time.monotonic() - began:.0f} s; {len(kept)} objects")
    room.boots_its_disk("cp1")
    assert {f"ConfigMap/default/of-{day}" for day in WEEK} <= kept.keys()
    assert room.disks.hashes() == disks
