"""What is kept of machines' events from look to look says the same as all events read anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.context import LabContext
from nodisk.machines import history as histories
from nodisk.machines import pace
from nodisk.machines.asked import Api, Asked
from nodisk.machines.history import History
from nodisk.machines.status import of_records
from nodisk.records.database import Database
from nodisk.records.events import Kind, boots, fetched_nothing, progress
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Mac, Role, Stage

ONE, TWO, OTHER = (Mac.parse(f"52:54:00:00:00:0{end}") for end in "129")
REPORTS = st.lists(
    st.tuples(
        st.sampled_from([ONE, TWO, OTHER]),
        st.sampled_from([*Stage, None]),
        st.sampled_from([None, "a", "b"]),
        st.booleans(),
    ),
    max_size=40,
)


@given(REPORTS)
def test_it_is_the_same_as_all_of_them_read_anew(reports: list[tuple[Mac, Stage | None, str | None, bool]]) -> None:
    clock = iter(range(1, 1000))
    with (
        tempfile.TemporaryDirectory() as folder,
        Database(Path(folder) / "records.db", now=lambda: float(next(clock))) as database,
    ):
        kept = History()
        for mac, stage, boot, looks in reports:
            kind = Kind.DAEMON if stage is None else Kind.STAGE
            database.record(kind, "iPXE", source="x", mac=mac, machine="m", boot_id=boot, stage=stage)
            if looks:
                kept.read(database, [ONE, TWO])
        kept.read(database, [ONE, TWO])
        assert set(kept.machines) == {ONE, TWO}
        for mac, past in kept.machines.items():
            events = database.events(mac=mac, kinds=(Kind.STAGE,))
            assert past.way.now == progress(events)
            assert past.asking.fetched_nothing(2000.0) == fetched_nothing(events, 2000.0)
            anew = pace.pace([(Role.WORKER, list(boots(events)))] * pace.ENOUGH)
            assert pace.pace([(Role.WORKER, past.boots)] * pace.ENOUGH) == anew


def test_an_event_is_read_once(tmp_path: Path) -> None:
    """However many there are: a look reads what is new alone."""
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    lab, state = load(tmp_path / "lab.yaml"), State(tmp_path / "state").lab("room")
    context, kept = LabContext(lab, tmp_path / "lab.yaml", state, None), History()
    asked = Asked(Api.AWAY, {}, "away")
    with Database(state.database) as database:

        def report(stage: Stage) -> int:
            return database.record(Kind.STAGE, "", source="x", mac=TWO, machine="w1", stage=stage)

        for _ in range(3):
            report(Stage.DHCP)
            newest = report(Stage.KERNEL)
        first = of_records(context, asked, history=kept)
        past = kept.machines[TWO]
        assert (kept.newest, past.newest) == (newest, newest)
        newest = report(Stage.READY)
        second = of_records(context, asked, history=kept)
        assert kept.machines[TWO] is past, "it was read on, and not anew"
        assert (kept.newest, past.newest) == (newest, newest)
        stages = [next(row for row in one.rows if str(row.machine.name) == "w1").progress for one in (first, second)]
        assert [one.stage for one in stages] == [Stage.KERNEL, Stage.READY]
        assert stages[1] == next(row for row in of_records(context, asked).rows if row.machine.mac == TWO).progress


def test_other_records_and_a_long_pause_are_read_anew(tmp_path: Path) -> None:
    kept = History()
    with Database(tmp_path / "one.db") as database:
        for _ in range(3):
            database.record(Kind.STAGE, "", source="x", mac=ONE, machine="m", stage=Stage.READY)
        kept.read(database, [ONE])
    with Database(tmp_path / "other.db") as database:  # of a backup: fewer events, of the same numbers
        database.record(Kind.STAGE, "", source="x", mac=ONE, machine="m", stage=Stage.OS)
        kept.read(database, [ONE])
        assert kept.machines[ONE].way.now.stage is Stage.OS
        before = kept.machines[ONE]
        kept.newest -= histories.MOST_NEW + 1
        kept.read(database, [ONE])
        assert kept.machines[ONE] is not before
        kept.read(database, [])
        assert kept.machines == {}
