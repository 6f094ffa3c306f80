"""lab.yaml's add-ons on a real API server: applied, compared, changed, and gone when they leave lab.yaml."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.api.apiserver import LAB, ControlPlane

from nodisk import cli
from nodisk.assets import addon_listing, addon_source, mirrored
from nodisk.errors import NodiskError
from nodisk.kube import addon_sets, addons, applyset
from nodisk.kube.client import Client
from nodisk.kube.errors import NotFound
from nodisk.server.nodes import Watcher
from nodisk.spec.load import load
from nodisk.spec.model_addons import Addon

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.addons.example"},
    "spec": {
        "group": "addons.example",
        "scope": "Namespaced",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "listKind": "LampList"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


def thing(kind: str, name: str, namespace: str | None = None, version: str = "v1", **more: Any) -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": meta, **more}


@pytest.fixture
def folder(client: Client, tmp_path: Path) -> Iterator[Path]:
    """A folder for add-ons' files; the cluster's sets are removed after the test."""
    yield tmp_path
    for name in applyset.parents(client):
        applyset.remove(client, name)


def write(folder: Path, name: str, *objects: dict[str, Any]) -> Addon:
    """An add-on with one manifest of these objects."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    pinned = {"path": file, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return Addon.model_validate({"name": name, "manifest": pinned})


def apply(client: Client, *wanted: Addon) -> dict[str, applyset.Outcome]:
    return {done.name: done.outcome for done in addon_sets.apply(client, wanted)}


def shown(members: list[applyset.Member]) -> list[str]:
    return sorted(map(str, members))


def is_going(client: Client, kind: str, name: str, namespace: str | None = None) -> bool:
    """Whether it is deleted: a Namespace goes only seconds later."""
    try:
        return "deletionTimestamp" in client.get("v1", kind, name, namespace=namespace)["metadata"]
    except NotFound:
        return True


def test_what_leaves_a_manifest_leaves_the_cluster(client: Client, folder: Path) -> None:
    keep, drop = thing("ConfigMap", "keep", "default", data={"a": "1"}), thing("ConfigMap", "drop")
    first = apply(client, write(folder, "web", keep, drop))["web"]
    assert (shown(first.applied), first.problems) == (["ConfigMap default/drop", "ConfigMap default/keep"], [])
    [row] = addon_sets.rows(client, [write(folder, "web", keep, drop)])
    assert row.state is addon_sets.State.APPLIED

    changed = write(folder, "web", keep | {"data": {"a": "2"}})
    assert addon_sets.rows(client, [changed])[0].state is addon_sets.State.CHANGED
    found = {str(one.member): one for one in addon_sets.differences(client, changed)}
    assert {name: one.verb for name, one in found.items()} == {
        "ConfigMap default/keep": "change",
        "ConfigMap default/drop": "remove",
    }
    assert '-  a: "1"' in found["ConfigMap default/keep"].text
    assert '+  a: "2"' in found["ConfigMap default/keep"].text
    assert client.get("v1", "ConfigMap", "keep", namespace="default")["data"] == {"a": "1"}, "a dry run"

    second = apply(client, changed)["web"]
    assert shown(second.removed) == ["ConfigMap default/drop"]
    assert client.get("v1", "ConfigMap", "keep", namespace="default")["data"] == {"a": "2"}
    assert list(addon_sets.differences(client, changed)) == []

    assert shown(apply(client)["web"].removed) == ["ConfigMap default/keep"]
    assert applyset.parents(client) == {}
    with pytest.raises(NotFound):
        client.get("v1", "ConfigMap", "keep", namespace="default")


