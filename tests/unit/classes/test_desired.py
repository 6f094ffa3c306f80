"""A record becomes objects in one place; what a change of the record does to a cluster is the difference of two."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.classes.test_manifests import NETS, NEW, OLD, one

from nodisk.classes.desired import changes, desired, key, owner, shared, space
from nodisk.classes.record import Account, Class
from nodisk.kube.client import Object
from nodisk.storage.volumes import Volume

LABELS = ("ala", "jan", "ewa", "ola")
MADE = Account(key="anna", name="Anna", label="teacher-anna")


def account(label: str, credential: int, suspended: bool) -> Account:
    return Account(key=label, name=label, label=label, credential=credential, suspended=suspended)


def accounts(prefix: str = "") -> st.SearchStrategy[tuple[Account, ...]]:
    made = st.builds(
        lambda label, credential, suspended: account(f"{prefix}{label}", credential, suspended),
        st.sampled_from(LABELS),
        st.integers(1, 3),
        st.booleans(),
    )
    return st.lists(made, max_size=4, unique_by=lambda one: one.label).map(tuple)


CLASSES = st.builds(
    lambda students, teachers, role, storage: one(students=students, teachers=teachers, role=role, storage=storage),
    accounts(),
    accounts("teacher-"),
    st.sampled_from(("edit", "admin", "view")),
    st.sampled_from((None, "1Gi")),
)


def volumes(record: Class) -> dict[str, Volume]:
    if record.storage is None:
        return {}
    return {
        student.key: Volume(
            name=f"k8s-{student.label}-1",
            class_name=record.name,
            key=student.key,
            size=2**30,
            path="0" * 32,
            number=number + 1,
        )
        for number, student in enumerate(record.students)
    }


def objects(record: Class, **more: Any) -> list[Object]:
    return desired(record, NETS, more.get("features", NEW), volumes(record))


@given(CLASSES, st.sampled_from((OLD, NEW)))
def test_every_object_is_there_once_and_after_its_namespace(record: Class, features: Any) -> None:
    made, seen = objects(record, features=features), set[str]()
    assert max(Counter(map(key, made)).values()) == 1
    for obj in made:
        if obj["kind"] == "Namespace":
            seen.add(space(obj))
        assert space(obj) in {"", *seen}, key(obj)
    assert seen == record.spaces
    assert {owner(obj) for obj in made} == {"", *(who.label for who in (*record.students, *record.teachers))}
    # The right comes behind every limit.
    for student in record.students:
        kinds = [obj["kind"] for obj in made if space(obj) == record.namespace(student)]
        assert kinds.index("RoleBinding") > max(kinds.index(kind) for kind in ("ResourceQuota", "NetworkPolicy"))


@given(CLASSES, CLASSES)
def test_applying_the_changes_makes_one_class_of_the_other(before: Class, after: Class) -> None:
    old, wanted = objects(before), objects(after)
    new, gone = changes(old, wanted)
    cluster = {key(obj): obj for obj in old} | {key(obj): obj for obj in new}
    for obj in gone:
        del cluster[key(obj)]
    assert cluster == {key(obj): obj for obj in wanted}
    assert changes(wanted, wanted) == ([], [])
    # What is needed goes after what needs it.
    assert [key(obj) for obj in old if obj in gone] == [key(obj) for obj in reversed(gone)]


@given(CLASSES)
def test_who_is_suspended_loses_rights_and_nothing_else(record: Class) -> None:
    awake, asleep = (
        record.with_accounts(who.model_copy(update={"suspended": so}) for who in (*record.students, *record.teachers))
        for so in (False, True)
    )
    new, gone = changes(objects(awake), objects(asleep))
    assert gone == []
    assert {(obj["kind"], len(obj["subjects"])) for obj in new} <= {("RoleBinding", 0)}
    assert len(new) == len(record.students) * (2 if record.teachers else 1)


def test_who_is_removed_takes_what_is_theirs_and_no_more() -> None:
    ala, jan = account("ala", 1, False), account("jan", 2, False)
    record = one(students=(ala, jan), teachers=(MADE,), storage="1Gi")
    new, gone = changes(objects(record), objects(record.without([jan])))
    assert new == []
    assert {owner(obj) for obj in gone} == {"jan"}
    assert {space(obj) for obj in gone} == {"", "k8s", "k8s-jan"}
    assert [obj["metadata"]["name"] for obj in gone if space(obj) == "k8s"] == ["jan-2-token", "jan-2"]
    # The last teacher leaves a binding in every student's namespace.
    _, gone = changes(objects(record), objects(record.without([MADE])))
    assert Counter(obj["kind"] for obj in gone) == {"RoleBinding": 2, "Secret": 1, "ServiceAccount": 1}


def test_a_new_credential_is_a_new_identity_with_the_same_right() -> None:
    ala = account("ala", 1, False)
    record = one(students=(ala,), teachers=())
    new, gone = changes(objects(record), objects(record.with_accounts([account("ala", 2, False)])))
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in new] == [
        ("ServiceAccount", "ala-2"),
        ("Secret", "ala-2-token"),
        ("RoleBinding", "nodisk-student"),
    ]
    assert [obj["metadata"]["name"] for obj in gone] == ["ala-1-token", "ala-1"]


def test_what_no_other_class_needs_is_the_difference_too() -> None:
    mine, other = one(role="admin", storage="1Gi"), one(role="edit", storage="1Gi")
    _, gone = changes(shared(mine, NEW), shared(other, NEW))
    assert [obj["metadata"]["name"] for obj in gone] == ["nodisk-student-admin"]
    _, gone = changes(shared(mine, NEW), [])
    kinds = [obj["kind"] for obj in gone]
    # A binding goes before its policy.
    assert kinds[:2] == ["StorageClass", "ValidatingAdmissionPolicyBinding"]
    assert kinds[-1] == "ClusterRole"
