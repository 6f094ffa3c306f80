"""Classes on a real API server: what students may and may not, and the whole life of a class by its commands."""

import json
import subprocess
import time
import zipfile
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from tests.api.apiserver import ControlPlane
from tests.support import commands
from tests.support.access import allowed, refused
from tests.support.waits import until

from nodisk.classes import (
    accounts,
    actions,
    census,
    credentials,
    drift,
    expiry,
    failing,
    features,
    handouts,
    manifests,
    plan,
    policy,
    reconcile,
    record,
    selftest,
    sizes,
    teardown,
)
from nodisk.classes.own import everyone
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Trouble
from nodisk.errors import EnvironmentProblem, NodiskError, TimedOut, UsageError
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, NotFound, Unauthorized, Unreachable
from nodisk.verify import temporary_class

pytestmark = pytest.mark.usefixtures("forgotten")


def planned(name: str, *people: str, existing: record.Class | None = None, **more: object) -> record.Class:
    size = sizes.find("small") if existing is None else None
    role = more.pop("role", "edit" if existing is None else None)
    found = plan.merge(
        existing,
        [Person(word) for word in people],
        name=name,
        now=record.now(),
        size=size,
        role=role,
        **more,  # type: ignore[arg-type]
    )
    return found.record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "handouts"


def make(plane: ControlPlane, client: Client, found: record.Class, folder: Path, **more: object) -> actions.Made:
    made = actions.create(plane.context, client, found, folder=folder, **more)  # type: ignore[arg-type]
    actions.raise_first(made.failed)
    return made


def as_student(client: Client, folder: Path, label: str) -> Client:
    return client.with_token(kubeconfig.load(folder / f"{label}.kubeconfig").token or "", patience=20)


def until_counted(client: Client, namespace: str) -> None:
    """Wait for the quota controller: it counts a kind of object when it knows all of them, seconds after its start."""

    def quota() -> Object:
        return client.get("v1", "ResourceQuota", "nodisk", namespace=namespace)

    def counted() -> bool:
        found = quota()
        return bool(found["status"].get("used", {}).keys() == found["spec"]["hard"].keys())

    until(counted, every=0.1, why=quota)


def until_refused(client: Client, namespace: str) -> None:
    """Wait until the credential has no right in the namespace: sooner than its token alone would be forgotten, which
    the API server remembers for ten seconds.
    """
    until(lambda: refused(client, namespace), seconds=8, every=0.02, why="the old credential still works")


def until_forgotten(client: Client, namespace: str) -> None:
    """Wait until the token is no longer accepted: the API server remembers one for ten seconds."""
    until(lambda: refused(client, namespace, how=Unauthorized), every=0.2, why="the token is still accepted")


def test_a_class_is_isolated_and_its_handouts_work(plane: ControlPlane, client: Client, folder: Path) -> None:
    made = make(plane, client, planned("iso", "Żółć Gęślą", "Jan", teachers=["Anna Nowak"]), folder)
    verdicts = {finding.tried: finding.verdict for finding in made.findings}
    assert len(verdicts) == 22
    # No test may be counted as passed that was not made.
    (reach,) = [finding for finding in made.findings if finding.tried == selftest.REACH]
    assert (reach.verdict, reach.happened.partition(": no node")[0]) == (
        "untried",
        "not tested: nodisk's server can't be judged",
    )
    assert [tried for tried, verdict in verdicts.items() if verdict == "hole"] == []
    release_is_old = client.version().line < (1, 23)
    assert (verdicts["a privileged pod"] == "gap") is release_is_old
    assert any("nodisk's server can't be judged: no node" in warning for warning in made.warnings)

    for name in ("zolc-gesla.kubeconfig", "zolc-gesla.pl.html", "zolc-gesla.en.html", "iso.zip", "jan.kubeconfig"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    with zipfile.ZipFile(folder / "iso.zip") as archive:
        assert "iso/jan/jan.kubeconfig" in archive.namelist()
        assert not any("teacher" in name for name in archive.namelist())
    config = yaml.safe_load((folder / "jan.kubeconfig").read_text())
    assert config["contexts"][0]["context"]["namespace"] == "iso-jan"
    assert config["clusters"][0]["cluster"]["server"] == "https://10.77.0.1:6443"
    # kubectl itself, with the student's file; only the address is the test's, as the lab's isn't on this host.
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{plane.port}"
    own = folder / "test.kubeconfig"
    own.write_text(yaml.safe_dump(config))

    def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(plane.bin / "kubectl"), f"--kubeconfig={own}", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)

    until_counted(client, "iso-jan")
    assert "No resources found in iso-jan namespace" in kubectl("get", "pods").stderr
    assert "Forbidden" in kubectl("get", "nodes").stderr
    assert kubectl("create", "deployment", "echo", "--image=nodisk/echo:1", "--replicas=2").returncode == 0
    assert kubectl("expose", "deployment", "echo", "--type=NodePort", "--port=8080").returncode == 0
    port = kubectl("get", "service", "echo", "-o", "jsonpath={.spec.ports[0].nodePort}").stdout
    assert 30000 <= int(port) <= 32767
    second = kubectl("expose", "deployment", "echo", "--type=NodePort", "--port=81", "--name=two")
    assert "exceeded quota" in second.stderr
    assert kubectl("delete", "service/echo", "deployment/echo", "--wait").returncode == 0
    teacher = as_student(client, folder, "teacher-anna-nowak")
    assert teacher.list("v1", "Secret", namespace="iso-jan") is not None
    with pytest.raises(Forbidden):
        teacher.list("v1", "Secret", namespace="kube-system")

    # Nothing that was recorded or printed holds a token.
    token = config["users"][0]["user"]["token"]
    assert token not in (plane.lab_state.classes / "iso.json").read_text()
    assert token not in repr(made)