def test_kinds_and_namespaces_may_come_in_any_order(client: Client, folder: Path) -> None:
    lamp = thing("Lamp", "red", "addons-any", "addons.example/v1")
    wanted = write(folder, "any", lamp, thing("Namespace", "addons-any"), CRD)
    verbs = {str(one.member): one.verb for one in addon_sets.differences(client, wanted)}
    assert verbs["Namespace addons-any"] == "create"
    outcome = apply(client, wanted)["any"]
    assert outcome.problems == []
    assert len(outcome.applied) == 3
    assert client.get("addons.example/v1", "Lamp", "red", namespace="addons-any")
    parent = applyset.parents(client)["any"]
    assert ("Lamp", "addons.example") in parent.kinds
    assert applyset.members(client, parent)[0].member.kind == "Lamp", "what others need goes last"
    assert len(apply(client)["any"].removed) == 3
    assert is_going(client, "Namespace", "addons-any")


def test_a_refused_object_is_named_and_stops_nothing(client: Client, folder: Path) -> None:
    old = thing("ConfigMap", "old")
    assert apply(client, write(folder, "bad", old))["bad"].problems == []
    bad = write(folder, "bad", thing("ConfigMap", "Not_A_Name"), thing("ConfigMap", "fine"))
    gone = Addon.model_validate({"name": "gone", "path": folder / "nowhere"})
    found = apply(client, gone, bad, write(folder, "good", thing("ConfigMap", "good")))
    assert found["gone"].problems == [f"add-on gone: {folder}/nowhere: No such file or directory"]
    [problem] = found["bad"].problems
    assert problem.startswith("ConfigMap Not_A_Name: ")
    assert shown(found["bad"].applied) == ["ConfigMap default/fine"]
    assert shown(found["good"].applied) == ["ConfigMap default/good"]
    assert client.get("v1", "ConfigMap", "old", namespace="default"), "nothing is removed before all is applied"
    mended = apply(client, write(folder, "bad", thing("ConfigMap", "fine")))
    assert shown(mended["bad"].removed) == ["ConfigMap default/old"]
    assert shown(mended["good"].removed) == ["ConfigMap default/good"]


def test_an_unreadable_add_on_keeps_its_objects(client: Client, folder: Path) -> None:
    wanted = write(folder, "web", thing("ConfigMap", "stays"))
    apply(client, wanted)
    (folder / "web.yaml").write_text("a: [")
    [row] = addon_sets.rows(client, [wanted])
    assert (row.state, "has the hash" in row.problem) == (addon_sets.State.BROKEN, True)
    assert apply(client, wanted)["web"].problems
    assert client.get("v1", "ConfigMap", "stays", namespace="default")


def test_two_add_ons_do_not_take_each_others_objects(client: Client, folder: Path) -> None:
    shared = thing("ConfigMap", "shared", data={"of": "one"})
    found = apply(client, write(folder, "one", shared), write(folder, "two", shared | {"data": {"of": "two"}}))
    assert found["one"].problems == []
    assert "belongs to another ApplySet" in found["two"].problems[0]
    assert client.get("v1", "ConfigMap", "shared", namespace="default")["data"] == {"of": "one"}


def test_a_namespace_that_was_there_stays(client: Client, folder: Path) -> None:
    client.create(thing("Namespace", "addons-before"))
    apply(client, write(folder, "web", thing("Namespace", "addons-before"), thing("ConfigMap", "a", "addons-before")))
    assert shown(apply(client)["web"].removed) == ["ConfigMap addons-before/a"]
    assert not is_going(client, "Namespace", "addons-before")
    client.delete("v1", "Namespace", "addons-before")


def test_an_apply_that_is_cut_off_forgets_nothing(plane: ControlPlane, client: Client, folder: Path) -> None:
    wanted = write(folder, "cut", *(thing("ConfigMap", f"cut-{number}") for number in range(5)))
    halves = 0
    for records in range(3, 24, 2):
        plane.forwarder.break_after(records)
        try:
            with plane.client(patience=0) as cut, contextlib.suppress(NodiskError):
                apply(cut, wanted)
        finally:
            plane.forwarder.cut()
            plane.forwarder.mend()
        with plane.client() as again:
            [row] = addon_sets.rows(again, [wanted])
            made = again.list("v1", "ConfigMap", namespace="default", labels=applyset.PART_OF)
            assert len(made) == 5 or row.state is not addon_sets.State.APPLIED
            halves += 0 < len(made) < 5
            assert len(apply(again).get("cut", applyset.Outcome()).removed) == len(made)
            assert again.list("v1", "ConfigMap", namespace="default", labels=applyset.PART_OF) == []
    assert halves, "some cut came between two members"


