"""One run of bench: verify, each group of measures, the header. A group that fails doesn't affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodisk import __version__, run, virtual_record
from nodisk.assets import built
from nodisk.bench import api_load, cold_image, net_load, pods_load, recorded, service_load
from nodisk.bench.health import Health
from nodisk.bench.measures import DEFINITIONS
from nodisk.bench.profile import Profile
from nodisk.bench.result import Measurement, Run, Series
from nodisk.bench.stage import Stage
from nodisk.classes import credentials
from nodisk.context import LabContext
from nodisk.errors import NodiskError, ToolMissing
from nodisk.machines import qemu
from nodisk.verify.checks import CHECKS
from nodisk.verify.runner import choose, run_all
from nodisk.verify.scene import Scene, pace_line
from nodisk.verify.staging import staged
from nodisk.verify.temporary_class import temporary_class

Act = Callable[[Stage], list[Measurement]]


def class_create(stage: Stage) -> list[Measurement]:
    """Create a class, until each student's credential has been used once."""
    count, client = stage.profile.students, stage.scene.client
    began = time.monotonic()
    with temporary_class(stage.scene, count) as applied:
        made = time.monotonic() - began
        for credential in applied.credentials.values():
            space = applied.record.namespace(credential.account)
            credentials.first_call(client.with_token(credential.token, patience=5), space)
        seconds = time.monotonic() - began
    lost = count - len(applied.credentials)
    note = f"{count} students; made after {made:.1f} s"
    return [Measurement("class_create", seconds, 1, (Series({}, (seconds,)),), note, lost)]


def _cold(stage: Stage) -> list[Measurement]:
    with cold_image.ColdImages(stage.scene.context.state, stage.scene.run_id) as images:
        return pods_load.cold(stage, images.make, cold_image.SIZE)


def _dns(stage: Stage) -> list[Measurement]:
    return service_load.dns(stage)


LOADS: dict[str, Act] = {
    "boot": lambda stage: recorded.boot(stage.scene.context),
    "memory": lambda stage: recorded.memory(stage.scene.context),
    "api": api_load.api,
    "pods": pods_load.start,
    "cold": _cold,
    "burst": pods_load.burst,
    "density": pods_load.density,
    "net": net_load.net,
    "svc": service_load.services,
    "dns": _dns,
    "class": class_create,
}
"""The loads by group; ``etcd`` and ``health`` run beside all of them."""


def bench(context: LabContext, profile: Profile, only: Collection[str], say: Callable[[str], None]) -> Run:
    """Measure a cluster that works (``refuse_broken``); raises Busy, or ApiError without an API."""
    began = datetime.now(UTC)
    with staged(context, "bench", privileged=True, say=say) as scene:
        say(pace_line(scene))
        stage = Stage(scene, profile, say)
        measured = measure_all(stage, only)
        header = _header(stage, began)
    return Run(header, measured)


def measure_all(stage: Stage, only: Collection[str]) -> tuple[Measurement, ...]:
    """Measure all groups, or those of ``only``, in the order of their definitions."""
    stage.set_up()
    etcd = api_load.try_etcd(stage) if not only or "etcd" in only else None
    with Health(stage.scene.client, stage.scene.space) as health:
        measured = [
            one for group, act in LOADS.items() if not only or group in only for one in measure(group, act, stage)
        ]
    if not only or "etcd" in only:
        measured.append(api_load.fsync(etcd, api_load.try_etcd(stage)))
    measured.append(health.measurement())
    order = [one.name for one in DEFINITIONS]
    return tuple(sorted(measured, key=lambda one: order.index(one.name)))


def refuse_broken(context: LabContext, say: Callable[[str], None]) -> None:
    """Raise NodiskError if the cluster fails ``verify --quick``."""
    say("nodisk verify --quick first: figures of a broken cluster mean nothing")
    report = run_all(context, choose(CHECKS, quick=True, only=()))
    bad = [one for one in report["checks"] if one["outcome"] == "failed"]
    if bad:
        lines = [f"  {one['name']}: {one['evidence'][0] if one['evidence'] else ''}" for one in bad]
        raise NodiskError("the cluster fails verify --quick:\n" + "\n".join(lines), hint="nodisk verify --quick")
    say(f"verify --quick: {report['counts']['ok']} ok in {report['seconds']:.0f} s")


def measure(group: str, act: Act, stage: Stage) -> list[Measurement]:
    """Measure one group; what it created is gone before the next begins, even if it failed."""
    began = time.monotonic()
    try:
        found = act(stage)
    except NodiskError as error:
        found = _not_measured(group, error.message.splitlines()[0])
    except Exception as error:  # a fault of one measure must not cost the figures of the others
        found = _not_measured(group, f"the measure itself broke: {error!r}")
    try:
        stage.clear()
    except NodiskError as error:
        stage.say(f"after {group}: {error.message.splitlines()[0]}")
    for one in found:
        said = "–" if one.value is None else f"{one.value:.4g} {one.definition.unit}"
        say = f"{one.verdict:8} {one.name:20} {said:>16}  n = {one.n}  {one.note}"
        stage.say(say + (f"  ({one.lost} lost)" if one.lost else ""))
    stage.say(f"         {group} took {time.monotonic() - began:.0f} s")
    return found


def _not_measured(group: str, why: str) -> list[Measurement]:
    note = f"not measured: {why}"
    return [Measurement(one.name, None, note=note, lost=1) for one in DEFINITIONS if one.group == group]


def _header(stage: Stage, began: datetime) -> dict[str, Any]:
    scene, profile = stage.scene, stage.profile
    release = built.release_facts(scene.context.state.state, scene.context.lab)
    rates = f"{profile.api_rate / stage.pace:.2g} API cycles and {profile.pod_rate / stage.pace:.2g} pods a second"
    return {
        "lab": str(scene.context.lab.name),
        "time": began.isoformat(timespec="seconds"),
        "profile": profile.name,
        "repeats": profile.net_repeats,
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 1),
        "pace": round(stage.pace, 1),
        "nodisk": __version__,
        "commit": _commit(),
        "kubernetes": str(release.version),
        "source": release.source,
        "accelerator": _accelerator(scene),
        "nodes": [_node(stage, name, node) for name, node in sorted(scene.nodes().items())],
        "load": rates + (f" (a PC cluster's, divided by the pace {stage.pace:.1f})" if stage.pace >= 1.5 else ""),
    }


def _node(stage: Stage, name: str, node: dict[str, Any]) -> dict[str, Any]:
    info, capacity = node["status"]["nodeInfo"], node["status"]["capacity"]
    machine = stage.scene.context.lab.machine(name)
    return {
        "name": name,
        "role": str(machine.role) if machine else "?",
        "cpus": int(capacity["cpu"]),
        "ram_mib": int(capacity["memory"].removesuffix("Ki")) // 1024,
        "kernel": info["kernelVersion"],
        "containerd": info["containerRuntimeVersion"].removeprefix("containerd://"),
        "nic": stage.nics.get(name, {}).get("driver", ""),
        "mtu": stage.nics.get(name, {}).get("mtu", ""),
    }


def _accelerator(scene: Scene) -> str:
    """``kvm`` or ``tcg`` for a virtual lab; empty for real PCs."""
    return "" if virtual_record.read(scene.context.state) is None else qemu.accelerator().technique


def _commit() -> str:
    """The checkout's commit, if nodisk runs from one."""
    here = Path(__file__).parent
    try:
        done = run.run(["git", "-C", here, "rev-parse", "--short=12", "HEAD"], check=False)
    except ToolMissing:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