def test_a_second_run_changes_nothing_and_a_changed_roster_one_student(
    plane: ControlPlane, client: Client, folder: Path
) -> None:
    first = make(plane, client, planned("twice", "a", "b"), folder)
    before = snapshot(client, "twice")
    again = make(plane, client, planned("twice", "a", "b", existing=first.record), folder)
    assert again.made == 0
    assert snapshot(client, "twice") == before
    third = make(plane, client, planned("twice", "a", "b", "c", existing=again.record), folder)
    assert third.made == 1
    after = snapshot(client, "twice")
    assert {name for name in after if name not in before} >= {"/Namespace/twice-c", "twice/ServiceAccount/c-1"}
    assert {name: found for name, found in after.items() if name in before} == before
    (folder / "b.kubeconfig").unlink()
    assert make(plane, client, third.record, folder).made == 1
    assert as_student(client, folder, "b").list("v1", "Pod", namespace="twice-b") == []


def snapshot(client: Client, name: str) -> dict[str, Object]:
    """Every managed object of a class, without the server's bookkeeping."""
    kinds = ("Namespace", "ServiceAccount", "Secret", "LimitRange", "RoleBinding", "NetworkPolicy")
    groups = {"RoleBinding": "rbac.authorization.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1"}
    found = {}
    for kind in kinds:
        for item in client.list(groups.get(kind, "v1"), kind, labels=f"nodisk.dev/class={name}"):
            meta = item["metadata"]
            for key in ("resourceVersion", "managedFields"):
                meta.pop(key, None)
            found[f"{meta.get('namespace', '')}/{kind}/{meta['name']}"] = item
    return found


def test_rotated_and_suspended_credentials_die_at_once(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("rot", "a", "b"), folder).record
    old = as_student(client, folder, "a")
    made = actions.rotate(plane.context, client, found, [found.student("a")], folder=folder)
    until_refused(old, "rot-a")
    new = as_student(client, folder, "a")
    assert new.list("v1", "Pod", namespace="rot-a") == []
    assert as_student(client, folder, "b").list("v1", "Pod", namespace="rot-b") == []
    suspended = accounts.set_suspended(client, made.record, plane.lab, made.record.students, True).record
    until_refused(new, "rot-a")
    accounts.set_suspended(client, suspended, plane.lab, suspended.students, False)
    credentials.first_call(new, "rot-a")
    with pytest.raises(NotFound):
        client.get("v1", "ServiceAccount", "a-1", namespace="rot")


def test_deleting_the_bound_secret_revokes_the_token_itself(plane: ControlPlane, client: Client, folder: Path) -> None:
    make(plane, client, planned("revoke", "a"), folder)
    student = as_student(client, folder, "a")
    assert student.list("v1", "Pod", namespace="revoke-a") == []
    client.delete("v1", "Secret", "a-1-token", namespace="revoke")
    until_forgotten(student, "revoke-a")


