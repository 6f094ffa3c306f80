"""Cuts control planes under load: ``python tools/control_planes.py LAB.yaml --rounds 6 --seed 1`` (root).

The lab has three control planes and a worker, and runs by ``tools/native_room.py``: at this host's own speed, so that
its seconds are those of a room more than emulated ones would be. One writer creates objects through the server all the
time. Each round cuts a machine's power (in the first one that of whoever leads, then any), and says:

- the longest time in which the API accepted nothing, by the writer;
- the time from the cut until a Deployment that is made after it has its pod on a node: controllers and scheduler act.

Then the machine returns, and its API server is an endpoint again. With ``--reboot`` another control plane is booting
while that one is cut, as for an upgrade: one is left. At the end what was accepted is compared with what is there. Exit
status 1: an object was lost, a Deployment has two pods, or a limit was passed (2 s, 20 s).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
sys.path.insert(0, str(Path(__file__).parent))

from native_room import Native  # noqa: E402 - found by the paths above

from nodisk.assets.container_images import ECHO  # noqa: E402
from nodisk.context import LabContext, LabOptions  # noqa: E402
from nodisk.errors import NodiskError  # noqa: E402
from nodisk.kube import leaders  # noqa: E402
from nodisk.kube.client import Client, Object, connect  # noqa: E402
from nodisk.kube.errors import AlreadyExists  # noqa: E402
from nodisk.kube.objects import holds  # noqa: E402
from nodisk.state import DEFAULT_STATE, State  # noqa: E402
from nodisk.values import Role  # noqa: E402
from nodisk.waiting import Deadline, until  # noqa: E402

SPACE = "control-planes"
GAP, ACT = 2.0, 20.0
"""Seconds of a room's patience: for the API, and for controllers that act again."""
PAUSE = 0.05
"""Seconds between two writes."""


@dataclass
class Writer:
    """Creates objects one after another, each until it is accepted."""

    context: LabContext
    accepted: list[tuple[str, float]] = field(default_factory=list)
    """Name, and when it was accepted (monotonic seconds)."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is stopped."""
        number = 0
        while not self.stopping.is_set():
            # A connection of its own each time: as anybody's command has.
            with contextlib.suppress(NodiskError), connect(self.context, patience=0.0) as client:
                with contextlib.suppress(AlreadyExists):  # accepted, and the answer was lost
                    client.create(_config(f"w-{number}"))
                self.accepted.append((f"w-{number}", time.monotonic()))
                number += 1
            self.stopping.wait(PAUSE)

    def gap(self, since: float, until_: float) -> float:
        """The longest time without an acceptance between two moments."""
        times = [since, *(at for _, at in list(self.accepted) if since <= at <= until_), until_]
        return max(after - before for before, after in itertools.pairwise(times))


def _config(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": SPACE}}


def _deployment(name: str) -> Object:
    labels = {"app": name}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": ECHO}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
    }


@contextlib.contextmanager
def writing(context: LabContext) -> Iterator[Writer]:
    """A writer beside what is done."""
    writer = Writer(context)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.stopping.set()
        thread.join()


def tried(ask: Callable[[], bool], seconds: float, what: str) -> float:
    """How long it took to become true, however the API fails meanwhile; ends the program if it doesn't."""
    began = time.monotonic()

    def true() -> bool:
        with contextlib.suppress(NodiskError):
            return ask()
        return False

    if not until(true, Deadline(seconds), every=0.1):
        sys.exit(f"not within {seconds:g} s: {what}")
    return time.monotonic() - began


def endpoints(client: Client) -> set[str]:
    """The addresses of the API servers that the cluster knows of."""
    found = client.get("v1", "Endpoints", "kubernetes", namespace="default")
    return {one["ip"] for subset in found.get("subsets") or [] for one in subset["addresses"]}


def is_ready(client: Client, name: str) -> bool:
    """Whether a node is Ready."""
    return holds(client.get("v1", "Node", name), "Ready")


def placed(client: Client, name: str) -> bool:
    """Whether the Deployment's pod has a node."""
    pods = client.list("v1", "Pod", namespace=SPACE, labels=f"app={name}")
    return any((pod.get("spec") or {}).get("nodeName") for pod in pods)


