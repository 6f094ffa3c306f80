"""Figures that are already recorded: the boot by stage, what was loaded, RAM at Ready. From the lab's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nodisk.assets import built
from nodisk.bench.result import Measurement, Series
from nodisk.check import wire
from nodisk.context import LabContext
from nodisk.plan.budget import EVICTION, MIB, budget
from nodisk.plan.facts import Facts
from nodisk.records.database import Database
from nodisk.records.events import Progress, progress
from nodisk.values import Size
from nodisk.values import Stage as BootStage

KINDS = ("rootfs", "overlay", "images", "kubelet", "processes")


def boot(context: LabContext) -> list[Measurement]:
    """Every machine's newest boot."""
    if not context.state.database.exists():
        return [Measurement(name, None, note="no boot is recorded") for name in _BOOT]
    with Database(context.state.database, reading=True) as database:
        ways = {str(m.name): progress(database.events(mac=m.mac)) for m in context.lab.machines}
        loaded = {str(m.name): sum(database.traffic(m.mac).values()) for m in context.lab.machines}
    return boot_measures(ways, loaded, link=_link(context))


def _link(context: LabContext) -> int | None:
    """Link speed of the server's NIC in Mbit/s; None if unknown (no cable, or a virtual lab's bridge)."""
    if context.netns is not None or (nic := wire.link(context.lab)) is None:
        return None
    try:
        speed = int(Path(f"/sys/class/net/{nic.name}/speed").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return speed if speed > 0 else None


_BOOT = ("boot_to_ready", "boot_phase", "boot_serve_rate")


def together(ways: Mapping[str, Progress]) -> set[str]:
    """The largest set of machines that booted at the same time; of two as large the newer. Pure.

    A boot belongs to those before it if it began before all of them had ended.
    """
    groups: list[set[str]] = []
    end = float("-inf")
    for name, way in sorted(ways.items(), key=lambda item: item[1].started or 0.0):
        if (way.started or 0.0) > end:
            groups.append(set())
        groups[-1].add(name)
        end = max(end, way.times[-1][1])
    return max(reversed(groups), key=len)


def boot_measures(
    ways: Mapping[str, Progress], loaded: Mapping[str, int], *, link: int | None = None
) -> list[Measurement]:
    """The three boot measures from each machine's way and the bytes that it loaded; ``link`` in Mbit/s. Pure."""
    ways = {name: way for name, way in ways.items() if way.times and way.started is not None}
    if not ways:
        return [Measurement(name, None, note="no boot is recorded") for name in _BOOT]
    mass = together(ways)
    zero = min(ways[name].started or 0.0 for name in mass)
    phases, ready, ends = [], [], []
    for name, way in ways.items():
        begin = zero if name in mass else way.started or 0.0
        for (stage, since), (following, until) in zip(way.times, way.times[1:], strict=False):
            labels = {"node": name, "stage": f"{stage} → {following}", "start": f"{since - begin:.3f}"}
            phases.append(Series(labels, value=until - since))
        times = dict(way.times)
        if BootStage.READY in times:
            ready.append(Series({"node": name}, value=times[BootStage.READY] - (way.started or 0.0)))
            if name in mass:
                ends.append(times[BootStage.READY])
    absent = sorted(set(ways) - {one.labels["node"] for one in ready})
    note = f"not Ready in its newest boot: {', '.join(absent)}" if absent else ""
    apart = f"booted at other times: {', '.join(sorted(set(ways) - mass))}" if set(ways) - mass else ""
    if ready:
        values = [one.value or 0.0 for one in ready]
        gap = max(ways[name].started or 0.0 for name in mass) - zero
        all_up = f"all up {max(ends) - zero:.0f} s after the first machine's first event" if ends else ""
        near = f"powered on within {gap:.0f} s of each other" if len(mass) > 1 else ""
        note = "; ".join(filter(None, (all_up, near, apart, note)))
        first = Measurement("boot_to_ready", max(values), len(values), tuple(ready), note, len(absent))
    else:
        first = Measurement("boot_to_ready", None, note=note)
    longest: dict[str, float] = {}
    for one in phases:
        longest[one.labels["stage"]] = max(longest.get(one.labels["stage"], 0.0), one.value or 0.0)
    worst = max(longest, key=lambda stage: longest[stage], default="")
    second = Measurement(
        "boot_phase", longest.get(worst), len(ways), tuple(phases), f"the longest: {worst}" if worst else "no stages"
    )
    if len(mass) == 1 < len(ways):
        why = "the machines booted at different times, so none shared the server's link"
        return [first, second, Measurement("boot_serve_rate", None, note=why)]
    return [first, second, _serve_rate([ways[name] for name in mass], sum(loaded.get(n, 0) for n in mass), link, apart)]


def _serve_rate(ways: Sequence[Progress], total: int, link: int | None, apart: str) -> Measurement:
    begins = [dict(way.times).get(BootStage.KERNEL, dict(way.times).get(BootStage.IPXE)) for way in ways]
    finishes = [dict(way.times).get(BootStage.OS) for way in ways]
    known = [one for one in begins if one is not None], [one for one in finishes if one is not None]
    if not total or not known[0] or not known[1] or max(known[1]) <= min(known[0]):
        return Measurement("boot_serve_rate", None, note="the bytes of the newest boot are not recorded")
    seconds = max(known[1]) - min(known[0])
    rate = total / 1e6 / seconds
    share = f"{rate * 8 / link:.1%} of the link of {link} Mbit/s".replace("%", " %") if link else ""
    note = "; ".join(filter(None, (f"{total / 1e6:.0f} MB in {seconds:.0f} s", share, apart)))
    return Measurement("boot_serve_rate", rate, len(ways), (Series({}, value=rate),), note)


def memory(context: LabContext) -> list[Measurement]:
    """Each machine's report of its RAM when it was Ready."""
    found: dict[str, Mapping[str, int]] = {}
    if context.state.database.exists():
        with Database(context.state.database, reading=True) as database:
            for machine in context.lab.machines:
                if ram := database.ram(machine.mac):
                    found[str(machine.name)] = ram
    return [memory_measure(found), budget_measure(found, expected_use(context, found))]


def expected_use(context: LabContext, found: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """MiB that the RAM budget expects to be in use at Ready, by machine; none where no budget is known."""
    lab = context.lab
    image, release = built.facts(context.state.state, lab)
    expected = {}
    for machine in lab.machines:
        if ram := found.get(str(machine.name)):
            # Of a machine whose RAM lab.yaml doesn't say, what it said itself.
            sized = machine if machine.memory else machine.model_copy(update={"memory": Size(ram["total"] * MIB)})
            rows = budget(lab, sized, Facts("", image, release)).rows
            # The kernel's own image isn't in the total that a machine reports; the reserve isn't used.
            expected[str(machine.name)] = sum(row.used for row in rows if row.kind not in ("kernel", EVICTION))
    return expected


def budget_measure(found: Mapping[str, Mapping[str, int]], expected: Mapping[str, int]) -> Measurement:
    """What each machine used at Ready, in per cent of what its budget expects; the worst. Pure."""
    name = "memory_of_budget"
    series, words = [], {}
    for node, ram in found.items():
        if node in expected:
            used = ram["total"] - ram.get("available", ram.get("free", 0))
            series.append(Series({"node": node}, value=100 * used / expected[node]))
            words[node] = f"{node} used {used} of {expected[node]} MiB"
    if not series:
        return Measurement(name, None, note="no machine has reported its RAM" if not found else "no budget is known")
    worst = max(series, key=lambda one: one.value or 0.0)
    over = [words[one.labels["node"]] for one in series if (one.value or 0.0) > 100]
    note = f"above their budget: {', '.join(over)}" if over else words[worst.labels["node"]]
    return Measurement(name, worst.value, len(series), tuple(series), note)


def memory_measure(found: Mapping[str, Mapping[str, int]]) -> Measurement:
    """MiB by kind. Pure. What no kind explains (kernel, page tables, caches) is ``other``."""
    if not found:
        return Measurement("memory_at_ready", None, note="no machine has reported its RAM")
    series = []
    for node, ram in found.items():
        parts = {kind: float(ram.get(kind, 0)) for kind in KINDS}
        free = float(ram.get("available", ram.get("free", 0)))
        parts["other"] = max(0.0, ram.get("total", 0) - free - sum(parts.values()))
        parts["available"] = free
        series += [Series({"node": node, "kind": kind}, value=value) for kind, value in parts.items()]
    least = min(found, key=lambda node: found[node].get("available", 0))
    note = f"least on {least}, of {found[least].get('total', 0)} MiB"
    return Measurement("memory_at_ready", float(found[least].get("available", 0)), len(found), tuple(series), note)
