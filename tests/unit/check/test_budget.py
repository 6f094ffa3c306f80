"""The RAM budget: the project's targets, and that figures move the way they must."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.check import ram
from nodisk.check.findings import Level, worst
from nodisk.plan.budget import EVICTION, KEPT, PLUGINS_MIB, Budget, Verdict, budget
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import PodNetwork
from nodisk.spec.model_peers import Peers
from nodisk.values import KubeVersion, Role, Size

MIB = 1024 * 1024


def lab(memory: str | None = None, version: str = "1.20.2") -> Lab:
    text = TEN_LINES + f"kubernetes: {{version: {version}}}\n"
    return parse(text.replace("address:", f"memory: {memory}\n    address:") if memory else text, file="x")


def facts(*, rootfs: int = 140, images: tuple[int, ...] = (117, 110, 45, 1), version: str = "1.20.2") -> Facts:
    """What a build reports; sizes in MiB."""
    ref = AssetRef("x", "0" * 64, rootfs * MIB)
    held = tuple(ContainerImage.of(f"i{n}:v", size * MIB) for n, size in enumerate(images))
    return Facts(
        "",
        ImageFacts(ref, ref, ref, "6.12", 500 * MIB, "1.7.24"),
        ReleaseFacts(KubeVersion.parse(version), "debian", held, ref),
    )


def both(memory: str | None = None, **given: object) -> tuple[Budget, Budget]:
    made, known = lab(memory), facts(**given)  # type: ignore[arg-type]
    return budget(made, made.machines[0], known), budget(made, made.machines[1], known)


def test_the_targets() -> None:
    """A worker in 512 MiB with 100 MB for pods, in 1 GiB with 400; a control plane in 1.25 GiB, and better in 2."""
    small, least = both("1280MiB", rootfs=102, images=(71, 0, 0, 1))[0], both("512MiB", rootfs=102)[1]
    assert (small.verdict, least.verdict) == (Verdict.FITS, Verdict.TIGHT)
    assert least.left >= 96
    control_plane, worker = both()
    assert (worker.total, control_plane.total) == (1024, 2048)
    assert (worker.verdict, control_plane.verdict) == (Verdict.FITS, Verdict.FITS)
    assert worker.free >= 400
    assert worker.left == worker.total - worker.used - worker.eviction_hard_mib


def test_too_little_says_how_much_is_enough() -> None:
    control_plane, worker = both("768MiB")
    assert control_plane.verdict is Verdict.TOO_LITTLE
    again, _ = both(f"{control_plane.needed}MiB")
    assert again.verdict is Verdict.FITS
    assert worker.verdict is Verdict.FITS
    assert both("576MiB")[1].verdict is Verdict.TIGHT


@pytest.mark.parametrize(("index", "memory", "available"), [(0, 1280, 512), (1, 512, 212)])
def test_it_is_near_what_was_measured(index: int, memory: int, available: int) -> None:
    """Emulated machines of Debian's release at Ready, in MiB; never too hopeful by more than a twentieth."""
    found = both(f"{memory}MiB", rootfs=102, images=(71, 0, 0, 1))[index]
    assert -0.11 * memory <= found.free - available <= 0.05 * memory


def test_a_newer_release_needs_more() -> None:
    old, new = lab(version="1.20.2"), lab(version="1.36")
    for index in (0, 1):
        assert budget(new, new.machines[index]).used > budget(old, old.machines[index]).used


def test_without_a_build_it_is_an_estimate() -> None:
    made = lab("2GiB")
    assert budget(made, made.machines[0]).estimated
    assert not budget(made, made.machines[0], facts()).estimated