def cut(context: LabContext, name: str, number: int, writer: Writer, booting: tuple[str, float] | None) -> list[float]:
    """One round; returns the API's gap and when controllers acted, in seconds.

    ``booting``: a control plane that is booted first, and how many seconds before the cut.
    """
    native, what = native_of(context, name), f"d-{number}"
    with connect(context, patience=0.0) as client:
        before = time.monotonic()
        if booting is not None:
            other, ahead = native_of(context, booting[0]), booting[1]
            other.stop()
            other.start()
            time.sleep(ahead)
        native.stop()
        began = time.monotonic()  # the power is off somewhere in between
        tried(lambda: bool(client.apply(_deployment(what))), 120, f"{what} is accepted")
        tried(lambda: placed(client, what), 300, f"{what} has a pod on a node")
        acts = time.monotonic() - began
        tried(lambda: str(native.machine.address) not in endpoints(client), 120, f"{name} is no endpoint")
        gap = writer.gap(before, time.monotonic())
        native.start()
        for one in (native, *([native_of(context, booting[0])] if booting is not None else [])):
            back = partial(returned, client, one)
            tried(back, 600, f"{one.machine.name} is an endpoint and Ready again")
    return [gap, acts]


def native_of(context: LabContext, name: str) -> Native:
    """The machine of that name."""
    machine = context.lab.machine(name)
    if machine is None:
        raise AssertionError(name)
    return Native(context, machine)


def returned(client: Client, native: Native) -> bool:
    """Whether its API server is asked again, and it is Ready."""
    return str(native.machine.address) in endpoints(client) and is_ready(client, str(native.machine.name))


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lab", type=Path)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reboot", action="store_true", help="let another control plane boot meanwhile")
    options = parser.parse_args()
    context = LabOptions(options.lab.absolute(), State(options.state.absolute())).load()
    chance = random.Random(options.seed)  # noqa: S311 - moments, not secrets
    planes = [str(machine.name) for machine in context.lab.by_role(Role.CONTROL_PLANE)]
    worst = [0.0, 0.0]
    with connect(context, patience=60.0) as client:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    try:
        with writing(context) as writer:
            for number in range(options.rounds):
                time.sleep(chance.uniform(1, 10))
                with connect(context, patience=60.0) as client:
                    leads = leaders.ask(client, time.time())
                leader = leads["kube-controller-manager"]
                name = leader if leader is not None and number == 0 else chance.choice(planes)
                booting = None
                if options.reboot:
                    booting = (chance.choice([one for one in planes if one != name]), chance.uniform(0, 20))
                gap, acts = cut(context, name, number, writer, booting)
                led = [part for part, node in leads.items() if node == name]
                meanwhile = f", {booting[0]} boots since {booting[1]:.0f} s" if booting is not None else ""
                seconds = f"API away {gap:.2f} s, acts after {acts:.1f} s"
                print(f"{name:6} led {', '.join(led) or '-'}{meanwhile}: {seconds}", flush=True)
                worst = [max(worst[0], gap), max(worst[1], acts)]
        with connect(context, patience=60.0) as client:
            there = {one["metadata"]["name"] for one in client.list("v1", "ConfigMap", namespace=SPACE)}
            pods = Counter(
                one["metadata"]["labels"]["app"]
                for one in client.list("v1", "Pod", namespace=SPACE)
                if "deletionTimestamp" not in one["metadata"]
            )
        lost = {name for name, _ in writer.accepted} - there
        double = [name for name, count in pods.items() if count > 1]
        print(f"{len(writer.accepted)} objects accepted, {len(lost)} lost, {len(double)} double; "
              f"API away {worst[0]:.2f} s at most, controllers act after {worst[1]:.1f} s at most")  # fmt: skip
    finally:
        with contextlib.suppress(NodiskError), connect(context, patience=60.0) as client:
            client.delete("v1", "Namespace", SPACE)
    return int(bool(lost or double) or worst[0] > GAP or worst[1] > ACT)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NodiskError as error:
        sys.exit(f"{error.message}; {error.hint or ''}")
