"""Charts rendered by a real Helm, which comes with the tests: no Debian package brings it.

What Helm is told and what is made of its output is tested without one in tests/unit/assets/test_helm.py.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import http.server
import json
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.interop.assets.publisher import registry
from tests.support.helm import unpack
from tests.support.waits import LONG

from nodisk import yamltext
from nodisk.assets import addon_files, addon_listing, addon_source, helm, mirrored, progress
from nodisk.assets.official import Upstream
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.context import LabContext
from nodisk.errors import IntegrityError, SpecError
from nodisk.kube import goyaml
from nodisk.spec.addon_catalogue import CATALOGUE, Known
from nodisk.spec.model import Lab
from nodisk.spec.model_addons import Addon
from nodisk.state import LabState, State

pytestmark = pytest.mark.interop

FILES = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.2.3\n",
    "values.yaml": "image: ghcr.io/a/tool:1\ndata: {}\n",
    "crds/lamps.yaml": yaml.safe_dump(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "lamps.example.com"},
            "spec": {},
        }
    ),
    "templates/NOTES.txt": "not an object\n",
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  space: {{ .Release.Namespace }}
  version: {{ .Capabilities.KubeVersion.Version }}
  values: {{ .Values.data | toJson | quote }}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: {{ .Release.Namespace }}}
spec: {containers: [{name: a, image: {{ .Values.image }}}]}
""",
    "templates/hook.yaml": """
apiVersion: batch/v1
kind: Job
metadata: {name: setup, annotations: {"helm.sh/hook": pre-install}}
spec: {template: {spec: {containers: [{name: a, image: "busybox:1"}]}}}
""",
}


def package(folder: Path, **changed: str) -> Path:
    """A chart's archive; ``changed``: templates by name, in place of the usual ones or beside them."""
    tree = folder / "web"
    shutil.rmtree(tree, ignore_errors=True)
    files = FILES | {f"templates/{name}.yaml": text for name, text in changed.items()}
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    target = folder / "web-1.2.3.tgz"
    with tarfile.open(target, "w:gz") as tar:
        tar.add(tree, "web")
    return target


def addon(chart: str, sha256: str, **more: Any) -> Addon:
    return Addon.model_validate({"name": "web", "helm": {"chart": chart, "version": "1.2.3", "sha256": sha256, **more}})


def of(file: Path, **more: Any) -> Addon:
    return addon(str(file), hashlib.sha256(file.read_bytes()).hexdigest(), **more)


@pytest.fixture(scope="module")
def helms_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nodisk-test-helm-") as made:
        Path(made).chmod(0o755)  # Helm isn't root
        unpack(Path(made))
        yield Path(made)


