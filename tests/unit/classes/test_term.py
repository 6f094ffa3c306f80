"""The end of a class and what moving it does to students, teachers and tokens; without a cluster."""

from datetime import timedelta

import pytest
import yaml
from tests.unit.classes.test_manifests import NOW, one

from nodisk.classes import plan, sizes
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person
from nodisk.errors import UsageError
from nodisk.kube import kubeconfig

END = NOW + timedelta(days=120)
LATER = END + timedelta(days=30)


def two(**more: object) -> Class:
    anna = Account(key="name:anna", name="Anna", label="anna", suspended=True)
    jan = Account(key="name:jan", name="Jan", label="jan", suspended=True, by_hand=True)
    return one(students=(anna, jan), warned=True, **more)


def test_an_ended_class_that_goes_on_gives_back_what_its_end_took() -> None:
    found = two().extended(LATER, END)
    assert (found.expires, found.warned) == (LATER, False)
    assert [student.suspended for student in found.students] == [False, True]
    earlier = two().extended(LATER, END - timedelta(days=1))
    assert [student.suspended for student in earlier.students] == [True, True]


def test_create_moves_the_end_as_extend_does() -> None:
    people = [Person("Anna"), Person("Jan")]
    assert plan.merge(two(), people, name="k8s", now=END, expires=LATER).record == two().extended(LATER, END)
    same = plan.merge(two(), people, name="k8s", now=NOW, expires=END).record
    assert same.warned  # the same end again is no other end


def test_nobody_gets_into_a_class_that_is_over() -> None:
    with pytest.raises(UsageError, match="class k8s has ended"):
        plan.merge(two(), [Person("Ewa")], name="k8s", now=END, whole=False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9999-12-31", "too far away: a class can last at most 1000 days"),
        ("2029-07-29", "too far away"),
        ("0001-01-01", "in the past"),
        ("2026-10-31", "in the past"),
        ("31.12.2027", "not a date"),
    ],
)
def test_a_date_that_is_no_end_of_a_class(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan.expiry(text, None, NOW)


def test_the_last_day_that_can_be_an_end() -> None:
    end = plan.expiry("2029-07-28", None, NOW)
    assert end is not None
    assert end.astimezone().isoformat().startswith("2029-07-28T23:59:59")


def test_storage_without_a_claim_is_refused_at_once() -> None:
    small = sizes.find("small")[1].model_copy(update={"claims": 0})
    with pytest.raises(UsageError, match="claims: 0"):
        plan.merge(None, [Person("A")], name="k8s", now=NOW, size=("own", small), role="edit", storage="1Gi")
    assert plan.merge(None, [Person("A")], name="k8s", now=NOW, size=("own", small), role="edit").new


def test_teachers_are_found_and_go_like_students() -> None:
    found = one()
    teacher, student = found.teachers[0], found.students[0]
    assert found.account("teacher-anna") == found.account("Anna") == teacher
    assert found.account("zolc-gesla") == student
    namesake = one(students=(student.model_copy(update={"name": "Anna"}),))
    with pytest.raises(UsageError, match="2 people"):
        namesake.account("Anna")
    assert found.without([teacher]).teachers == ()
    assert found.without([teacher]).students == found.students


def test_a_teachers_kubeconfig_has_a_context_for_each_student() -> None:
    endpoint = kubeconfig.Endpoint("https://10.77.0.1:6443", "CA", token="t")
    spaces = {"anna": "k8s-anna", "jan": "k8s-jan"}
    document = yaml.safe_load(kubeconfig.render(endpoint, cluster="room", user="k8s-teacher", namespaces=spaces))
    assert {c["name"]: c["context"]["namespace"] for c in document["contexts"]} == spaces
    assert document["current-context"] == "anna"
    plain = yaml.safe_load(kubeconfig.render(endpoint, cluster="room", user="admin"))
    assert plain["contexts"] == [{"name": "admin@room", "context": {"cluster": "room", "user": "admin"}}]
    assert plain["current-context"] == "admin@room"
