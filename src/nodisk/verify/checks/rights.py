"""Students' rights: bindings that give more than a class does, what the API allows students, and a real attempt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodisk.classes import selftest
from nodisk.classes.features import features
from nodisk.classes.manifests import CLASS, STUDENT
from nodisk.classes.reconcile import Applied
from nodisk.kube.client import Object
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.verify.core import Failed
from nodisk.verify.scene import Scene
from nodisk.verify.temporary_class import temporary_class

RBAC = "rbac.authorization.k8s.io/v1"
FORBIDDEN = (
    ("list", "", "nodes", "", ""),
    ("list", "", "secrets", "", "kube-system"),
    ("create", "", "pods", "", "kube-system"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", ""),
    ("list", "", "namespaces", "", ""),
)
"""(verb, group, resource, subresource, namespace) that no student may use, in any cluster."""
MOST = 200
"""Maximum number of students to ask about: enough for any school, and still a matter of seconds."""


@dataclass(frozen=True, slots=True)
class People:
    """The students and teachers, and their namespaces."""

    spaces: dict[str, str]
    """Namespace → the class it belongs to."""
    accounts: dict[tuple[str, str], str]
    """(namespace, ServiceAccount) of each student → the student's label."""
    owners: dict[str, str]
    """Namespace → the label of the student that it is for."""


def people(client_namespaces: list[Object], accounts: list[Object]) -> People:
    """Sort what the API lists by the labels that classes put on it. Pure."""

    def labels(obj: Object) -> Mapping[str, str]:
        return obj["metadata"].get("labels") or {}

    spaces = {one["metadata"]["name"]: labels(one)[CLASS] for one in client_namespaces if CLASS in labels(one)}
    owners = {one["metadata"]["name"]: labels(one)[STUDENT] for one in client_namespaces if STUDENT in labels(one)}
    students = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): labels(one)[STUDENT]
        for one in accounts
        if STUDENT in labels(one) and one["metadata"]["namespace"] in spaces
    }
    return People(spaces, students, owners)


def suspicious(bindings: list[Object], who: People) -> Iterator[tuple[str, str]]:
    """(what is wrong, the command that shows it) for each binding that gives too much. Pure."""
    for binding in bindings:
        role, name = binding["roleRef"]["name"], binding["metadata"]["name"]
        space = binding["metadata"].get("namespace")
        what = f"{binding['kind']} {space + '/' if space else ''}{name}"
        look = f"nodisk kubectl get {binding['kind'].lower()} {name}{' -n ' + space if space else ''} -o yaml"
        for subject in binding.get("subjects") or []:
            if words := _too_much(subject, role, space, who):
                yield f"{what} gives {words} ({binding['roleRef']['kind']} {role})", look


def _too_much(subject: Object, role: str, space: str | None, who: People) -> str:
    name, kind = subject["name"], subject["kind"]
    home = subject.get("namespace") or space or ""
    words = ""
    if kind == "Group":
        everybody = name in ("system:authenticated", "system:unauthenticated", "system:serviceaccounts")
        prefix, _, group = name.rpartition(":")
        if everybody and role in ("cluster-admin", "admin", "edit"):
            words = f"everybody in {name} the rights of {role}"
        elif prefix == "system:serviceaccounts" and group in who.spaces and space not in who.spaces:
            words = f"all of the class {who.spaces[group]} rights outside their namespaces"
    elif kind == "ServiceAccount" and home in who.spaces:
        student = who.accounts.get((home, name))
        person = f"the student {student}" if student else f"the account {home}/{name} of the class {who.spaces[home]}"
        if space is None:
            words = f"{person} rights in the whole cluster"
        elif role == "cluster-admin":
            words = f"{person} all rights in {space}, quotas and policies included"
        elif who.spaces.get(space) != who.spaces[home]:
            words = f"{person} rights in {space}, which is not of that class"
        elif student and who.owners.get(space) != student:
            words = f"{person} rights in {space}, which is another's"
    elif kind == "ServiceAccount" and space is None and role == "cluster-admin" and home != "kube-system":
        words = f"every pod that uses the account {home}/{name} the whole cluster"
    return words


def rights(scene: Scene) -> list[str]:
    """Read all bindings; ask the API what each student may; try it with a temporary student's own credential."""
    client = scene.client
    who = people(client.list("v1", "Namespace"), client.list("v1", "ServiceAccount", metadata_only=True))
    bindings = client.list(RBAC, "ClusterRoleBinding") + client.list(RBAC, "RoleBinding")
    found = list(suspicious(bindings, who))
    asked = sorted(who.accounts)[:MOST]
    allowed = [line for lines in all_or_raise(in_parallel(lambda one: _may(scene, *one), asked)) for line in lines]
    if found or allowed:
        look = found[0][1] if found else "nodisk kubectl get clusterrolebindings,rolebindings -A -o wide"
        raise Failed(
            *(line for line, _ in found),
            *allowed,
            cause="somebody made a binding by hand that gives students more than their class does",
            look=look,
        )
    lines = [f"{len(bindings)} bindings read: none gives a student more than a class does"]
    if asked:
        lines.append(f"{len(asked)} students asked about {len(FORBIDDEN)} things that they may not")
    return [*lines, *_try(scene)]


def students_of(scene: Scene, applied: Applied) -> list[selftest.Tester]:
    """A temporary class's students with their own credentials, by label."""
    return [
        selftest.Tester(one.account, scene.client.with_token(one.token, patience=5 * scene.pace))
        for one in sorted(applied.credentials.values(), key=lambda one: one.account.label)
    ]


def _try(scene: Scene) -> Iterator[str]:
    """The isolation self-test of classes, with two temporary students' own credentials."""
    with temporary_class(scene, 2) as applied:
        testers = students_of(scene, applied)
        findings = list(selftest.run(applied.record, testers[0], testers[1], features(scene.client)))
    holes = [one for one in findings if one.verdict == "hole"]
    if holes:
        raise Failed(
            *(f"{one.who} tries to {one.tried}: {one.happened} (expected: {one.expected})" for one in holes),
            cause="roles or admission of the cluster were changed",
            look="nodisk class show CLASS --drift; nodisk kubectl describe clusterroles nodisk-student-edit",
        )
    yield f"a temporary student tried {len(findings)} things: all as expected"
    yield from (f"known gap: {one.tried}: {one.happened}" for one in findings if one.verdict == "gap")


def _may(scene: Scene, space: str, account: str) -> list[str]:
    """What this account may do, by the API server's own decision, of what no student may do."""
    lines = []
    for verb, group, resource, subresource, where in FORBIDDEN:
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{space}:{account}",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated"],
                "resourceAttributes": attributes | {"namespace": where},
            },
        }
        path = scene.client.path("authorization.k8s.io/v1", "SubjectAccessReview")
        status = scene.client.request("POST", path, body=body, idempotent=True).json()["status"]
        if status["allowed"]:
            place = f" in {where}" if where else ""
            lines.append(f"{space}/{account} may {verb} {resource}{place}: {status.get('reason', '')}")
    return lines
