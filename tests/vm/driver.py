"""Driving a virtual lab by the commands that a person would use, and waiting for what they report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodisk.assets.kubectl import unanswered
from nodisk.context import LabContext, LabOptions
from nodisk.errors import CommandFailed
from nodisk.machines import status, watch
from nodisk.machines.hangs import Hangs
from nodisk.machines.power import Power
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.state import DEFAULT_STATE, State
from nodisk.waiting import Deadline

BOOT_WITHIN = 1500.0
"""Seconds for a boot. Success ends a wait; this only ends a test that has failed."""


_START = """\
import sys
from pathlib import Path
from nodisk.context import LabOptions
from nodisk.machines.virtual import Virtual
from nodisk.state import DEFAULT_STATE, State
context = LabOptions(Path(sys.argv[1]), State(DEFAULT_STATE)).load()
Virtual(context.lab, context.file, context.state).start(print)
"""


class Driver:
    """``nodisk`` on one lab, and waiting for what its commands report."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, *words: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run ``nodisk WORDS``; the lab is named by the environment, as a person would.

        Like a wait's, the limit only ends a test that has failed: a host that emulates has slow hours.
        """
        done = subprocess.run(
            [sys.executable, "-m", "nodisk", *words],
            env={**_environment(), "NODISK_LAB": str(self.file)},
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"nodisk {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def start_server(self) -> None:
        """All of the virtual lab but its machines, which are off; it must be built.

        In a process of its own, as a command does it: what it starts outlives it.
        """
        subprocess.run([sys.executable, "-c", _START, str(self.file)], check=True, timeout=600)

    def up(self) -> None:
        """Switch every machine on, and let all have as much of the host: most are to go no further than `os`."""
        self("lab", "up", "--detach", timeout=1500)
        context = self.context()
        Power(context.lab, context.state).level()

    def status(self) -> dict[str, Any]:
        """``nodisk status``, with the machines by name."""
        found: dict[str, Any] = json.loads(self("status", "--output", "json").stdout)
        return {**found, "machines": {machine["name"]: machine for machine in found["machines"]}}

    def kubectl(self, *words: str) -> Any:
        """``kubectl … -o json``, which only reads: again while no API server is reached, as on a host that emulates."""
        deadline = Deadline(180)
        while True:
            done = self("kubectl", *words, "-o", "json", check=False)
            if done.returncode == 0:
                return json.loads(done.stdout)
            said = CommandFailed(("kubectl",), done.returncode, done.stderr)
            if not unanswered(said) or not deadline.pause(2):
                pytest.fail(f"kubectl {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")

    def boot_ids(self) -> dict[str, str]:
        """Machine → the id of its boot, as its node says."""
        nodes = self.kubectl("get", "nodes")["items"]
        return {node["metadata"]["name"]: node["status"]["nodeInfo"]["bootID"] for node in nodes}

    def events(self, name: str, since: float) -> list[dict[str, Any]]:
        """What happened to a machine since then (seconds since 1970)."""
        iso = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(since))
        done = self("events", "--machine", name, "--since", iso, "--output", "json")
        found: list[dict[str, Any]] = json.loads(done.stdout)["events"]
        return found

    def _now(self) -> dict[str, dict[str, Any]]:
        """The machines by name, as ``status`` has them, without a process of its own.

        Whoever waits asks often, and a Python that starts takes from the processors that the machines are emulated on.
        """
        found = status.to_json(status.collect(self.context()))
        return {machine["name"]: machine for machine in found["machines"]}

    def await_event(self, name: str, stages: Iterable[str], since: float, *, seconds: float = BOOT_WITHIN) -> str:
        """Wait until a machine has reported one of ``stages`` since then; returns the event's detail."""
        wanted = set(stages)
        what = f"{name} reports {' or '.join(sorted(wanted))}"
        self.wait(lambda: self.reported(name, wanted, since) is not None, what, seconds=seconds)
        return self.reported(name, wanted, since) or ""

    def reported(self, name: str, stages: Iterable[str], since: float) -> str | None:
        """The detail of the first event with one of these stages since then; None: there is none yet."""
        context, wanted = self.context(), set(stages)
        machine = context.lab.machine(name)
        assert machine is not None
        with Database(context.state.database, reading=True) as database:
            events = database.events(since=int(since), mac=machine.mac, kinds=(Kind.STAGE,))
        return next((event.detail for event in events if event.stage in wanted), None)

    def await_ready(self, *names: str, before: dict[str, str] | None = None, seconds: float = BOOT_WITHIN) -> None:
        """Wait until these machines' nodes are Ready, in a later boot than ``before`` says."""

        def ready() -> bool:
            machines = self._now()
            return all(
                machines[name]["stage"] == "ready"
                and machines[name]["node"] == "ready"
                and machines[name]["boot_id"] != (before or {}).get(name)
                for name in names
            )

        self.wait(ready, f"{', '.join(names)} Ready", seconds=seconds)

    def wait(self, condition: Callable[[], bool], what: str, *, seconds: float = BOOT_WITHIN) -> None:
        """Wait for a truth; fails with the lab's state. What the emulator lets hang is switched off and on."""
        deadline = Deadline(seconds)
        context = self.context()
        power = Power(context.lab, context.state)
        hangs = Hangs(power.pid)
        while not condition():
            with Database(context.state.database) as database:
                for machine in hangs.look((row.machine, row.progress.stage) for row in watch.rows(power, database)):
                    print(watch.revive(power, database, machine))
            if not deadline.pause(1):
                table = self("status", check=False).stdout
                pytest.fail(f"not so after {seconds:g} s: {what}\n{table}\n{self.consoles()}")

    def context(self) -> LabContext:
        """The lab as nodisk's own code sees it."""
        return LabOptions(self.file, State(DEFAULT_STATE)).load()

    def console(self, name: str) -> str:
        """All that a machine printed on its console."""
        return self("lab", "console", name, "--log").stdout

    def consoles(self, lines: int = 15) -> str:
        """The ends of all consoles, for a test that failed."""
        texts = []
        for machine in self.context().lab.machines:
            with contextlib.suppress(OSError):
                path = self.context().state.log / f"console-{machine.name}.log"
                texts += [f"--- {path}", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(texts)


@contextlib.contextmanager
def lab_of_its_own(folder: Path, text: str) -> Iterator[Driver]:
    """A lab by its lab.yaml, in ``folder``, of which nothing runs yet; taken away at the end."""
    driver = Driver(folder / "lab.yaml")
    driver.file.write_text(text)
    driver("lab", "down", "--purge")  # what an earlier run left when it was killed
    try:
        yield driver
    finally:
        driver("lab", "down", "--purge")


def server_pid(vm: Driver) -> int:
    """The process of the lab's server."""
    pid = running.process(vm.context().state)
    assert pid is not None
    return pid


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in {"NODISK_STATE", "KUBECONFIG"}}
