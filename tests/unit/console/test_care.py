"""Reports and backups in the console: what is shown, and what can't be had by them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Room

from nodisk.assets.addon_listing import Listed
from nodisk.bench.result import FORMAT
from nodisk.classes.census import census
from nodisk.console import reports
from nodisk.kube.addon_sets import Row, State
from nodisk.kube.errors import Unreachable
from nodisk.records import backups
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind

VERIFY = {"time": "2026-11-30T09:15:00Z", "counts": {"ok": 18, "warning": 0, "failed": 1, "skipped": 0}}
BENCH = {
    "format": FORMAT,
    "header": {"time": "2026-11-30T10:00:00+00:00"},
    "measures": [{"verdict": "pass"}, {"verdict": "pass"}, {"verdict": "none"}],
}


@pytest.fixture
def folder(room: Room) -> Path:
    """Two reports, and what is none."""
    made = room.console.context.state.reports
    made.mkdir(parents=True)
    (made / "verify-20261130T091500Z.json").write_text(json.dumps(VERIFY))
    (made / "bench-20261130-100000.json").write_text(json.dumps(BENCH))
    (made / "bench-20261130-100000.html").write_text("<script>alert(1)</script>")
    (made / "notes.txt").write_text("a secret")
    (made / "verify-20261129T091500Z.json").write_text("{")
    (made / "bench-20261128-100000.xml").symlink_to(made / "notes.txt")
    os.mkfifo(made / "bench-20261127-100000.xml")
    (made.parent / "verify-20261126T091500Z.json").write_text("a secret")
    return made


def test_what_the_folder_holds(folder: Path) -> None:
    found = reports.found(folder)
    assert [(one.stem, one.time, one.verdict, one.failed, len(one.files)) for one in found] == [
        ("bench-20261130-100000", "2026-11-30T10:00:00+00:00", "2 pass", False, 2),
        ("verify-20261130T091500Z", "2026-11-30T09:15:00Z", "18 ok, 1 failed", True, 1),
        ("verify-20261129T091500Z", "", "", False, 1),
    ]
    assert reports.found(folder / "none") == ()


def test_a_report_is_downloaded_and_never_shown(room: Room, folder: Path) -> None:
    browser = room.browser().sign_in()
    page = browser.get("/reports").text
    assert "18 ok, 1 failed" in page
    assert "notes" not in page
    answer = browser.get("/report/bench-20261130-100000.html")
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="bench-20261130-100000.html"'
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "..%2fverify-20261126T091500Z.json",
        "../verify-20261126T091500Z.json",
        "%2e%2e/verify-20261126T091500Z.json",
        "verify-20261126T091500Z.json",
        "bench-20261128-100000.xml",
        "bench-20261127-100000.xml",
        "verify-20261130T091500Z.json%00.html",
        "verify-20261130T091500Z.json%0a",
        "verify-%D9%A2%D9%A00261130T091500Z.json",
        "",
        "%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out_of_the_folder(room: Room, folder: Path, name: str) -> None:
    answer = room.browser().sign_in().get(f"/report/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@given(st.text(max_size=60))
def test_only_names_of_reports_are_read(name: str) -> None:
    assert reports.read(Path("/etc"), name) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["time", "counts", "header", "measures", "verdict", "ok"]), inner, max_size=5)
    ),
    max_leaves=15,
)


@given(ANY)
def test_whatever_a_report_holds(report: Any) -> None:
    assert all(abs(one.value) < 1e100 for one in reports.figures(report).values())
    time, words, failed = reports.verdict(report)
    assert isinstance(time, str)
    assert isinstance(words, str)
    assert isinstance(failed, bool)


VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), min_size=1, max_size=6)


def benches(*values: float) -> list[reports.Report]:
    """Newest first, as they are found."""
    made = [{"measures": [{"name": "boot", "value": one, "unit": "s"}]} for one in values]
    return [reports.Report("", "bench", "", "", False, (), reports.figures(one)) for one in reversed(made)]


def test_the_trend_of_bench(room: Room, folder: Path) -> None:
    for day, value in ((1, 40.0), (2, 60.0), (3, 50.0), (4, 25.0)):
        measures = [
            {"name": "boot<b>", "value": value, "unit": "s", "verdict": "none"},
            {"name": "skipped", "value": None, "unit": "s", "verdict": "skipped"},
            *([{"name": "once", "value": 1, "unit": "s", "verdict": "none"}] if day == 2 else []),
        ]
        (folder / f"bench-2026120{day}-100000.json").write_text(json.dumps({"header": {}, "measures": measures}))
    (found,) = reports.trends(reports.found(folder))
    assert (found.name, found.values, found.before, found.ratio) == ("boot<b>", (40.0, 60.0, 50.0, 25.0), 50.0, 0.5)
    page = room.browser().sign_in().get("/reports").text
    assert "boot&lt;b&gt;</th><td>25 s</td><td>50 s</td><td>0.5</td>" in page
    assert 'points="0.0,11.4 33.3,0.0 66.7,5.7 100.0,20.0"' in page
    assert "skipped</th>" not in page
    assert "once</th>" not in page


@given(VALUES)
def test_any_trend_stays_in_its_picture(values: list[float]) -> None:
    kept = [one for one in values if abs(one) < 1e100]
    found = reports.trends(benches(*values))
    assert len(found) == (len(kept) > 1)
    for one in found:
        points = [tuple(map(float, point.split(","))) for point in one.line.split()]
        assert len(points) == len(kept)
        assert all(0 <= x <= 100 and 0 <= y <= 20 for x, y in points)
        assert one.ratio is None or isinstance(one.ratio, float)


def test_backups(room: Room) -> None:
    browser = room.browser().sign_in()
    assert "lab.yaml plans none" in browser.get("/backups").text
    state = room.console.context.state
    backups.note_made(state, 1764500000.0, "abc123", "/srv/<b>backups")
    room.database.record(Kind.ALARM, "something else", source="serve")
    room.database.record(Kind.ALARM, "backup: <script>the disk is full", source="serve")
    page = browser.get("/backups").text
    assert "(abc123)" in page
    assert "/srv/&lt;b&gt;backups" in page
    assert "backup: &lt;script&gt;the disk is full" in page
    assert "something else" not in page


def test_the_cluster(room: Room) -> None:
    browser = room.browser().sign_in()
    assert "nobody runs an API here" in browser.get("/cluster").text
    evil = "<script>alert(1)</script>"
    machine = {"metadata": {"name": "w1"}, "status": {"nodeInfo": {"kubeletVersion": evil}}}
    system = {"metadata": {"name": evil, "namespace": "kube-system"}, "status": {"phase": evil}}
    room.console.census = lambda _: census([machine], [system], [], f"{evil} leads")
    page = browser.get("/cluster").text
    assert page.count("&lt;script&gt;") == 4
    assert evil not in page
    assert "0.0 cores, 0 MiB, 0 pods" in page


def test_the_cluster_s_add_ons(room: Room) -> None:
    """What state they are in, and what to do; a file's own words stay text."""
    browser = room.browser().sign_in()
    room.console.census = lambda _: census([], [], [], "cp1 leads")
    assert "Add-ons (0)" in browser.get("/cluster").text
    evil = "<script>alert(1)</script>"
    states = {
        State.APPLIED: "",
        State.CHANGED: "nodisk addons diff",
        State.ABSENT: "nodisk addons apply",
        State.LEFT: "nodisk addons remove",
        State.BROKEN: "&lt;script&gt;",
    }
    rows = (Row(f"addon-{number}", state, "x.yaml") for number, state in enumerate(states))
    rows = (replace(row, problem=evil) if row.state is State.BROKEN else row for row in rows)
    found = tuple(Listed(row, "2 of 3 mirrored") for row in rows)
    room.console.addons = lambda *_: found
    page = browser.get("/cluster").text
    assert evil not in page
    for row, words in zip(page.split("<tr")[-5:], states.values(), strict=True):
        assert words in row
        assert ('class="failed"' in row) == bool(words)
    assert "niewdrożony" in browser.get("/cluster?lang=pl").text

    def away(*_: object) -> tuple[Listed, ...]:
        raise Unreachable("the API is away")

    room.console.addons = away
    page = browser.get("/cluster").text
    assert "Nie wiadomo. the API is away" in page
    assert "cp1 leads" in page


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
@pytest.mark.parametrize("path", ["/reports", "/report/verify-20261130T091500Z.json", "/backups", "/cluster"])
def test_only_administrators_look_after_the_lab(room: Room, folder: Path, role: ConsoleRole, path: str) -> None:
    browser = room.browser().sign_in("jan", role)
    answer = browser.get(path)
    assert answer.status_code == 403
    assert "18" not in answer.text
    assert "/reports" not in browser.get("/").text
    assert f"console: jan ({role}) was refused {path}" in room.told(Kind.DAEMON)
