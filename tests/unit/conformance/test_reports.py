"""Runs in the state, and what is told of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import report, submission
from nodisk.conformance.program import Folder, fits, substitutes
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError, UsageError
from nodisk.values import KubeVersion

NAMES = tuple(f"[sig-{letter}] works [Conformance]" for letter in "abcd")


def plan(official: int = 4, **changes: object) -> Plan:
    values: dict[str, Any] = {
        "lab": "room",
        "version": "1.20.2",
        "suite": "0" * 64,
        "mode": "certified",
        "focus": None,
        "began": "2027-01-31T08:15:00Z",
        "specs": tuple(map(Spec, NAMES)),
        "official": official,
        "substitutes": {},
    }
    return Plan(**{**values, **changes})


MIXED = {
    NAMES[0]: Result(NAMES[0], Outcome.PASSED, 2.0, runs=2),
    NAMES[1]: Result(NAMES[1], Outcome.FAILED, 3.0, "no pod\nat all"),
    NAMES[2]: Result(NAMES[2], Outcome.SKIPPED, 0.1, "Requires at least 2 nodes (not 1)", Reason.NODES),
}


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, plan(focus="x", substitutes={"a/b:1": "c/b:1"}))
    run.keep([MIXED[NAMES[0]], MIXED[NAMES[1]]], junit=b"<a/>", log="said")
    run.keep([Result(NAMES[1], Outcome.PASSED, runs=2)], junit=None, log="again")
    found = Run.latest(tmp_path)
    assert found.plan == run.plan
    assert found.results() == {NAMES[0]: MIXED[NAMES[0]], NAMES[1]: Result(NAMES[1], Outcome.PASSED, runs=2)}
    assert [path.read_text() for path in found.logs()] == ["said", "again"]


def test_the_last_run_is_resumed_and_a_half_made_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        Run.latest(tmp_path / "none")
    Run.begin(tmp_path, plan())
    later = Run.begin(tmp_path, plan(began="2027-02-01T08:15:00Z"))
    (tmp_path / "20270301T081500Z").mkdir()
    assert Run.latest(tmp_path).folder == later.folder


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "lab": 3}', "\x00"])
def test_a_damaged_run_is_named(tmp_path: Path, text: str) -> None:
    run = Run.begin(tmp_path, plan())
    (run.folder / "run.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"run\.json is damaged"):
        Run.latest(tmp_path)


def test_the_report_names_everything_and_claims_nothing() -> None:
    made = report.report(plan(official=300, substitutes={"a/b:1": "c/b:1"}), MIXED)
    assert made["counts"] == {"passed": 1, "failed": 1, "undecided": 0, "skipped": 1, "left": 1}
    assert made["conformant"] is False
    assert made["why_not"] == [
        "296 of the release's 300 specs were not chosen",
        "1 specs failed",
        "1 specs were skipped",
        "1 specs have not run yet",
        "1 of the suite's container images are substitutes",
    ]
    assert [one["outcome"] for one in made["specs"]] == ["passed", "failed", "skipped", "left"]
    text = "\n".join(report.lines(plan(substitutes={"a/b:1": "c/b:1"}), MIXED))
    for word in ("only in run 2, alone", "FAILED", "no pod", "nodes: Requires", "substitute a/b:1: c/b:1", "no proof"):
        assert word in text


def test_only_a_whole_run_is_conformant() -> None:
    whole = {name: Result(name, Outcome.PASSED, 1.0) for name in NAMES}
    assert report.report(plan(), whole)["conformant"] is True
    assert report.lines(plan(), whole)[-1] == "every spec of the release passed"
    assert report.report(plan(official=5), whole)["conformant"] is False


def test_junit_counts_what_is_not_decided_as_failed() -> None:
    root = ElementTree.fromstring(report.to_junit(plan(), MIXED))  # noqa: S314 - its own
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "2", "1")


@given(st.text())
def test_any_failure_fits_into_the_submission(text: str) -> None:
    found = {NAMES[0]: Result(NAMES[0], Outcome.FAILED, 1.0, text)}
    made = submission.documents(plan(), found, text)
    assert set(made) == {"README.md", "PRODUCT.yaml", "e2e.log", "junit_01.xml"}
    assert yaml.safe_load(made["PRODUCT.yaml"])["k8s_version"] == "v1.20.2"
    with tarfile.open(fileobj=io.BytesIO(submission.tarball(plan(), made))) as tar:
        junit = tar.extractfile(f"{submission.HOME}/junit_01.xml")
        assert junit is not None
        root = ElementTree.parse(junit).getroot()  # noqa: S314 - its own
        assert len(root.findall("testsuite/testcase")) == 4
        info = tar.extractfile("serverversion.json")
        assert info is not None
        assert json.load(info) == {"gitVersion": "v1.20.2"}


def test_substitutes_are_the_images_whose_registry_is_another() -> None:
    official = ["k8s.gcr.io/pause:3.2", "docker.io/library/httpd:2.4.38", "docker.io/library/httpd:2.4.39"]
    own = ["ours/httpd:2.4.39", "k8s.gcr.io/pause:3.2", "ours/httpd:2.4.38"]
    assert substitutes(official, own) == {
        "docker.io/library/httpd:2.4.38": "ours/httpd:2.4.38",
        "docker.io/library/httpd:2.4.39": "ours/httpd:2.4.39",
    }
    with pytest.raises(IntegrityError, match="no longer lists"):
        substitutes(official, own[:2])


def test_a_suite_judges_only_its_own_release(tmp_path: Path) -> None:
    fits(KubeVersion(1, 20, 2), KubeVersion(1, 20, 7))
    with pytest.raises(UsageError, match=r"of Kubernetes 1\.21\.0, the cluster of 1\.20\.2"):
        fits(KubeVersion(1, 21, 0), KubeVersion(1, 20, 2))
    with pytest.raises(UsageError, match="Ginkgo 2"):
        fits(KubeVersion(1, 36, 1), KubeVersion(1, 36, 1))
    with pytest.raises(UsageError, match=r"has no program e2e\.test"):
        Folder(tmp_path).check()


def test_specs_of_network_policy_are_no_conformance_however_many() -> None:
    passed = {name: Result(name, Outcome.PASSED, 1.0) for name in NAMES}
    assert report.report(plan(), passed)["conformant"]
    made = report.report(plan(mode="network-policy"), passed)
    assert (made["conformant"], len(made["why_not"])) == (False, 1)
    assert "none belongs to conformance" in report.lines(plan(mode="network-policy"), passed)[-1]
