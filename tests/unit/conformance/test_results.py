"""JUnit of the suite, and what a process' end means for each of its specs."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import results, suite
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError

PASSED = "[sig-a] passes [Conformance]"
FAILED = "[sig-a] fails [Conformance]"
SKIPPED = "[sig-a] needs nodes [Conformance]"
LEFT_OUT = "[sig-a] has another name now [Conformance]"
JUNIT = f"""<?xml version="1.0" encoding="UTF-8"?>
  <testsuite name="Kubernetes e2e suite" tests="3" failures="1" errors="0" time="9.5">
      <testcase name="{PASSED.replace(" passes", "  passes")}" classname="Kubernetes e2e suite" time="3.5"></testcase>
      <testcase name="{FAILED}" classname="Kubernetes e2e suite" time="5">
          <failure type="Failure">/a.go:1&#xA;no pod &lt;nil&gt;</failure>
          <system-out>much</system-out>
      </testcase>
      <testcase name="{SKIPPED}" classname="Kubernetes e2e suite" time="0.2"><skipped></skipped></testcase>
      <testcase name="{LEFT_OUT}" classname="Kubernetes e2e suite" time="0"><skipped></skipped></testcase>
      <testcase name="another" classname="Kubernetes e2e suite" time="1"></testcase>
  </testsuite>
""".encode()
LOG = """\
S [SKIPPING] [0.200 seconds]
[sig-a]
/go/src/k8s.io/kubernetes/test/e2e/a.go:23
  needs nodes [Conformance] [It]
  test/e2e/a.go:640

  Requires at least 2 nodes (not 1)

  test/e2e/a.go:70
------------------------------
"""


def test_each_spec_gets_its_result() -> None:
    piece = [Spec(name) for name in (PASSED, FAILED, SKIPPED, LEFT_OUT)]
    done = suite.ended(piece, JUNIT, LOG, "exit status 1")
    passed, failed, skipped, left = done.results
    assert passed == Result(PASSED, Outcome.PASSED, 3.5)
    assert (failed.outcome, failed.text) == (Outcome.FAILED, "/a.go:1\nno pod <nil>")
    assert (skipped.outcome, skipped.reason) == (Outcome.SKIPPED, Reason.NODES)
    assert skipped.text == "Requires at least 2 nodes (not 1)"
    assert left.outcome is Outcome.UNDECIDED
    assert "did not run it" in left.text


PULLED = f"""<testsuite>
<testcase name="{FAILED}" time="300"><failure>timed out waiting for the condition</failure>
<system-out>event for pod-1: {{kubelet w1}} Failed: Failed to pull image "e2e/redis:5": rpc error
event for pod-2: {{kubelet w1}} BackOff: Back-off pulling image "e2e/perl:5"</system-out></testcase>
<testcase name="{PASSED}" time="3"><system-out>Failed to pull image "e2e/redis:5"</system-out></testcase>
</testsuite>""".encode()


@pytest.mark.parametrize("missing", ["e2e/redis:5", "e2e/perl:5"])
def test_a_spec_without_its_image_did_not_fail(missing: str) -> None:
    piece = [Spec(FAILED), Spec(PASSED)]
    failed, passed = suite.ended(piece, PULLED, "", "exit status 1", {missing}).results
    assert failed == Result(FAILED, Outcome.SKIPPED, 300.0, f"no node can pull {missing}", Reason.IMAGE)
    assert passed.outcome is Outcome.PASSED


@pytest.mark.parametrize("missing", [set(), {"e2e/redis"}, {"e2e/other:1"}])
def test_a_spec_that_could_not_pull_what_is_there_failed(missing: set[str]) -> None:
    assert suite.ended([Spec(FAILED)], PULLED, "", "exit status 1", missing).results[0].outcome is Outcome.FAILED


def test_the_names_that_a_dry_run_would_run() -> None:
    assert results.names(JUNIT) == [PASSED, FAILED, "another"]
    with pytest.raises(IntegrityError, match="can't be read"):
        results.names(b"<testsuite>")


def test_without_junit_nothing_is_decided() -> None:
    done = suite.ended([Spec(PASSED)], None, "panic: x\n\n", "exit status 2")
    assert done.results == (
        Result(PASSED, Outcome.UNDECIDED, text="the suite ended without a result (exit status 2): panic: x"),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_every_encoding(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'
    with pytest.raises(IntegrityError, match="document type"):
        results.parse(text.encode(encoding), [])


def test_it_is_bounded() -> None:
    with pytest.raises(IntegrityError, match="bytes"):
        results.parse(b" " * (results.MAX_JUNIT + 1), [])
    long = f'<a><testcase name="b"><failure>{"x" * (results.MAX_TEXT + 1)}</failure></testcase></a>'
    assert len(results.parse(long.encode(), ["b"])["b"].text) == results.MAX_TEXT + 2


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    done = suite.ended([Spec(PASSED)], data, "", "exit status 0")
    assert done.results[0].outcome is Outcome.UNDECIDED


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1), st.text())
def test_any_name_and_any_time(name: str, time: str) -> None:
    name = " ".join(name.split())
    shown = "".join(letter for letter in time if letter.isprintable() and ord(letter) < 0xFFFE)
    readable = "".join(letter for letter in name if ord(letter) not in (0xFFFE, 0xFFFF))
    readable = " ".join(readable.split())
    data = f"<testsuite><testcase name={quoteattr(readable)} time={quoteattr(shown)}/></testsuite>".encode()
    found = results.parse(data, [readable])
    assert found[readable].outcome is Outcome.PASSED
    assert 0 <= found[readable].seconds < float("inf")


@given(
    st.builds(
        Result,
        name=st.text(),
        outcome=st.sampled_from(Outcome),
        seconds=st.floats(0, 1e6),
        text=st.text(),
        reason=st.none() | st.sampled_from(Reason),
        runs=st.integers(1, 3),
    )
)
def test_a_result_survives_the_state(result: Result) -> None:
    assert results.from_json(result.to_json()) == result


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_else_in_the_state_is_refused(value: object) -> None:
    with pytest.raises(IntegrityError):
        results.from_json(value)


def test_a_suite_that_could_not_begin_says_why() -> None:
    junit = b"""<testsuite name="Kubernetes e2e suite" tests="1" failures="1">
<testcase name="BeforeSuite" time="0.2"><failure type="Failure">e2e.go:72
there are currently no ready, schedulable nodes in the cluster</failure></testcase></testsuite>"""
    (result,) = suite.ended([Spec(PASSED)], junit, "", "exit status 1").results
    assert result.outcome is Outcome.UNDECIDED
    assert result.text.startswith("the suite began no spec: ")
    assert "no ready, schedulable nodes" in result.text