def test_a_file_of_the_folder_may_need_a_kind_of_a_later_one(client: Client, folder: Path) -> None:
    lamp = thing("Lamp", "blue", "default", "late.example/v1")
    kind = CRD | {"metadata": {"name": "lamps.late.example"}, "spec": CRD["spec"] | {"group": "late.example"}}
    write(folder, "10-lamp", lamp)
    write(folder, "20-kind", kind)
    objects, bad = addons.read(folder)
    assert addons.apply(client, objects) == (2, bad) == (2, [])
    client.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "lamps.late.example")


def test_secrets_are_not_shown(client: Client, folder: Path) -> None:
    wanted = write(folder, "web", thing("Secret", "s", stringData={"password": "swordfish"}))
    [one] = addon_sets.differences(client, wanted)
    assert "hidden" in one.text
    assert "swordfish" not in one.text
    assert "c3dvcmRmaXNo" not in one.text


def test_the_server_applies_them_and_says_so(plane: ControlPlane, client: Client, folder: Path) -> None:
    lab = plane.lab.model_copy(update={"addons": (write(folder, "web", thing("ConfigMap", "served")),)})
    watcher = Watcher(lab, plane.lab_state, connect=lambda _: plane.client(patience=0))
    assert watcher.apply_addons(client) == ["add-on web: 1 objects applied"]
    assert client.get("v1", "ConfigMap", "served", namespace="default")
    watcher.lab = plane.lab
    assert watcher.apply_addons(client) == ["add-on web: 1 removed"]


DIGEST = "sha256:" + "ab" * 32


def mirrored_as(plane: ControlPlane, image: str, *names: str) -> None:
    """Record an image as mirrored for these add-ons, without its files."""
    copy = mirrored.Copy(DIGEST, DIGEST, "addon-image-none", 1, "2026-11-29T00:00:00+00:00", names)
    mirrored.update(plane.lab_state, lambda _: mirrored.Record({image: copy}, {}))


def test_what_is_mirrored_is_applied_by_its_digest_and_forgotten_with_it(
    plane: ControlPlane, client: Client, folder: Path
) -> None:
    image = "ghcr.io/some/tool:v1"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": image}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    wanted = write(folder, "web", thing("Deployment", "web", "default", "apps/v1", spec=spec))
    read = addon_source.Sources(plane.lab_state).read
    assert [done.outcome.problems for done in addon_sets.apply(client, [wanted], read)] == [[]]
    mirrored_as(plane, image, "web")
    [row] = addon_sets.rows(client, [wanted], read)
    assert row.state is addon_sets.State.CHANGED
    [change] = addon_sets.differences(client, wanted, read)
    assert f'image: "{image}@{DIGEST}"' in change.text

    lab = plane.lab.model_copy(update={"addons": (wanted,)})
    watcher = Watcher(lab, plane.lab_state, connect=lambda _: plane.client(patience=0))
    assert watcher.apply_addons(client) == ["add-on web: 1 objects applied"]
    there = client.get("apps/v1", "Deployment", "web", namespace="default")
    assert there["spec"]["template"]["spec"]["containers"][0]["image"] == f"{image}@{DIGEST}"
    assert addon_sets.rows(client, [wanted], read)[0].state is addon_sets.State.APPLIED

    watcher.lab = plane.lab
    assert watcher.apply_addons(client) == [
        "add-on web: 1 removed",
        f"image {image} is no longer mirrored: no add-on uses it",
    ]
    assert mirrored.read(plane.lab_state) == mirrored.EMPTY


