"""``nodisk class codes``: who gets one, when it ends, where it shows."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.classes import codes, handouts, plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.records import door
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.state import LabState, State

NOW = record.now()


def planned(*names: str, **more: object) -> Class:
    people = [Person(name) for name in names]
    size = sizes.find("small")
    found = plan.merge(None, people, name="k8s", now=NOW, size=size, role="edit", **more)  # type: ignore[arg-type]
    return found.record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    return tmp_path


@pytest.fixture
def state(folder: Path) -> LabState:
    state = State(folder / "state").lab("room")
    record.save(state, planned("Jan Kowalski", "Ewa Żak").model_copy(update={"out": str(folder / "handouts")}))
    return state


def call(folder: Path, *words: str, **more: str) -> Result:
    where = ["--lab", str(folder / "lab.yaml"), "--state", str(folder / "state")]
    return CliRunner().invoke(nodisk, ["class", "codes", "k8s", *words, *where], **more)  # type: ignore[arg-type]


def given_out(result: Result) -> dict[str, str | None]:
    assert result.exit_code == 0, result.output
    return {one["label"]: one["code"] for one in json.loads(result.stdout)["students"]}


def owner(state: LabState, code: str) -> str | None:
    plain = door.typed(code)
    assert plain is not None
    with Database(state.database) as database:
        return database.door.whose("k8s", door.code_digest(plain, database.door.salt("k8s")))


def set_passphrase(state: LabState, code: str) -> str:
    account, plain = owner(state, code), door.typed(code)
    assert account is not None
    assert plain is not None
    with Database(state.database) as database:
        digest = door.code_digest(plain, database.door.salt("k8s"))
        token = database.door.enter_first("k8s", account, digest, "00:kept", credential=1)
    assert token is not None
    return token


def test_each_gets_one_once(folder: Path, state: LabState) -> None:
    first = call(folder, "-o", "json")
    found = json.loads(first.stdout)
    assert found["address"] == "https://127.0.0.1:6445/door/k8s"
    assert "console: {listen: lab}" in first.stderr
    made = given_out(first)
    keys = {student.label: student.key for student in record.need(state, "k8s").students}
    assert {label: owner(state, code or "") for label, code in made.items()} == keys
    again = call(folder, "-o", "json")
    assert given_out(again) == {"jan-kowalski": None, "ewa-zak": None}
    assert {one["state"] for one in json.loads(again.stdout)["students"]} == {"code not used yet"}
    assert {label: owner(state, code or "") for label, code in made.items()} == keys
    with Database(state.database) as database:
        told = [event.detail for event in database.events(kinds=(Kind.DAEMON,))]
    assert told == ["class k8s: codes for the door were made: jan-kowalski, ewa-zak"]


def test_renewing_ends_what_was_before(folder: Path, state: LabState) -> None:
    made = given_out(call(folder, "-o", "json"))
    token = set_passphrase(state, made["jan-kowalski"] or "")
    assert "has a passphrase" in call(folder).stdout
    refused = call(folder, "--renew", input="n\n")
    assert isinstance(refused.exception, UsageError)
    with Database(state.database) as database:
        assert database.door.session(token) is not None
    renewed = given_out(call(folder, "jan-kowalski", "--renew", "--yes", "-o", "json"))
    assert renewed.keys() == {"jan-kowalski"}
    with Database(state.database) as database:
        assert database.door.session(token) is None
        assert database.door.with_passphrase("k8s") == set()
    assert owner(state, made["ewa-zak"] or "") is not None
    both = given_out(call(folder, "--renew", "-o", "json"))
    assert owner(state, renewed["jan-kowalski"] or "") is None
    assert None not in both.values()


def test_cards_are_private_and_the_codes_are_nowhere_else(folder: Path, state: LabState) -> None:
    result = call(folder, "--print", "--days", "3")
    assert result.exit_code == 0, result.output
    path = folder / "handouts" / "k8s.codes.html"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    text = path.read_text()
    with Database(state.database) as database:
        ends = database.door.codes("k8s")
    assert all(abs(end - NOW.timestamp() - 3 * 86400) < 3600 for end in ends.values())
    cards = Cards(text)
    assert len(cards.codes) == 2
    for code in cards.codes:
        assert owner(state, code) is not None
        assert code not in result.output
    assert "https://127.0.0.1:6445/door/k8s" in text
    refused = call(folder, "--renew", "--print")  # or nobody would know the codes that are on them
    assert isinstance(refused.exception, UsageError)
    assert path.read_text() == text
    path.unlink()
    hidden = call(folder, "--renew", "--print", "-o", "json")
    assert set(given_out(hidden).values()) == {None}
    found = record.need(state, "k8s")
    handouts.remove(found, found.students, all_of_it=True)
    assert not path.exists()


def test_a_dry_run_says_who_would_get_one(folder: Path, state: LabState) -> None:
    made = given_out(call(folder, "jan-kowalski", "-o", "json"))
    rows = json.loads(call(folder, "--dry-run", "-o", "json").stdout)["students"]
    assert [(one["label"], one["state"]) for one in rows] == [
        ("jan-kowalski", "code not used yet"),
        ("ewa-zak", "would get a code"),
    ]
    assert "would get a code" in call(folder, "jan-kowalski", "--renew", "--dry-run").stdout
    assert owner(state, made["jan-kowalski"] or "") is not None


def test_codes_end_with_the_class_at_the_latest() -> None:
    found = planned("Jan", expires=NOW + timedelta(days=5))
    assert codes.until(found, 14, NOW) == found.expires
    assert codes.until(found, 3, NOW) == NOW + timedelta(days=3)
    with pytest.raises(UsageError, match="has ended"):
        codes.until(found, 14, found.expires)
    with pytest.raises(UsageError, match="doesn't let students sign in"):
        codes.until(planned("Jan", door=False), 14, NOW)


def test_a_class_has_a_door_unless_somebody_says_otherwise() -> None:
    assert planned("Jan").door
    closed = planned("Jan", door=False)
    again = plan.merge(closed, [Person("Jan")], name="k8s", now=NOW)
    assert not again.record.door
    assert plan.merge(closed, [Person("Jan")], name="k8s", now=NOW, door=True).record.door
    # One that was recorded before there was a door has one, which nobody has a code for.
    old = closed.model_dump(mode="json")
    del old["door"]
    assert Class.model_validate(old).door


@pytest.mark.parametrize("words", [["Nobody"], ["teacher-anna"]])
def test_only_students_get_codes(folder: Path, state: LabState, words: list[str]) -> None:
    record.save(state, planned("Jan", teachers=["Anna"]))
    assert isinstance(call(folder, *words).exception, UsageError)


class Cards(HTMLParser):
    """What a page of cards has: tags, and the codes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.codes: list[str] = []
        self._code = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self._code = ("class", "code") in attrs

    def handle_data(self, data: str) -> None:
        if self._code and data.strip():
            self.codes.append(data)
            self._code = False


@given(st.text(min_size=1, max_size=40), st.text(max_size=20))
@example("<script>alert(1)</script>", "{{7*7}}")
@example("</dd></li><li>", "{until}")
def test_a_name_on_a_card_stays_text(name: str, number: str) -> None:
    name, number = (text.encode("utf-8", "replace").decode() for text in (name, number))
    found = planned("Jan")
    shapes = []
    for who in ((name, number), ("plain", "1" if number else "")):
        student = found.students[0].model_copy(update={"name": who[0], "id": who[1]})
        one = found.model_copy(update={"students": (student,)})
        text = handouts.cards(one, {student.key: "ABCD-2345"}, address="https://10.77.0.1:6445/door/k8s", until="soon")
        page = Cards(text)
        assert page.codes == ["ABCD-2345"]
        assert handouts.on_cards(text) == {student.label: "ABCD-2345"}
        shapes.append(page.tags)
    assert shapes[0] == shapes[1]