@pytest.fixture
def real_helm(helms_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodisk.run.SEARCH_PATH", f"{helms_folder}:{os.environ['PATH']}:/usr/sbin:/sbin")


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    found = State(tmp_path / "state").lab("room")
    found.root.mkdir(parents=True)
    return found


@pytest.mark.usefixtures("real_helm")
def test_a_chart_becomes_objects(state: LabState, tmp_path: Path) -> None:
    sources = addon_source.Sources(state, "v1.33.1")
    made = sources.rendered(of(package(tmp_path), namespace="tools", values="data: {a: '08'}\n"))
    by_kind = {one["kind"]: one for one in made.objects}
    assert sorted(by_kind) == ["ConfigMap", "CustomResourceDefinition", "Namespace", "Pod"]
    assert by_kind["ConfigMap"]["metadata"] == {"name": "web", "namespace": "tools"}
    assert by_kind["ConfigMap"]["data"] == {"space": "tools", "version": "v1.33.1", "values": '{"a":"08"}'}
    assert addon_source.images(of(package(tmp_path)), made.objects) == ["ghcr.io/a/tool:1"]
    [hook] = made.hooks
    assert hook.endswith("setup (pre-install)")


@pytest.mark.usefixtures("real_helm")
def test_a_chart_sees_no_network_no_cluster_and_nothing_of_roots(
    state: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    template = """
apiVersion: v1
kind: ConfigMap
metadata: {name: seen}
data:
  address: {{ getHostByName "localhost" | default "" | quote }}
  objects: {{ lookup "v1" "Namespace" "" "" | toJson | quote }}
  passwd: {{ .Files.Get "/etc/passwd" | quote }}
  up: {{ .Files.Get "../../../../etc/passwd" | quote }}
"""
    made = addon_source.Sources(state).rendered(of(package(tmp_path, all=template)))
    [seen] = [one for one in made.objects if one["metadata"]["name"] == "seen"]
    assert {key: value for key, value in seen["data"].items() if key != "address"} == {
        "objects": "{}",
        "passwd": "",
        "up": "",
    }
    assert seen["metadata"]["namespace"] == "default"


@pytest.mark.usefixtures("real_helm")
@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{{ fail "no" }}', "no"),
        ("{{ .Values.no.such }}", "nil pointer"),
        ("a: [", "is not YAML|YAML parse error"),
        ("just: data", "not a Kubernetes object"),
    ],
)
def test_a_chart_with_a_fault_is_named(state: LabState, tmp_path: Path, template: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        addon_source.Sources(state).rendered(of(package(tmp_path, all=template)))
    assert caught.value.message.startswith("add-on web: ")
    assert any(word in caught.value.message for word in words.split("|")), caught.value.message


PLAIN = st.text(st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters="\n\t"), max_size=12)
VALUES = st.dictionaries(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=8),
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**31), 2**31),
            PLAIN,
            st.sampled_from(
                ["{{ .Release }}", "08", "1e3", "no", "--set", "$(id)", "'", '"', "\\", "# x", "- a", ": "]
            ),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.just("k"), inner, max_size=1)),
        max_leaves=4,
    ),
    max_size=3,
)


@pytest.mark.usefixtures("real_helm")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_helm_reads_the_values_that_were_written(state: LabState, tmp_path: Path, values: dict[str, Any]) -> None:
    wanted = {key: value for key, value in values.items() if value is not None}  # null takes a value of the chart out
    text = yamltext.dump({"data": wanted})
    assert goyaml.documents(text) == [{"data": wanted}]
    made = addon_source.Sources(state).rendered(of(package(tmp_path), values=text))
    [seen] = [one for one in made.objects if one["kind"] == "ConfigMap"]
    assert json.loads(seen["data"]["values"]) == wanted


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in Helm's place: it shows how Helm is started, on hosts without one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o011)  # Helm isn't root
    monkeypatch.setattr("nodisk.run.SEARCH_PATH", f"{folder}:{os.environ['PATH']}:/usr/sbin:/sbin")

    def write(text: str) -> None:
        (folder / "helm").write_text(f"#!/bin/sh\n{text}")
        (folder / "helm").chmod(0o755)

    return write


SEEN = """
while [ "$1" != --output-dir ]; do [ "$1" = --values ] && values=$2; shift; done
mkdir -p "$2/web/templates"
cat >"$2/web/templates/a.yaml" <<END
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  user: "$(id -u)"
  home: "$(ls -A "$HOME")"
  net: "$(grep -c : /proc/net/dev)"
  caps: "$(grep CapEff /proc/self/status | cut -f2)"
  config: "$KUBECONFIG$HELM_NAMESPACE"
  secret: "$SECRET"
  values: "$(cat "$values")"
END
"""


def test_helm_is_started_as_nobody_in_a_cage(
    state: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Callable[[str], None]
) -> None:
    stand_in(SEEN)
    for name in ("SECRET", "KUBECONFIG", "HELM_NAMESPACE"):
        monkeypatch.setenv(name, "swordfish")
    [made] = addon_source.Sources(state).plain(of(package(tmp_path), values="a: 1"))
    assert made["data"] == {
        "user": "65534",
        "home": "",
        "net": "1",
        "caps": "0000000000000000",
        "config": "",
        "secret": "",
        "values": "a: 1",
    }


LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
COUNTED = (
    SEEN
    + """
echo run >>{runs}
"""
)