def test_what_another_add_on_mirrors_stays(plane: ControlPlane, client: Client, folder: Path) -> None:
    mirrored_as(plane, "ghcr.io/some/tool:v1", "coming", "web")
    lab = plane.lab.model_copy(update={"addons": (write(folder, "web", thing("ConfigMap", "served")),)})
    watcher = Watcher(lab, plane.lab_state, connect=lambda _: plane.client(patience=0))
    watcher.apply_addons(client)
    watcher.lab = plane.lab
    watcher.apply_addons(client)
    [copy] = mirrored.read(plane.lab_state).images.values()
    assert copy.addons == ("coming",), "mirrored for a lab.yaml that this server hasn't read yet"
    plane.lab_state.mirrored.unlink()


def test_a_chart_that_can_not_be_rendered_stops_nothing(plane: ControlPlane, client: Client, folder: Path) -> None:
    read = addon_source.Sources(plane.lab_state).read
    known = Addon.model_validate({"name": "contour"})
    chart = {"chart": str(folder / "no.tgz"), "version": "1.0.0", "sha256": "ab" * 32}
    broken = Addon.model_validate({"name": "broken", "helm": chart})
    fine = write(folder, "web", thing("ConfigMap", "fine"))
    rows = addon_sets.rows(client, [known, broken, fine], read)
    assert [row.state for row in rows[:2]] == [addon_sets.State.BROKEN, addon_sets.State.BROKEN]
    assert rows[0].problem == "add-on contour: projectcontour/contour v1.33.6 is not loaded yet"
    found = {done.name: done.outcome for done in addon_sets.apply(client, [known, broken, fine], read)}
    assert shown(found["web"].applied) == ["ConfigMap default/fine"]
    assert "No such file" in found["broken"].problems[0]


def test_the_commands(plane: ControlPlane, client: Client, folder: Path) -> None:
    addon = write(folder, "web", thing("ConfigMap", "commanded"))
    assert addon.manifest is not None
    entry = {"name": "web", "manifest": {"path": "web.yaml", "sha256": addon.manifest.sha256}}
    file = folder / "lab.yaml"
    file.write_text(LAB.format(name=plane.name, subnet=plane.subnet) + yaml.safe_dump({"addons": [entry]}))
    assert load(file).addons == (addon,)

    def call(*words: str, status: int = 0) -> Any:
        argv = ["addons", *words, "--lab", str(file), "--state", str(plane.state.root), "--output", "json"]
        done = CliRunner().invoke(cli.nodisk, argv)
        if status:
            assert done.exception is not None
            return str(done.exception)
        assert done.exception is None, (done.output, done.exception)
        return json.loads(done.stdout)

    member = {"group": "", "kind": "ConfigMap", "namespace": "default", "name": "commanded"}
    assert call("list")["addons"][0]["state"] == "not applied"
    context = replace(plane.context, lab=load(file), file=file)
    seen = addon_listing.ask(context, addon_listing.known(context))  # as the console asks
    assert [(one.row.name, one.row.state) for one in seen] == [("web", addon_sets.State.ABSENT)]
    assert call("show", "web")["objects"] == []
    [change] = call("apply", "--dry-run")["changes"]
    assert change.items() >= {"addon": "web", "verb": "create", **member}.items()
    assert call("list")["addons"][0]["state"] == "not applied"
    [done] = call("apply")["addons"]
    assert done == {"name": "web", "applied": [member], "removed": [], "problems": []}
    assert call("list")["addons"][0]["state"] == "applied"
    assert call("show", "web")["objects"] == [member]
    assert call("mirror") == call("mirror", "--dry-run") == {"images": [], "problems": []}
    assert call("diff") == {"changes": []}
    assert call("remove", "web", "--dry-run")["removed"] == [member]
    assert client.get("v1", "ConfigMap", "commanded", namespace="default")
    assert call("remove", "web")["removed"] == [member]
    assert call("list")["addons"][0]["state"] == "not applied"
    assert "no add-on web" in call("remove", "web", status=1)
    assert "no add-on other" in call("apply", "other", status=1)
    (folder / "web.yaml").write_text("a: [")
    assert "not applied as a whole: web" in call("apply", status=1)
