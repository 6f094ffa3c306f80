"""Making a class by pages: what may be typed, whose it becomes, which command it is, what others can make of it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Browser, Room
from tests.unit.console.test_api import program, valid
from tests.unit.console.test_class_orders import form, teacher
from tests.unit.console.test_classes import class_

from nodisk.classes import plan, record
from nodisk.classes import roster as rosters
from nodisk.cli import nodisk
from nodisk.console import class_making, multipart, security
from nodisk.console.class_making import MakeOrder, Typed
from nodisk.console.errands import Errands
from nodisk.console.making_pages import shown_by
from nodisk.console.orders import AnyOrder
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended

OUT = Path("/var/lib/nodisk/labs/room/handouts")
FINE = {
    "name": "k8s",
    "roster": "Jan Kowalski\r\nEwa Żak",
    "size": "small",
    "days": "30",
    "storage": "",
    "teachers": "",
}
SAID = {
    "class": "k8s",
    "expires": "2027-03-01T00:00:00+00:00",
    "students": [{"name": "<b>Jan</b>", "id": "", "label": "jan", "namespace": "k8s-jan", "state": "new"}],
    "teachers": [],
}


class Runs:
    """What the server would run, and the ends of it."""

    def __init__(self, *ends: Ended) -> None:
        self.orders: list[AnyOrder] = []
        self.ends = list(ends)

    async def __call__(self, order: AnyOrder) -> Ended:
        self.orders.append(order)
        return self.ends.pop(0)


def made(typed: dict[str, str], *, own: str | None = "Anna Nowak", taken: bool = False) -> MakeOrder | dict[str, str]:
    return class_making.order(Typed.of(typed), teacher=own, out=OUT, taken=taken)


def test_it_is_a_command_that_there_is() -> None:
    order = made(FINE | {"storage": "2Gi"})
    assert isinstance(order, MakeOrder)
    assert order.line == (
        "nodisk class create k8s --new --roster roster.csv --size small --days 30 --storage 2Gi"
        " --teacher 'Anna Nowak' --out /var/lib/nodisk/labs/room/handouts/k8s"
    )
    group = nodisk.get_command(None, "class")  # type: ignore[arg-type]
    assert group is not None
    command = group.get_command(None, "create")  # type: ignore[attr-defined]
    for one, dry in ((order, False), (order.tried(), True)):
        given = command.make_context("create", list(one.words[2:])).params
        assert (given["name"], given["dry_run"], given["new"], given["output"]) == ("k8s", dry, True, "json")
        assert str(given["roster"]) == "-"
    assert "Kowalski" not in " ".join(order.words), "no process shows people's names"
    assert order.sent.decode().splitlines() == ["Jan Kowalski", "Ewa Żak"]
    assert shlex.split(order.line)[0] == "nodisk"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("name", text) for text in ("", "K8s", "1k", "a b", "default", "kube-x", "x" * 21, "--all", "../x", "é")),
        *(("roster", text) for text in ("", "  \n ", "a\0b", "x" * 40_001)),
        *(("size", text) for text in ("", "huge", "/etc/passwd", "./small")),
        *(("days", text) for text in ("", "0", "-1", "1001", "1.5", "٣", "1e3")),
        *(("storage", text) for text in ("2", "1Ki", "viel", "-2Gi", "2Gi " * 9)),
        *(("teachers", text) for text in ("a\nb", "x" * 101, "a," * 1 + ",".join("bcdefghijkl"))),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, text: str) -> None:
    assert set(_wrong(made(FINE | {field: text}, own=None))) == {field}


def _wrong(found: MakeOrder | dict[str, str]) -> dict[str, str]:
    assert isinstance(found, dict)
    assert set(found.values()) <= set(class_making.WRONG)
    return found


def test_whose_it_becomes() -> None:
    for own, teachers in (("Anna Nowak", ("Anna Nowak",)), (None, ("Jan Lis", "Ola"))):
        order = made(FINE | {"teachers": "Jan Lis, ,Ola"}, own=own)
        assert isinstance(order, MakeOrder)
        assert order.teachers == teachers
    assert _wrong(made(FINE, taken=True)) == {"name": class_making.TAKEN}


@given(
    st.fixed_dictionaries({key: st.text(max_size=30) | st.just(text) for key, text in FINE.items()}),
    st.none() | st.text(min_size=1, max_size=30).filter(str.strip),
)
def test_whatever_is_typed_it_is_one_class_or_a_refusal(typed: dict[str, str], own: str | None) -> None:
    order = made(typed, own=own)
    if isinstance(order, dict):
        assert _wrong(order)
        return
    group = nodisk.get_command(None, "class")  # type: ignore[arg-type]
    assert group is not None
    command = group.get_command(None, "create")  # type: ignore[attr-defined]
    context = command.make_context("create", list(order.words[2:]))
    assert context.params["name"] == plan.check_name(order.class_name)
    assert context.params["teacher"] == order.teachers
    assert context.params["new"]
    assert not context.params["overcommit"]
    assert context.params["out"] == OUT / order.class_name


@given(st.integers(-3, 4), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps), st.text())
def test_any_output_of_a_trial(status: int, output: str, errors: str) -> None:
    assert shown_by(Ended(status, output, errors)) is None
    assert shown_by(Ended(0, json.dumps(SAID), errors)) is not None


def test_from_the_form_to_the_class(room: Room) -> None:
    runs = Runs(Ended(0, json.dumps(SAID), "columns: <i>\n"), Ended(0, "", "warning: no policies\n"))
    room.console.errands = Errands(runs)
    browser, other = teacher(room), teacher(room, "Jan Lis")
    assert 'href="/classes/new"' in browser.get("/classes").text
    blank = browser.get("/classes/new").text
    assert 'name="teachers"' not in blank
    assert "You are its teacher." in blank

    async def do() -> None:
        shown = (await browser.send("POST", "/classes/new", data=form(browser) | FINE)).text
        assert "&lt;b&gt;Jan&lt;/b&gt;" in shown
        assert "columns: &lt;i&gt;" in shown
        assert "--teacher &#39;Anna Nowak&#39;" in shown
        assert [("--dry-run" in order.words) for order in runs.orders] == [True]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown))
        text = re.search(r"<textarea[^>]*>\n(.*)</textarea>", shown, re.DOTALL)
        assert text is not None
        fields = {key: html.unescape(value) for key, value in (fields | {"roster": text[1]}).items()}
        begun = await browser.send("POST", "/classes/make", data=fields)
        assert begun.status_code == 303, begun.text
        place = begun.headers["location"]
        # Nobody else can follow it, and there is no class yet whose record could say whose it is.
        assert (await other.send("GET", place)).status_code == 404
        assert (await other.send("GET", f"/live?switched={place.rpartition('/')[2]}")).status_code == 404
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        came = (await browser.send("GET", place)).text
        assert "confirmed: <strong>1</strong>" in came
        assert 'href="/class/k8s"' in came

    asyncio.run(do())
    assert [order.sent.decode().split() for order in runs.orders] == [["Jan", "Kowalski", "Ewa", "Żak"]] * 2
    line = "console: Anna Nowak (teacher): nodisk class create k8s --new"
    assert sum(said.startswith(line) for said in room.told(Kind.DAEMON)) == 2


NAMES = "Imię i nazwisko;Klasa\r\nŻaneta Źrebięć;1a\r\nJan Kowalski;1a\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1250", "iso8859-2", "utf-16"])
def test_from_a_file_to_the_class(room: Room, encoding: str) -> None:
    """As schools' registers export it; what is written in the box doesn't count then."""
    browser = room.browser().sign_in()
    runs = Runs(Ended(0, json.dumps(SAID), ""))
    room.console.errands = Errands(runs)
    fields = {**FINE, "token": security.form_token(browser.token), "roster": "Somebody Else"}
    answer = browser.post(
        "/classes/new", data=fields, files={"file": ('../../1a"<b>.csv', NAMES.encode(encoding), "text/csv")}
    )
    assert answer.status_code == 200, answer.text
    assert runs.orders[0].sent.decode() == NAMES.rstrip() + "\n"
    assert [one.name for one in rosters.parse(runs.orders[0].sent, "-")] == ["Żaneta Źrebięć", "Jan Kowalski"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pdf", b"%PDF-1.4", "a.pdf is a PDF, not a list"),
        ("../x/<img src=x>.xlsx", b"PK\x03\x04" + b"\0" * 60, "&lt;img src=x&gt;.xlsx is a spreadsheet, not text"),
        ("b\r\n.csv", b"a\0b", "b.csv is neither UTF-8 nor CP1250"),
        ("c.html", b"<!doctype html><table><tr><td>Jan</table>", "c.html is a web page, not a list"),
        ("d.txt", b"Jan Kowalski\n" * 5000, "That is too long"),
        ("e.txt", b" \r\n ", "Write the students"),
    ],
)
def test_a_file_that_is_no_roster(room: Room, name: str, content: bytes, words: str) -> None:
    browser = room.browser().sign_in()
    fields = {**FINE, "token": security.form_token(browser.token)}
    boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{text}'.encode() for key, text in fields.items()]
    shown = name.replace("\r", "").replace("\n", "")
    head = f'Content-Disposition: form-data; name="file"; filename="{shown}"\r\nContent-Type: text/csv\r\n\r\n'
    parts.append(head.encode() + content)
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = browser.post("/classes/new", content=body + f"--{boundary}--\r\n".encode(), headers=kind)
    assert answer.status_code == 400
    assert words in answer.text
    assert "<img" not in answer.text


def test_a_form_with_a_file_is_guarded_as_any_other(room: Room) -> None:
    browser = room.browser().sign_in()
    file = {"file": ("a.csv", b"Jan Kowalski", "text/csv")}
    assert browser.post("/classes/new", data={**FINE, "token": "0" * 64}, files=file).status_code == 403
    big = {"file": ("a.csv", b"x" * 600_000, "text/csv")}
    assert browser.post("/classes/new", data={**FINE, "token": "x"}, files=big).status_code == 413
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a\0b"):
        assert browser.post("/classes/new", content=b"--a--", headers={"Content-Type": kind}).status_code == 400


FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters='"\r\n'), max_size=10),
    st.binary(max_size=80),
    max_size=5,
)


@given(FIELDS)
def test_a_form_comes_apart_as_it_was_put_together(fields: dict[str, bytes]) -> None:
    boundary = b"----a-boundary-that-nothing-holds"
    body = b"".join(
        b"--" + boundary + f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in fields.items()
    )
    found = multipart.parts(f"multipart/form-data; boundary={boundary.decode()}", body + b"--" + boundary + b"--\r\n")
    assert {name: part.content for name, part in found.items()} == fields


@given(st.binary(max_size=200) | st.lists(st.sampled_from(
    [b"--a", b"--", b"\r\n", b'Content-Disposition: form-data; name="x"', b"; filename=", b'"', b"\xff"]
), max_size=20).map(b"".join))  # fmt: skip
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert len(multipart.parts("multipart/form-data; boundary=a", body)) <= multipart.MOST_PARTS


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(3, "", "error: standard input: line 2: <i>\nhint: see\n"), 'id="roster-wrong"'),
        (Ended(2, "", "error: not enough CPU\n"), 'id="all-wrong"'),
        (Ended(0, "nothing", ""), 'id="all-wrong"'),
    ],
)
def test_what_the_command_says_against_it(room: Room, ended: Ended, words: str) -> None:
    room.console.errands = Errands(Runs(ended))
    browser = teacher(room)
    answer = browser.post("/classes/new", data=form(browser) | FINE)
    assert answer.status_code == 400
    assert words in answer.text
    assert "Ewa Żak" in answer.text, "what was typed is still there"
    assert "<i>" not in answer.text


def test_another_s_class_is_not_taken_over(room: Room) -> None:
    """The form says so; and so does the command, if somebody makes one of that name between."""
    room.console.errands = Errands(Runs())
    found = class_(room, "physics", "Jan Lis")
    browser = teacher(room)
    for path, status in (("/classes/new", 400), ("/classes/make", 409)):
        answer = browser.post(path, data=form(browser) | FINE | {"name": "physics"})
        assert answer.status_code == status
        assert class_making.TAKEN in answer.text
    words = ["class", "create", "physics", "--new", "--students", "x", "--dry-run", "--teacher", "Anna Nowak"]
    context = room.console.context
    where = ["--lab", str(context.file), "--state", str(context.state.state.root)]
    done = CliRunner().invoke(nodisk, [*words, *where])
    assert "class physics already exists" in str(done.exception)
    assert record.need(context.state, "physics") == found


def test_the_command_itself_tries_it(room: Room) -> None:
    """With the roster by its standard input; nobody runs an API, so the room is not known."""
    browser = teacher(room)
    answer = browser.post(
        "/classes/new", data=form(browser) | FINE | {"roster": "Nr albumu;Nazwisko i imię\r\n7;Żak Ewa"}
    )
    assert answer.status_code == 200, answer.text
    assert "k8s-" in answer.text
    assert "capacity not checked" in answer.text
    answer = browser.post("/classes/new", data=form(browser) | FINE | {"roster": '{"a": 1}'})
    assert 'id="roster-wrong"' in answer.text


def test_who_may_make_one(room: Room) -> None:
    room.console.errands = Errands(Runs())
    viewer = room.browser().sign_in("jan", ConsoleRole.VIEWER)
    for path in ("/classes/new", "/classes/make", "/class/physics/handouts"):
        assert viewer.post(path, data=form(viewer) | FINE).status_code == 403
    assert viewer.get("/classes/new").status_code == 403
    browser = teacher(room)
    for path in ("/classes/new", "/classes/make"):
        assert browser.post(path, data=FINE).status_code == 403
        assert browser.post(path, data=form(browser) | FINE, headers={"Origin": "https://x"}).status_code == 403
        assert browser.post(path, data=form(browser) | FINE | {"roster": "x" * 600_000}).status_code == 413


def test_by_a_program(room: Room) -> None:
    runs = Runs(Ended(0, "", ""), Ended(0, "", ""))
    room.console.errands = Errands(runs)
    body = {"name": "k8s", "roster": "Jan\nEwa", "teachers": ["Ola"], "days": 7}

    async def do(browser: Browser) -> None:
        headers = program(room, ConsoleRole.TEACHER, "Anna Nowak")
        order = valid(
            await browser.send("POST", "/api/classes", headers=headers, json=body), "/api/classes", 202, "post"
        )
        assert "--days 7 --teacher 'Anna Nowak' --out" in order["command"]
        await asyncio.sleep(0)
        await room.console.errands.close()

    asyncio.run(do(room.browser()))
    answer = room.browser().post("/api/classes", headers=program(room), json=body | {"name": "K", "size": "x"})
    assert valid(answer, "/api/classes", 400, "post")["error"].startswith("name: Use up to")


def test_handouts_are_their_teachers_alone(room: Room, tmp_path: Path) -> None:
    state = room.console.context.state
    found = class_(room, "physics", "Anna Nowak")
    browser, other = teacher(room), teacher(room, "Jan Lis")
    path = "/class/physics/handouts"
    assert path not in browser.get("/class/physics").text
    assert browser.post(path, data=form(browser)).status_code == 404
    record.save(state, found.model_copy(update={"out": str(tmp_path / "out")}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "physics.zip").write_bytes(b"PK")
    assert path in browser.get("/class/physics").text
    answer = browser.post(path, data=form(browser))
    assert (answer.status_code, answer.content) == (200, b"PK")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="physics.zip"'
    assert other.post(path, data=form(other)).status_code == 404
    assert browser.post(path, data={"token": "x"}).status_code == 403
    assert browser.get(path).status_code == 404
    assert "console: Anna Nowak (teacher) took the handouts of class physics" in room.told(Kind.DAEMON)
    # A folder of handouts may be somebody's own: a link in it is not followed.
    (tmp_path / "out" / "physics.zip").unlink()
    (tmp_path / "out" / "physics.zip").symlink_to("/etc/passwd")
    assert browser.post(path, data=form(browser)).status_code == 404