@given(st.integers(1, 600), st.lists(st.integers(0, 300), max_size=6), st.integers(512, 65536))
@settings(max_examples=100, deadline=None)
def test_figures_agree(rootfs: int, images: list[int], memory: int) -> None:
    for one in both(f"{memory}MiB", rootfs=rootfs, images=tuple(images)):
        assert one.total == memory
        assert one.left + sum(row.used for row in one.rows) == memory
        assert all(row.cap is None or 0 < row.used <= row.cap or row.used == 0 for row in one.rows)
        assert next(row.used for row in one.rows if row.kind == EVICTION) == one.eviction_hard_mib
        assert one.eviction_soft_mib > one.eviction_hard_mib >= 64
        # What kubelet keeps from pods covers what the table says the system uses.
        assert one.system_reserved_mib >= rootfs
        assert min(one.overlay_mib, one.containerd_mib, one.kubelet_mib, one.journald_mib) > 0
        if one.verdict is Verdict.FITS:
            assert one.needed <= max(memory + 255, 512)
        else:
            assert one.needed > memory


@given(st.integers(512, 16384))
@settings(max_examples=50)
def test_more_memory_is_never_worse(memory: int) -> None:
    order = list(Verdict)[::-1]
    for less, more in zip(both(f"{memory}MiB"), both(f"{memory + 512}MiB"), strict=True):
        assert more.left > less.left
        assert order.index(more.verdict) >= order.index(less.verdict)


def test_a_table_of_groups() -> None:
    made = lab("1GiB")
    found = [budget(made, machine, facts()) for machine in made.machines]
    headings, rows = ram.table(found)
    assert headings == ["MiB", "cp1: control-plane", "w1: worker"]
    assert ["of", "1024", "1024"] in rows
    assert next(row for row in rows if row[0] == "control plane")[2] == "—"
    assert all(len(row) == 3 for row in rows)
    many = [budget(made, made.machines[1], facts())] * 5
    assert ram.table(many)[0][1] == "w1 … w1 (5): worker"


def test_findings() -> None:
    small = lab("512MiB")
    found = ram.ram(small, [budget(small, machine, facts()) for machine in small.machines])
    assert worst(found) is Level.ERROR
    assert found[0].message.startswith("cp1: 512 MiB is not enough for a control-plane")
    unsaid = lab()
    found = ram.ram(unsaid, [budget(unsaid, machine) for machine in unsaid.machines])
    assert worst(found) is Level.WARNING
    assert "lab.yaml gives no memory size" in found[1].message


def test_a_network_that_brings_its_plugins_gets_room_for_them() -> None:
    text = TEN_LINES + "kubernetes: {version: 1.36, network: %s}\n"
    plain, calico = (
        budget(made, made.machines[1]) for made in (parse(text % name, file="x") for name in ("routed", "calico"))
    )
    assert calico.overlay_mib - plain.overlay_mib == PLUGINS_MIB[PodNetwork.CALICO]
    assert calico.used - plain.used == PLUGINS_MIB[PodNetwork.CALICO]


def test_without_a_cluster_nothing_is_kept_for_one() -> None:
    plain = parse(TEN_LINES + "kubernetes: {engine: none}\n", file="x")
    known = replace(facts(), cluster=None)
    found, node = budget(plain, plain.machines[1], known), budget(lab(), lab().machines[1], facts())
    assert {row.kind for row in found.rows} < {row.kind for row in node.rows}
    assert found.left == found.free > node.left
    assert found.overlay_mib == found.total // 2  # its disk
    assert budget(plain, plain.machines[1]).estimated
    assert "your programs" in ram.ram(plain, [found])[0].message
    assert ram.table([found])[1][-3][0] == "left for your programs"
    small = parse(
        TEN_LINES.replace("address:", "memory: 512MiB\n    address:") + "kubernetes: {engine: none}\n", file="x"
    )
    tight = budget(small, small.machines[1], known)
    assert tight.verdict is Verdict.TIGHT
    enough = small.machines[1].model_copy(update={"memory": Size(tight.needed * MIB)})
    assert budget(small, enough, known).verdict is Verdict.FITS


def test_packed_layers_that_stay_get_room_of_their_own() -> None:
    made = lab()
    giving = made.model_copy(update={"peers": Peers()})
    for machine in made.machines:
        without, with_them = budget(made, machine, facts()), budget(giving, machine, facts())
        assert with_them.used == without.used
        pods = max(160, without.total * 3 // 8) if machine.role is Role.WORKER else 0
        assert with_them.containerd_mib - without.containerd_mib == pods * KEPT // 100
