"""The pages of classes: who sees which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.console.consoles import Room

from nodisk.classes import plan, record, sizes
from nodisk.classes.own import Together
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.cli import nodisk
from nodisk.console import rights
from nodisk.console.rights import Right
from nodisk.kube.errors import Unreachable
from nodisk.records.console_access import ConsoleRole, Entry
from nodisk.records.database import Database
from nodisk.records.events import Kind

NOW = record.now()


def class_(room: Room, name: str, *teachers: str) -> Class:
    """A class of two, recorded."""
    people = [Person("Jan Kowalski", id="1"), Person("Ewa Żak", id="2")]
    planned = plan.merge(
        None, people, name=name, now=NOW, size=sizes.find("small"), role="edit", teachers=teachers
    ).record
    record.save(room.console.context.state, planned)
    return planned


def test_each_role_has_more_rights_than_the_one_before() -> None:
    viewer, teacher, admin = (rights.RIGHTS[role] for role in ConsoleRole)
    assert viewer < teacher < admin
    assert admin == set(Right) == set(rights.REFUSALS)


def test_an_administrator_sees_all_classes_and_a_teacher_theirs(room: Room) -> None:
    class_(room, "physics", "Anna Nowak")
    class_(room, "history", "Jan Lis")
    admin, teacher = room.browser().sign_in("root"), room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    assert all(word in admin.get("/classes").text for word in ("physics", "history", "Anna Nowak", "Jan Lis"))
    page = teacher.get("/classes").text
    assert "physics" in page
    assert "history" not in page
    assert all(word in teacher.get("/class/physics").text for word in ("Jan Kowalski", "Ewa Żak", "physics-ewa-zak"))
    assert admin.get("/class/history").status_code == 200


def test_another_s_class_is_told_apart_from_none_by_nothing(room: Room) -> None:
    class_(room, "history", "Jan Lis")
    teacher = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    answers = [teacher.get(f"/class/{name}") for name in ("history", "nothing", "..%2fhistory")]
    assert {answer.status_code for answer in answers} == {404}
    assert (
        len({answer.text.replace(name, "") for answer, name in zip(answers[:2], ("history", "nothing"), strict=True)})
        == 1
    )


@pytest.mark.parametrize("path", ["/classes", "/class/physics"])
def test_a_viewer_sees_none(room: Room, path: str) -> None:
    class_(room, "physics", "Anna Nowak")
    viewer = room.browser().sign_in("Anna Nowak", ConsoleRole.VIEWER)
    assert viewer.get(path).status_code == 403
    assert f"console: Anna Nowak (viewer) was refused {path}" in room.told(Kind.DAEMON)
    assert "/classes" not in viewer.get("/").text


def test_a_teacher_sees_the_room_and_not_its_activity(room: Room) -> None:
    teacher = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    assert teacher.get("/").status_code == 200
    assert teacher.get("/activity").status_code == 403


def test_a_class_counts_as_it_is_recorded_now(room: Room) -> None:
    found = class_(room, "physics", "Anna Nowak")
    teacher = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    assert teacher.get("/class/physics").status_code == 200
    suspended = [one.model_copy(update={"suspended": True}) for one in found.teachers]
    record.save(room.console.context.state, found.with_accounts(suspended))
    assert teacher.get("/class/physics").status_code == 404
    record.save(room.console.context.state, found.without(found.teachers))
    assert teacher.get("/class/physics").status_code == 404


@pytest.mark.parametrize("name", ["anna nowak", "Anna", "Anna Nowak ", "teacher-anna-nowak", "Jan Kowalski"])
def test_only_the_very_name_is_the_teacher_s(room: Room, name: str) -> None:
    found = class_(room, "physics", "Anna Nowak")
    assert not rights.teaches(Entry(name, ConsoleRole.TEACHER, 0, 1), found)
    assert not rights.teaches(Entry("Anna Nowak", ConsoleRole.VIEWER, 0, 1), found)


def test_a_role_of_another_nodisk_is_nobody_s(room: Room) -> None:
    browser = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    room.database.console.db.execute("UPDATE console_session SET role = 'owner'")
    assert room.database.console.session(browser.token) is None
    assert room.database.console.sessions() == []
    assert browser.get("/").status_code == 303


def test_inviting_a_teacher_names_their_classes(room: Room, tmp_path: Path) -> None:
    class_(room, "physics", "Anna Nowak")
    where = ["--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]
    invite = ["console", "invite", "--role", "teacher", *where]
    found = json.loads(CliRunner().invoke(nodisk, [*invite, "Anna Nowak", "-o", "json"]).stdout)
    assert (found["role"], found["classes"]) == ("teacher", ["physics"])
    assert "nodisk class create" in CliRunner().invoke(nodisk, [*invite, "Jan Lis"]).output
    with Database(room.console.context.state.database) as database:
        assert {one.role for one in database.console.invitations()} == {ConsoleRole.TEACHER}


def test_what_fails_for_its_students(room: Room) -> None:
    class_(room, "physics", "Anna Nowak")
    teacher = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    assert "Nothing fails." in teacher.get("/class/physics").text
    evil = "<script>alert(1)</script>"
    room.console.together = lambda _, found: Together(
        (
            Trouble(
                found.namespace(found.students[0]), f"deployment/{evil}", TroubleKind.IMAGE, evil, "a typo in ngnix?", 2
            ),
        )
    )
    page = teacher.get("/class/physics").text
    assert "a typo in ngnix?" in page
    assert "<strong>Image</strong>: &lt;script&gt;" in page
    assert evil not in page

    def away(*_: object) -> Together:
        raise Unreachable("the API is away")

    room.console.together = away
    page = teacher.get("/class/physics?lang=pl").text
    assert "Nie wiadomo: API nie odpowiada. the API is away" in page
    assert "Jan Kowalski" in page