def test_a_credential_that_died_is_made_anew(plane: ControlPlane, client: Client, folder: Path) -> None:
    made = make(plane, client, planned("dead", "a", "b", teachers=["T"]), folder)
    tokens = handouts.held(made.record)
    assert drift.find(client, made.record, plane.lab, tokens=tokens) == []
    client.delete("v1", "Secret", "a-1-token", namespace="dead")
    client.delete("v1", "ServiceAccount", "teacher-t-1", namespace="dead")
    for name in ("a", "teacher-t"):
        until_forgotten(as_student(client, folder, name), "dead-a")
    said = {d.object: d.what for d in drift.find(client, made.record, plane.lab, tokens=tokens)}
    dead = "its token is no longer accepted"
    assert (said["ServiceAccount a-1"], said["Secret a-1-token"]) == (dead, "is gone")
    again = make(plane, client, planned("dead", "a", "b", existing=made.record), folder)
    assert again.made == 2
    assert as_student(client, folder, "a").list("v1", "Pod", namespace="dead-a") == []
    assert as_student(client, folder, "teacher-t").list("v1", "Pod", namespace="dead-b") == []
    assert drift.find(client, again.record, plane.lab, tokens=handouts.held(again.record)) == []


def test_another_end_makes_other_credentials_and_an_interrupted_move_is_completed(
    plane: ControlPlane, client: Client, folder: Path
) -> None:
    first = make(plane, client, planned("move", "a", "b"), folder).record
    first = accounts.set_suspended(client, first, plane.lab, [first.student("b")], True, by_hand=True).record
    end = first.expires + timedelta(days=10)
    found = planned("move", "a", "b", existing=first, expires=end)
    # As if the run had ended after the first student.
    half = reconcile.apply(client, found, plane.lab, keep=handouts.held(first), only=[found.student("a")])
    assert list(half.credentials) == ["name:a"]
    actions.finish(plane.context, client, half, handouts.held(first), folder=folder)
    whole = make(plane, client, planned("move", "a", "b", existing=half.record), folder)
    assert whole.made == 1
    # An end is asked for as a time from now and given in whole seconds: what the API server says may be a second away.
    assert all(
        student.expires is not None and abs(student.expires - end) <= timedelta(seconds=2)
        for student in whole.record.students
    )
    assert make(plane, client, planned("move", "a", "b", existing=whole.record), folder).made == 0
    assert [student.suspended for student in whole.record.students] == [False, True]


def test_teachers_come_and_go(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("staff", "a", "b", teachers=["One", "Two"]), folder).record
    one, two = (as_student(client, folder, f"teacher-{word}") for word in ("one", "two"))
    assert two.list("v1", "Secret", namespace="staff-b") is not None
    found = accounts.set_suspended(client, found, plane.lab, [found.account("teacher-one")], True, by_hand=True).record
    until_refused(one, "staff-a")
    assert two.list("v1", "Pod", namespace="staff-a") == []
    found = accounts.set_suspended(client, found, plane.lab, [found.account("One")], False).record
    credentials.first_call(one, "staff-b")
    actions.remove(plane.context, client, found, [found.account("One")])
    until_refused(one, "staff-a")
    assert not (folder / "teacher-one.kubeconfig").exists()
    found = record.need(plane.lab_state, "staff")
    assert [teacher.label for teacher in found.teachers] == ["teacher-two"]
    made = actions.rotate(plane.context, client, found, [found.account("Two")], folder=folder)
    until_refused(two, "staff-a")
    credentials.first_call(as_student(client, folder, "teacher-two"), "staff-a")
    assert drift.find(client, made.record, plane.lab) == []
    actions.remove(plane.context, client, made.record, [made.record.account("Two")])
    found = record.need(plane.lab_state, "staff")
    assert found.teachers == ()
    with pytest.raises(NotFound):
        client.get("rbac.authorization.k8s.io/v1", "RoleBinding", "nodisk-teachers", namespace="staff-a")
    assert drift.find(client, found, plane.lab) == []


