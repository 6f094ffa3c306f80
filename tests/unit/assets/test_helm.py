"""Charts: what is checked before Helm sees them, Helm's command line, and what is made of its output."""

import io
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk import run
from nodisk.assets import helm
from nodisk.assets.hashes import sha256_of
from nodisk.errors import EnvironmentProblem, SpecError
from nodisk.spec.addon_catalogue import CATALOGUE
from nodisk.spec.load import examine
from nodisk.spec.model_addons import HelmChart

LAB = """
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines: [{name: c1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}]
addons:
  - name: web
    helm:
"""
HASH = "ab" * 32


def archive(folder: Path, files: dict[str, bytes]) -> Path:
    target = folder / "chart.tgz"
    with tarfile.open(target, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def chart(file: Path, **more: Any) -> HelmChart:
    given = {"chart": str(file), "version": "1.2.3", "sha256": sha256_of(file)} | more
    return HelmChart.model_validate(given)


def test_an_archive_is_what_lab_yaml_says(tmp_path: Path) -> None:
    file = archive(tmp_path, {"web/charts/sub/Chart.yaml": b"version: 9.9.9", "web/Chart.yaml": b"version: 1.2.3\n"})
    helm.check_archive(file, chart(file))
    with pytest.raises(SpecError, match=r"is version 1\.2\.3 of its chart, but lab\.yaml says 1\.2\.4"):
        helm.check_archive(file, chart(file, version="1.2.4"))
    with pytest.raises(SpecError, match="has the hash"):
        helm.check_archive(file, chart(file, sha256=HASH))
    with pytest.raises(SpecError, match="No such file"):
        helm.check_archive(tmp_path / "no", chart(file))


@pytest.mark.parametrize(
    "files", [{}, {"a/b/Chart.yaml": b"x"}, {"a/Chart.yaml": b"["}, {"a/Chart.yaml": b"- 1"}, {"a/Chart.yaml": b""}]
)
def test_an_archive_that_is_no_chart(tmp_path: Path, files: dict[str, bytes]) -> None:
    file = archive(tmp_path, files)
    with pytest.raises(SpecError, match="is not a chart's archive"):
        helm.check_archive(file, chart(file))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_traceback(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.tgz"
        file.write_bytes(data)
        with pytest.raises(SpecError, match="is not a chart's archive"):
            helm.check_archive(file, chart(file))


def test_the_command_line(tmp_path: Path) -> None:
    file = archive(tmp_path, {})
    words = helm.command(
        Path("/usr/local/bin/helm"),
        "web",
        Path("/t/chart.tgz"),
        chart(file, namespace="tools"),
        values=Path("/t/values.yaml"),
        out=Path("/t/out"),
        version="v1.36.1",
    )
    assert words[words.index("--") + 1 :] == [
        *("/usr/local/bin/helm", "template", "web", "/t/chart.tgz", "--namespace", "tools", "--include-crds"),
        *("--values", "/t/values.yaml", "--output-dir", "/t/out", "--kube-version", "v1.36.1"),
    ]


def test_a_host_without_helm_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SEARCH_PATH", "/nonexistent")
    with pytest.raises(EnvironmentProblem) as caught:
        helm.program()
    assert "Helm is not installed" in caught.value.message
    assert "helm.sh" in str(caught.value.hint)


def thing(kind: str, name: str, **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **meta}}


def test_hooks_are_left_out_and_namespaces_put_in(tmp_path: Path) -> None:
    file = archive(tmp_path, {})
    made = helm.split(
        [
            thing("ConfigMap", "a"),
            thing("ConfigMap", "b", namespace="other"),
            thing("Job", "setup", annotations={"helm.sh/hook": "pre-install,pre-upgrade"}),
            thing("Pod", "test", namespace="tools", annotations={"helm.sh/hook": "test"}),
        ],
        chart(file, namespace="tools"),
    )
    assert [(one["kind"], one["metadata"].get("namespace")) for one in made.objects] == [
        ("Namespace", None),
        ("ConfigMap", "tools"),
        ("ConfigMap", "other"),
    ]
    assert [text.rpartition(" (")[2] for text in made.hooks] == ["pre-install,pre-upgrade)", "test)"]
    assert [one["kind"] for one in helm.split([thing("ConfigMap", "a")], chart(file)).objects] == ["ConfigMap"]
    own = helm.split([thing("Namespace", "tools"), thing("ConfigMap", "a")], chart(file, namespace="tools"))
    assert [one["kind"] for one in own.objects] == ["Namespace", "ConfigMap"]


def problems(text: str) -> list[str]:
    return [problem.message for problem in examine(LAB + text, file="lab.yaml")[1]]


def test_a_chart_in_lab_yaml() -> None:
    whole = f"      chart: oci://ghcr.io/a/web\n      version: 1.2.3-rc.1+2\n      sha256: {HASH}\n"
    lab, found = examine(f"{whole and LAB}{whole}      values: |\n        a: 1\n", file="/x/lab.yaml")
    assert found == []
    assert lab is not None
    assert lab.addons[0].helm is not None
    assert lab.addons[0].helm.values == "a: 1\n"
    lab, _ = examine(LAB + whole.replace("oci://ghcr.io/a/web", "charts/web.tgz"), file="/x/lab.yaml")
    assert lab is not None
    assert lab.addons[0].helm is not None
    assert lab.addons[0].helm.chart == "/x/charts/web.tgz"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("oci://ghcr.io/a/web", "http://x/web.tgz", "is not a chart's address"),
        ("oci://ghcr.io/a/web", "oci://ghcr.io/a/web:1.2.3", "is not a chart's address"),
        ("oci://ghcr.io/a/web", "oci://web", "is not a chart's address"),
        ("1.2.3", "latest", "is not a chart's version"),
        (HASH, "ab", "is not a SHA-256 hash"),
        ("a: 1", "- 1", "the values are not a mapping"),
        ("a: 1", "a: [", "the values are not YAML"),
    ],
)
def test_a_chart_with_a_mistake(old: str, new: str, words: str) -> None:
    text = (
        f"      chart: oci://ghcr.io/a/web\n      version: 1.2.3\n      sha256: {HASH}\n      values: |\n        a: 1\n"
    )
    [found] = problems(text.replace(old, new))
    assert words in found


def test_the_docs_name_what_is_known() -> None:
    text = (Path(__file__).parents[3] / "docs/how-to/addons.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\S+)` \| (v\S+) \|", text, re.MULTILINE) == [
        (name, known.version) for name, known in CATALOGUE.items()
    ]
    assert all(re.fullmatch("[0-9a-f]{64}", known.sha256) for known in CATALOGUE.values())


def test_an_add_on_by_name() -> None:
    head = LAB.partition("addons:")[0]
    lab, found = examine(head + "addons:\n  - name: contour\n", file="lab.yaml")
    assert found == []
    assert lab is not None
    assert lab.addons[0].is_by_name
    [problem] = examine(head + "addons:\n  - name: metrics-server\n", file="lab.yaml")[1]
    assert "contour" in problem.hint