def test_a_chart_is_rendered_once_for_all_who_look(
    state: LabState, tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    """Its state and its images are of the same run; who looks again starts none, and other values are another chart."""
    runs, archive = tmp_path / "runs", package(tmp_path)
    runs.touch()
    runs.chmod(0o666)  # Helm isn't root
    stand_in(COUNTED.replace("{runs}", str(runs)))

    def look(values: str) -> addon_listing.Known:
        wanted = of(archive, values=values)
        lab = LAB.model_copy(update={"addons": (wanted,)})
        found = addon_listing.known(LabContext(lab, tmp_path / "lab.yaml", state, None))
        assert found.read(wanted)[0]["data"]["values"] == values
        return found

    first = look("a: 1")
    assert look("a: 1") == first
    assert runs.read_text() == "run\n"
    look("a: 2")
    assert runs.read_text() == "run\n" * 2


def test_a_chart_without_an_end_is_stopped(
    state: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Callable[[str], None]
) -> None:
    stand_in("sleep 1000 & sleep 1000\n")
    monkeypatch.setattr(helm, "SECONDS", 0.5)
    with pytest.raises(SpecError, match=r"add-on web: helm timed out after 0\.5 seconds"):
        addon_source.Sources(state).plain(of(package(tmp_path)))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path) as found:
        yield found


def push(address: str, path: str, tag: str, chart: bytes) -> None:
    """What ``helm push`` leaves in a registry."""
    base = f"http://{address}/v2/{path}"

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        where = httpx2.post(f"{base}/blobs/uploads/", timeout=LONG).headers["Location"]
        there = httpx2.URL(where).copy_merge_params({"digest": digest})
        httpx2.put(str(there), content=data, timeout=LONG).raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    config = blob(b'{"name":"web","version":"1.2.3"}', "application/vnd.cncf.helm.config.v1+json")
    layer = blob(chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    body = json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]})
    kind = "application/vnd.oci.image.manifest.v1+json"
    there = f"{base}/manifests/{tag}"
    httpx2.put(there, content=body, headers={"Content-Type": kind}, timeout=LONG).raise_for_status()


def load(state: LabState, wanted: Addon, upstream: Upstream, *, offline: bool = False) -> None:
    store = Store(state.state)
    with store.builder():
        work = Work(state.state, store, progress.Board(None), offline)
        asyncio.run(addon_files.load(work, state, wanted, upstream))


def test_a_chart_from_a_registry(state: LabState, tmp_path: Path, address: str) -> None:
    archive = package(tmp_path)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    push(address, "charts/web", "1.2.3", archive.read_bytes())
    upstream = Upstream(registry=f"http://{address}")
    wanted = addon("oci://ghcr.io/charts/web", digest)
    sources = addon_source.Sources(state)
    with pytest.raises(SpecError, match="is not loaded yet"):
        sources.plain(wanted)
    with pytest.raises(IntegrityError, match="has no layer with the hash"):
        load(state, addon("oci://ghcr.io/charts/web", "ab" * 32), upstream)
    load(state, wanted, upstream)
    load(state, wanted, upstream, offline=True)
    found = addon_files.wanted(wanted)
    assert found is not None
    file = found.find(Store(state.state))
    assert file is not None
    assert file.read_bytes() == archive.read_bytes()
    assert wanted.helm is not None
    helm.check_archive(file, wanted.helm)
    [users] = mirrored.read(state).files.values()
    assert users == ("web",)
    load(state, Addon.model_validate({"name": "web", "path": "/x"}), upstream)
    assert mirrored.read(state).files == {}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass


def test_an_add_on_by_name_comes_from_its_projects_repository(
    state: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}})
    known = Known("v1", "some/project", "deploy/all.yaml", hashlib.sha256(text.encode()).hexdigest(), "a test")
    monkeypatch.setitem(CATALOGUE, "tool", known)
    file = tmp_path / "site/some/project/v1/deploy/all.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    wanted = Addon.model_validate({"name": "tool"})
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            upstream = Upstream(manifests=f"http://127.0.0.1:{server.server_port}")
            file.write_text(text + "# another one\n")
            with pytest.raises(IntegrityError, match="differs from the published one"):
                load(state, wanted, upstream)
            file.write_text(text)
            load(state, wanted, upstream)
        finally:
            server.shutdown()
            thread.join()
    [made] = addon_source.Sources(state).plain(wanted)
    assert made["kind"] == "Pod"