def test_rights_given_by_hand_are_named(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("grant", "a"), folder).record
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": "a-1", "namespace": "grant"}
    group = {"kind": "Group", "name": "system:serviceaccounts:grant", "apiGroup": rbac}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"}
    for space, subject in (("grant", account), ("default", account), (None, group)):
        # A label of nodisk's doesn't make it nodisk's.
        meta = {"name": "extra", "labels": {"app.kubernetes.io/managed-by": "nodisk"}}
        meta |= {} if space is None else {"namespace": space}
        kind = "ClusterRoleBinding" if space is None else "RoleBinding"
        client.create(
            {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": meta, "roleRef": role, "subjects": [subject]}
        )
    try:
        said = {(d.namespace, d.object) for d in drift.find(client, found, plane.lab)}
        assert said == {
            ("grant", "RoleBinding extra"),
            ("default", "RoleBinding extra"),
            ("", "ClusterRoleBinding extra"),
        }
    finally:
        client.delete(f"{rbac}/v1", "RoleBinding", "extra", namespace="default")
        client.delete(f"{rbac}/v1", "ClusterRoleBinding", "extra")


def test_an_interrupted_run_is_completed_by_the_next(plane: ControlPlane, folder: Path) -> None:
    found = planned("cut", *(f"s{n}" for n in range(12)))
    with plane.client(patience=0.3) as impatient:
        impatient.version()
        plane.forwarder.break_after(60)  # of more than a hundred
        with pytest.raises((Unreachable, NodiskError)):
            make(plane, impatient, found, folder)
    plane.forwarder.cut()
    plane.forwarder.mend()
    with plane.client() as client:
        half = objects_of(client, "cut")
        kept = record.need(plane.lab_state, "cut")
        made = make(plane, client, planned("cut", *(f"s{n}" for n in range(12)), existing=kept), folder)
        whole = objects_of(client, "cut")
        assert set() < half < whole
        for kind, count in {"Namespace": 13, "ServiceAccount": 12, "Secret": 12, "NetworkPolicy": 24}.items():
            assert len([one for one in whole if one[0] == kind]) == count, kind
        assert {student.label for student in made.record.students} == {f"s{n}" for n in range(12)}
        for student in made.record.students:
            assert as_student(client, folder, student.label).list("v1", "Pod", namespace=f"cut-{student.label}") == []


def objects_of(client: Client, name: str) -> set[tuple[str, str, str]]:
    """What there is of a class: kind, namespace, name."""
    kinds = {
        "Namespace": "v1",
        "ServiceAccount": "v1",
        "Secret": "v1",
        "ResourceQuota": "v1",
        "LimitRange": "v1",
        "RoleBinding": "rbac.authorization.k8s.io/v1",
        "NetworkPolicy": "networking.k8s.io/v1",
    }
    return {
        (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        for kind, api in kinds.items()
        for item in client.list(api, kind, labels=f"nodisk.dev/class={name}", metadata_only=True)
    }


def test_a_role_that_changes_replaces_its_binding(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("role", "a"), folder).record
    changed = make(plane, client, planned("role", "a", existing=found, role="view"), folder)
    assert not [finding for finding in changed.findings if finding.verdict == "hole"]
    student = as_student(client, folder, "a")
    with pytest.raises(Forbidden):
        student.create(config_map("mine", "role-a"))


def test_an_admin_student_can_not_make_access_that_outlasts_the_class(
    plane: ControlPlane, client: Client, folder: Path
) -> None:
    found = make(plane, client, planned("adm", "a", "b", role="admin"), folder)
    verdicts = {finding.tried: finding.verdict for finding in found.findings}
    assert verdicts["give a ServiceAccount of the own namespace what they have"] == "ok"
    student = as_student(client, folder, "a")
    rbac = "rbac.authorization.k8s.io"
    student.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine", "namespace": "adm-a"}})
    for verb in policy.WITHHELD[rbac, "rolebindings"]:
        for resource in ("rolebindings", "roles"):
            assert not allowed(student, verb, resource, group=rbac, namespace="adm-a"), (verb, resource)
    assert allowed(student, "list", "rolebindings", group=rbac, namespace="adm-a")
    assert not allowed(student, "create", "serviceaccounts", namespace="adm-a", subresource="token")
    # The account that the student made is good for nothing; whoever gives it something is named.
    token, _ = client.token("adm-a", "mine", seconds=600)
    with pytest.raises(Forbidden):
        client.with_token(token, patience=3).list("v1", "Pod", namespace="adm-a")
    meta = {"name": "grant", "namespace": "adm-a"}
    ref = {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"}
    subject = {"kind": "ServiceAccount", "name": "mine", "namespace": "adm-a"}
    binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": ref}
    client.create({**binding, "subjects": [subject]})
    differences = drift.find(client, found.record, plane.lab)
    assert [(d.namespace, d.object) for d in differences] == [("adm-a", "RoleBinding grant")]


def config_map(name: str, namespace: str, **meta: object) -> Object:
    metadata = {"name": name, "namespace": namespace, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}


def test_drift_and_export(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("drift", "a", "b"), folder).record
    assert drift.find(client, found, plane.lab) == []
    client.delete("networking.k8s.io/v1", "NetworkPolicy", "nodisk", namespace="drift-a")
    client.patch("v1", "ResourceQuota", "nodisk", {"spec": {"hard": {"pods": "99"}}}, namespace="drift-b")
    subject = {"kind": "User", "name": "x", "apiGroup": "rbac.authorization.k8s.io"}
    client.create({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "friend", "namespace": "drift-b"}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    })  # fmt: skip
    found_drift = {(d.namespace, d.object): d.what for d in drift.find(client, found, plane.lab)}
    assert found_drift == {
        ("drift-a", "NetworkPolicy nodisk"): "is gone",
        ("drift-b", "ResourceQuota nodisk"): "changed: spec.hard.pods",
        ("drift-b", "RoleBinding friend"): "was not created by nodisk",
    }
    student = as_student(client, folder, "a")
    student.create(config_map("mine", "drift-a"))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "drift-a"}}
    student.create(service | {"spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}})
    container = {"name": "main", "image": "main", "resources": {"limits": {"cpu": "100m", "memory": "16Mi"}}}
    pod = {"containers": [container], "restartPolicy": "Never"}
    for api, kind, spec in (("v1", "Pod", pod), ("batch/v1", "Job", {"template": {"spec": pod}})):
        meta = {"name": kind.lower(), "namespace": "drift-a"}
        student.create({"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec})
    texts = drift.export(client, found, found.students)
    friend = yaml.safe_load(texts["b"])
    assert (friend["kind"], friend["metadata"], friend["subjects"]) == ("RoleBinding", {"name": "friend"}, [subject])
    documents = list(yaml.safe_load_all(texts["a"]))
    things = [("ConfigMap", "mine"), ("Pod", "pod"), ("Service", "web"), ("Job", "job")]
    assert [(d["kind"], d["metadata"]["name"]) for d in documents] == things
    # What was exported can be applied elsewhere, as it is.
    plane.kubectl("--namespace", "default", "apply", "-f", "-", stdin=texts["a"])
    plane.kubectl("--namespace", "default", "delete", "--wait=false", "configmap/mine", "service/web", "job/job")
    client.delete("v1", "Pod", "pod", namespace="default", grace=0)
    make(plane, client, found, folder)
    assert [d.object for d in drift.find(client, found, plane.lab)] == ["RoleBinding friend"]


def test_reset_remove_and_delete_leave_nothing(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("end", "a", "b"), folder).record
    for label in ("a", "b"):
        as_student(client, folder, label).create(config_map("mine", f"end-{label}"))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "end-a"}}
    client.create(service | {"spec": {"ports": [{"port": 80}]}})
    assert actions.reset(plane.context, client, found, [found.student("a")]) == {"Service": 1}
    with pytest.raises(NotFound):
        client.get("v1", "ConfigMap", "mine", namespace="end-a")
    credentials.first_call(as_student(client, folder, "a"), "end-a")  # the same credential
    actions.remove(plane.context, client, found, [found.student("a")])
    assert not (folder / "a.kubeconfig").exists()
    assert client.get("v1", "ConfigMap", "mine", namespace="end-b")
    found = record.need(plane.lab_state, "end")
    assert [student.label for student in found.students] == ["b"]
    role = ("rbac.authorization.k8s.io/v1", "ClusterRole", "nodisk-student-edit")
    # A class without a record, as those of nodisk verify, needs the role too.
    unrecorded = temporary_class.planned("x", 1)
    client.create(manifests.identity_namespace(unrecorded, features.features(client))[0])
    accounts.delete(client, found, nullcontext([]), limit=300)
    assert client.get(*role)
    accounts.delete(client, unrecorded, nullcontext([found]), limit=300)
    actions.delete(plane.context, client, found, limit=300)
    assert client.list("v1", "Namespace", labels="nodisk.dev/class=end") == []
    with pytest.raises(NotFound):
        client.get(*role)
    assert not folder.exists()
    assert record.load(plane.lab_state, "end") is None


def test_a_stuck_namespace_is_named_with_its_finalizer(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("stuck", "a", "b"), folder).record
    client.create(config_map("held", "stuck-a", finalizers=["example.org/never"]))
    with pytest.raises(TimedOut, match=r"stuck-a:.*ConfigMap held \(example.org/never\)"):
        accounts.delete(client, found, nullcontext([]), limit=8)
    with pytest.raises(UsageError, match="still being deleted"):
        make(plane, client, found, folder)
    client.patch("v1", "ConfigMap", "held", {"metadata": {"finalizers": None}}, namespace="stuck-a")


def test_neither_a_long_grace_nor_a_machine_that_is_off_holds_up_the_end(
    plane: ControlPlane, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no kubelet here, so no pod of a node ends by itself: as on machines that are off, or busy."""
    monkeypatch.setattr(teardown, "PATIENCE", 10.0)
    found = make(plane, client, planned("grace", "a", "b"), folder).record
    on = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2099-01-01T00:00:00Z"}
    for name, conditions in (("on", [on]), ("off", [{**on, "status": "Unknown"}])):
        client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        path = client.path("v1", "Node", name, subresource="status")
        body = {"status": {"conditions": conditions}}
        client.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        spec = {
            "nodeName": name,
            "terminationGracePeriodSeconds": 86400,
            "containers": [{"name": "main", "image": "main"}],
        }
        metadata = {"name": "stays", "namespace": "grace-a" if name == "on" else "grace-b"}
        client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    # A student who deletes it himself waits a day.
    client.delete("v1", "Pod", "stays", namespace="grace-a")
    gone: list[float] = []
    since = time.monotonic()

    def on_gone() -> None:
        gone.append(time.monotonic() - since)

    try:
        with pytest.raises(TimedOut, match=r"grace-a: .*Pod stays on on"):
            accounts.delete(client, found, nullcontext([found]), limit=2, on_gone=on_gone)
        accounts.delete(client, found, nullcontext([found]), limit=180, on_gone=on_gone)
    finally:
        for name in ("on", "off"):
            client.delete("v1", "Node", name)
    assert client.list("v1", "Namespace", labels="nodisk.dev/class=grace") == []
    assert max(gone) > teardown.GRACE + teardown.PATIENCE  # the machine that is on had its time


def test_what_is_not_the_classs_is_left_alone(plane: ControlPlane, client: Client, folder: Path) -> None:
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "taken-a"}})
    try:
        with pytest.raises(UsageError, match="taken-a: was not made by nodisk"):
            make(plane, client, planned("taken", "a", "b"), folder)
        assert record.load(plane.lab_state, "taken") is None
    finally:
        client.delete("v1", "Namespace", "taken-a")


def test_the_arithmetic(plane: ControlPlane, client: Client, folder: Path) -> None:
    node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}}
    client.create(node)
    amounts = {"cpu": "4", "memory": "4Gi", "pods": "110", "ephemeral-storage": "2Gi"}
    path = client.path("v1", "Node", "w1", subresource="status")
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2099-01-01T00:00:00Z"}
    status = {"status": {"allocatable": amounts, "capacity": amounts, "conditions": [condition]}}
    merge = "application/merge-patch+json"
    client.request("PATCH", path, body=status, content_type=merge)
    # Without a kubelet the taint is there from the start; the control plane takes it away when the node is Ready.
    client.patch("v1", "Node", "w1", {"spec": {"taints": None}})
    try:
        five = plan.Planned(planned("sum", *"abcde"), (), ())
        assert actions.weigh(client, five, overcommit=False).short == []
        six = plan.Planned(planned("sum", *"abcdef"), (), ())
        with pytest.raises(UsageError, match=r"4\.5 GiB RAM, but the nodes have 4\.0"):
            actions.weigh(client, six, overcommit=False)
        assert actions.weigh(client, six, overcommit=True).short
        request = {"cpu": "100m", "memory": "300Mi"}
        container = {"name": "dns", "image": "dns", "resources": {"requests": request}}
        system: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "dns", "namespace": "kube-system"},
            "spec": {"nodeName": "w1", "containers": [container]},
        }
        client.create(system)
        with pytest.raises(UsageError, match=r"3\.8 GiB RAM, but the nodes have 3\.7"):
            actions.weigh(client, five, overcommit=False)
        client.delete("v1", "Pod", "dns", namespace="kube-system", grace=0)
        make(plane, client, planned("other", "x"), folder)
        with pytest.raises(UsageError, match=r"3\.8 \+ 0\.8 for other classes = 4\.5 GiB"):
            actions.weigh(client, five, overcommit=False)
    finally:
        client.delete("v1", "Node", "w1")


def test_a_class_ends_by_itself(plane: ControlPlane, client: Client, folder: Path) -> None:
    found = make(plane, client, planned("term", "a"), folder).record
    student = as_student(client, folder, "a")
    now = found.expires
    assert expiry.tick(plane.context, now - timedelta(days=30)) == []
    assert [e.kind for e in expiry.tick(plane.context, now - timedelta(days=3))] == ["warned"]
    assert expiry.tick(plane.context, now - timedelta(days=2)) == []
    plane.forwarder.cut()
    assert [e.kind for e in expiry.tick(plane.context, now)] == ["failed"]
    plane.forwarder.mend()
    assert [e.kind for e in expiry.tick(plane.context, now)] == ["suspended"]
    until_refused(student, "term-a")
    assert expiry.tick(plane.context, now + timedelta(days=13)) == []
    assert [e.kind for e in expiry.tick(plane.context, now + timedelta(days=15))] == ["deleted"]
    assert client.list("v1", "Namespace", labels="nodisk.dev/class=term") == []
    assert record.load_all(plane.lab_state) == []


def test_expired_admin_credentials_are_named(plane: ControlPlane, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from nodisk.pki import certs

    pki = plane.lab_state.pki
    signer = certs.Signer(
        x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes()),
        certs.load_key((pki / "ca.key").read_bytes()),
    )
    key = ec.generate_private_key(ec.SECP256R1())
    long_ago = record.now() - timedelta(days=30)
    name = certs.subject("kubernetes-admin", "system:masters")
    old = certs.issue(signer, name, key.public_key(), usages=[certs.CLIENT], lifetime=timedelta(days=1), now=long_ago)
    endpoint = kubeconfig.load(plane.kubeconfig)
    expired = kubeconfig.Endpoint(
        endpoint.server, endpoint.ca_pem, certs.pem(old).decode(), certs.key_pem(key).decode()
    )
    with Client(expired, patience=2) as client, pytest.raises(EnvironmentProblem, match="expired on"):
        client.version()


def test_a_full_disk_while_handouts_are_written(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], check=True)
    try:
        found = planned("full", *"abcdefgh")
        with pytest.raises(OSError, match="No space left"):
            make(plane, client, found, mount)
        kept = record.need(plane.lab_state, "full")
        for path in mount.glob("*.kubeconfig"):
            assert kubeconfig.load(path).token  # whole, or absent
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    made = make(plane, client, kept, tmp_path / "roomy")
    for student in made.record.students:
        assert (
            as_student(client, tmp_path / "roomy", student.label).list("v1", "Pod", namespace=f"full-{student.label}")
            == []
        )


def test_what_fails_for_students_in_plain_words(
    plane: ControlPlane, client: Client, folder: Path, tmp_path: Path
) -> None:
    """A quota that is full, by the real controllers' event; what a kubelet and the scheduler say, by a pod's status."""
    make(plane, client, planned("troubled", "jan", "ewa"), folder)
    until_counted(client, "troubled-jan")
    for name, replicas, limits in (("greedy", 1, {"cpu": "64"}), ("many", 40, {})):
        container = {"name": "main", "image": "nginx", "resources": {"requests": limits, "limits": limits}}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        meta = {"name": name, "namespace": "troubled-jan"}
        client.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "misspelt", "namespace": "troubled-ewa"},
            "spec": {"containers": [{"name": "main", "image": "ngnix"}]},
        }
    )
    waits = {"name": "main", "image": "ngnix", "imageID": "", "ready": False, "restartCount": 0}
    waits |= {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}
    path = client.path("v1", "Pod", "misspelt", namespace="troubled-ewa", subresource="status")
    status = {"status": {"containerStatuses": [waits]}}
    client.json("PATCH", path, params={}, body=status, content_type="application/merge-patch+json", idempotent=True)

    def failures() -> tuple[Trouble, ...]:
        return failing.find(client, record.need(plane.lab_state, "troubled"))

    until(lambda: len(failures()) >= 3, every=0.1, why=failures)
    found = failures()
    told = {(one.namespace, one.object): (str(one.kind), one.pods) for one in found}
    assert told == {
        ("troubled-ewa", "pod/misspelt"): ("image", 1),
        ("troubled-jan", "deployment/greedy"): ("quota", 0),
        ("troubled-jan", "deployment/many"): ("quota", 0),
    }
    shown = nodisk(plane, tmp_path, "class", "show", "troubled", "--troubles")
    assert shown.returncode == 0, shown.stderr
    assert "a typo in ngnix? nginx is known" in shown.stdout
    assert "maximum cpu usage per Container is 1, but limit is 64" in shown.stdout
    assert "more than the namespace may use" in shown.stdout
    assert "limits.cpu: asks for 250m, 1 of 1 are in use" in shown.stdout
    listed = json.loads(nodisk(plane, tmp_path, "class", "show", "troubled", "--troubles", "--output", "json").stdout)
    assert {(one["namespace"], one["object"]): (one["kind"], one["pods"]) for one in listed} == told
    # A class's page says the same, out of one answer for all pages.
    known = record.need(plane.lab_state, "troubled")
    page = everyone(plane.context).together(known)
    assert {(one.namespace, one.object): (str(one.kind), one.pods) for one in page.troubles} == told
    assert page.quotas.keys() == {one.key for one in known.students}
    # What the console says of the cluster counts the promise: two students of size small.
    seen = census.ask(plane.context)
    assert seen.promised["pods"] >= 2 * sizes.find("small")[1].pods


def nodisk(plane: ControlPlane, cwd: Path, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    where = ("--lab", plane.lab_file, "--state", plane.state.root)
    return commands.call([*words, *where], cwd=cwd, answer=answer, timeout=400)


def test_commands(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    csv = tmp_path / "group.csv"
    csv.write_bytes("Nr albumu;Imię i nazwisko\r\n101;Żółć Gęślą\r\n102;Jan Kowalski\r\n".encode("cp1250"))
    words = ("class", "create", "cli", "--roster", str(csv))
    refused = nodisk(plane, tmp_path, *words)
    assert refused.returncode == 2
    assert "no machine has joined" in refused.stderr
    dry = nodisk(plane, tmp_path, *words, "--overcommit", "--dry-run", "--output", "json")
    assert [row["namespace"] for row in json.loads(dry.stdout)["students"]] == ["cli-zolc-gesla", "cli-jan-kowalski"]
    assert record.load_all(plane.lab_state) == []
    made = nodisk(plane, tmp_path, *words, "--overcommit", "--output", "json")
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["credentials_made"] == 2
    assert {finding["verdict"] for finding in answer["isolation"]} <= {"ok", "gap", "untried"}
    token = kubeconfig.load(tmp_path / "cli" / "jan-kowalski.kubeconfig").token
    assert token
    assert token not in made.stdout + made.stderr
    listed = json.loads(nodisk(plane, tmp_path, "class", "list", "--output", "json").stdout)
    assert [(row["name"], row["students"]) for row in listed] == [("cli", 2)]
    verbose = nodisk(plane, tmp_path, "-vv", "class", "rotate", "cli", "102", "jan-kowalski")
    assert verbose.returncode == 0, verbose.stderr
    new = kubeconfig.load(tmp_path / "cli" / "jan-kowalski.kubeconfig").token
    assert new != token
    assert new
    assert new not in verbose.stdout + verbose.stderr
    # Named twice, rotated once.
    assert record.need(plane.lab_state, "cli").student("102").credential == 2
    assert nodisk(plane, tmp_path, "class", "show", "cli", "--drift").returncode == 0
    assert nodisk(plane, tmp_path, "class", "show", "nobody").returncode == 2
    csv.write_text("id,name\n101,Żółć Gęślą\n")
    refused = nodisk(plane, tmp_path, *words, "--overcommit", "--prune", answer="n\n")
    assert (refused.returncode, "Delete cli-jan-kowalski and everything" in refused.stderr) == (2, True)
    assert "cancelled; nothing was changed" in refused.stderr
    pruned = nodisk(plane, tmp_path, *words, "--overcommit", "--prune", "--yes")
    assert pruned.returncode == 0, pruned.stderr
    assert "removed jan-kowalski" in pruned.stderr
    assert nodisk(plane, tmp_path, "class", "delete", "cli", "--yes").returncode == 0
    assert client.list("v1", "Namespace", labels="nodisk.dev/class=cli") == []


def test_the_thesis_commands(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    refused = nodisk(plane, tmp_path, "students", "nazarewk jan", "create")
    assert refused.returncode == 2
    assert "no machine has joined" in refused.stderr
    assert client.list("v1", "Namespace", labels="nodisk.dev/class=students") == []
    created = nodisk(plane, tmp_path, "students", "nazarewk jan", "create", "--overcommit")
    assert created.returncode == 0, created.stderr
    assert 'namespace "nazarewk" created' in created.stdout
    token = nodisk(plane, tmp_path, "student-tokens", "nazarewk").stdout.strip()
    student = client.with_token(token)
    assert student.list("v1", "Pod", namespace="nazarewk") == []
    with pytest.raises(Forbidden, match="cannot list resource"):
        student.list("v1", "Node")
    assert "nazarewk" in nodisk(plane, tmp_path, "students").stdout
    assert "rolebinding/nodisk-student" in nodisk(plane, tmp_path, "students", "nazarewk", "get").stdout
    assert 'kind: "ResourceQuota"' in nodisk(plane, tmp_path, "students", "nazarewk", "describe").stdout
    deleted = nodisk(plane, tmp_path, "students", "nazarewk nazarewk", "delete")
    assert 'namespace "nazarewk" deleted' in deleted.stdout
    names = {item["metadata"]["name"] for item in client.list("v1", "Namespace")}
    assert "nazarewk" not in names
    assert "jan" in names
    assert nodisk(plane, tmp_path, "students", "jan", "delete").returncode == 0
    assert {item["metadata"]["name"] for item in client.list("v1", "Namespace")} == names - {"jan", "students"}


def test_two_runs_at_once_don_t_meet(plane: ControlPlane, tmp_path: Path) -> None:
    with record.changing(plane.lab_state, "busy"):
        refused = nodisk(plane, tmp_path, "class", "create", "busy", "--students", "a")
    assert refused.returncode == 5
    assert "class busy is in use by process" in refused.stderr
