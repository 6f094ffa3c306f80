"""A machine's stage follows from its events, whatever order reports and reboots come in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.records.events import ORDER, Event, Kind, progress
from nodisk.values import Stage

BOOT_1 = "11111111-1111-1111-1111-111111111111"
BOOT_2 = "22222222-2222-2222-2222-222222222222"


def way(*steps: str | tuple[str, ...]) -> list[Event]:
    """Events a second apart: a stage, or (stage, boot id), or (stage, boot id, detail)."""
    found = []
    for number, step in enumerate(steps, 1):
        stage, boot, detail = (*((step,) if isinstance(step, str) else step), "", "")[:3]
        found.append(Event(number, float(number), Kind.STAGE, detail, "test", boot_id=boot or None, stage=Stage(stage)))
    return found


def test_never_seen() -> None:
    assert progress([]).stage is None


def test_a_whole_way() -> None:
    found = progress(
        way("dhcp", "dhcp", "ipxe", ("kernel", BOOT_1), ("os", BOOT_1), ("enrolled", BOOT_1), ("ready", BOOT_1))
    )
    assert (found.stage, found.since, found.started, found.boot_id) == (Stage.READY, 7.0, 1.0, BOOT_1)
    assert [stage for stage, _ in found.times] == ["dhcp", "ipxe", "kernel", "os", "enrolled", "ready"]


def test_an_earlier_stage_that_is_told_late_changes_nothing() -> None:
    found = progress(way("ipxe", ("joined", BOOT_1), ("enrolled", BOOT_1)))
    assert (found.stage, found.since) == (Stage.JOINED, 2.0)


def test_a_reboot_begins_anew() -> None:
    for first in ("dhcp", "ipxe"):
        found = progress(way("dhcp", "ipxe", ("ready", BOOT_1), first))
        assert (found.stage, found.started, found.boot_id) == (Stage(first), 4.0, None)


def test_ipxe_twice_is_one_boot_until_dhcp() -> None:
    assert progress(way("ipxe", "ipxe")).started == 1.0
    assert progress(way("ipxe", "dhcp")).started == 2.0


def test_another_boot_id_begins_anew() -> None:
    found = progress(way(("ready", BOOT_1), ("kernel", BOOT_2)))
    assert (found.stage, found.started, found.boot_id) == (Stage.KERNEL, 2.0, BOOT_2)


def test_a_failure_holds_until_the_boot_comes_further() -> None:
    wrong = "rootfs: wrong hash (try 1 of 5)"
    steps: list[str | tuple[str, ...]] = ["ipxe", ("kernel", BOOT_1), ("failed", BOOT_1, wrong)]
    found = progress(way(*steps))
    assert (found.stage, found.reason, found.since) == (Stage.FAILED, wrong, 3.0)
    assert progress(way(*steps, ("kernel", BOOT_1))).stage is Stage.FAILED
    assert progress(way(*steps, ("rootfs", BOOT_1))).stage is Stage.ROOTFS
    assert progress(way(*steps, "dhcp")).stage is Stage.DHCP


def test_a_failure_of_a_machine_that_was_ready_ends_where_it_is_ready_again() -> None:
    steps: list[str | tuple[str, ...]] = ["ipxe", ("ready", BOOT_1), ("failed", BOOT_1, "joined: a phase")]
    assert progress(way(*steps, ("joined", BOOT_1))).stage is Stage.FAILED
    found = progress(way(*steps, ("ready", BOOT_1)))
    assert (found.stage, found.reason, found.since) == (Stage.READY, "", 4.0)
    assert dict(found.times)[Stage.READY] == 2.0, "when it was reached first"


def test_a_failure_before_anything_else() -> None:
    assert progress(way(("failed", BOOT_1, "x"))).started == 1.0
    assert progress(way(("failed", BOOT_1, "x"), "ipxe")).started == 2.0


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([str(s) for s in Stage]), st.sampled_from(["", BOOT_1, BOOT_2])), max_size=12)
)
def test_any_order_of_events(steps: list[tuple[str, str]]) -> None:
    events = way(*steps)
    found = progress(events)
    assert (found.stage is None) == (not events)
    # Stages of one boot come in the way's order, at times that never go back, and none is of before its start.
    assert list(found.times) == sorted(found.times, key=lambda one: (ORDER[one[0]], one[1]))
    assert all(found.started is not None and at >= found.started for _, at in found.times)
    if events and events[-1].stage is Stage.FAILED:
        assert found.stage is Stage.FAILED
