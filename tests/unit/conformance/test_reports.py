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
from nodisk.conformance.causes import Cause, Kind
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


CAUSE = {NAMES[1]: Cause(Kind.RELEASE, "https://example.org/1", "mended since")}


def test_a_known_cause_is_shown_and_changes_no_outcome() -> None:
    plain = report.report(plan(), MIXED)
    made = report.report(plan(), MIXED, {**CAUSE, NAMES[0]: Cause(Kind.SLOW)})
    assert [one["cause"] for one in plain["specs"]] == [None] * 4
    known = {"cause": "release", "link": "https://example.org/1", "words": "mended since"}
    assert [one["cause"] for one in made["specs"]] == [None, known, None, None]
    assert (made["counts"], made["conformant"]) == (plain["counts"], False)
    assert "without a known cause: 1 of 1 failures" in report.lines(plan(), MIXED)
    told = report.lines(plan(), MIXED, CAUSE)
    assert "           cause: release (https://example.org/1: mended since)" in told
    assert not [line for line in told if "without a known cause" in line]
    root = ElementTree.fromstring(report.to_junit(plan(), MIXED, CAUSE))  # noqa: S314 - its own
    found = {case.get("name"): [one.attrib for one in case.iter("property")] for case in root.iter("testcase")}
    assert found[NAMES[1]] == [{"name": key, "value": value} for key, value in known.items()]
    assert found[NAMES[2]] == [{"name": "reason", "value": "nodes"}]
    assert found[NAMES[0]] == found[NAMES[3]] == []


def test_causes_lie_beside_the_results(tmp_path: Path) -> None:
    run = Run.begin(tmp_path, plan())
    assert run.causes() == {}
    (run.folder / "causes.yaml").write_text(f"- {{spec: '{NAMES[1]}', cause: slow}}\n")
    assert run.causes() == {NAMES[1]: Cause(Kind.SLOW)}
    (run.folder / "causes.yaml").write_text("- {spec: x, cause: slow}\n")
    with pytest.raises(UsageError, match=r"causes\.yaml: entry 1: the run has no spec 'x'"):
        run.causes()


def test_a_submission_is_as_the_cncf_checks_it() -> None:
    """What its checker asks of the files (github.com/kubernetes-sigs/verify-conformance) but for the release's age."""
    whole = {name: Result(name, Outcome.PASSED, 1.0) for name in NAMES}
    made = submission.documents(plan(), whole, "kube-apiserver version: v1.20.2\n")
    assert set(made) == {"README.md", "PRODUCT.yaml", "e2e.log", "junit_01.xml"}
    assert all(made.values())
    product = yaml.safe_load(made["PRODUCT.yaml"])
    assert all(isinstance(value, str) for value in product.values())
    required = {"vendor", "name", "version", "type", "description", "website_url", "documentation_url"}
    assert set(product) == required | {"contact_email_address", "repo_url", "product_logo_url"}
    assert product["type"] in {"distribution", "hosted platform", "installer"}
    root = ElementTree.fromstring(made["junit_01.xml"])  # noqa: S314 - its own
    assert root.tag == "testsuites"
    passed = [case.get("name") for case in root.findall("testsuite/testcase") if not list(case)]
    assert passed == list(NAMES)
    assert submission.place(plan()) == "v1.20/nodisk"


def test_sonobuoys_summary_has_each_spec() -> None:
    """The form is that of Item in its pkg/client/results."""
    with tarfile.open(fileobj=io.BytesIO(submission.tarball(plan(), MIXED, made_of(MIXED)))) as tar:
        file = tar.extractfile("plugins/e2e/sonobuoy_results.yaml")
        assert file is not None
        found = yaml.safe_load(file)
    assert (found["name"], found["status"], found["meta"]) == ("e2e", "failed", {"type": "summary"})
    (junit,) = found["items"]
    assert junit["meta"] == {"file": "results/global/junit_01.xml", "type": "file"}
    assert [one["status"] for one in junit["items"][0]["items"]] == ["passed", "failed", "skipped", "failed"]


def made_of(results: dict[str, Result]) -> dict[str, bytes]:
    return submission.documents(plan(), results, "")


@given(st.text())
def test_any_failure_fits_into_the_submission(text: str) -> None:
    found = {NAMES[0]: Result(NAMES[0], Outcome.FAILED, 1.0, text)}
    made = submission.documents(plan(), found, text)
    assert set(made) == {"README.md", "PRODUCT.yaml", "e2e.log", "junit_01.xml"}
    assert "Kubernetes 1.20 " in yaml.safe_load(made["PRODUCT.yaml"])["description"]
    with tarfile.open(fileobj=io.BytesIO(submission.tarball(plan(), found, made))) as tar:
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
