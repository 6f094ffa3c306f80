"""JUnit of Ginkgo 2, as its reporter writes it with the suite's settings, and what it means for each spec."""

from __future__ import annotations

import contextlib
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import ginkgo2, suite
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError

PASSED = "[sig-node] Pods should get a host IP [NodeConformance] [Conformance]"
FAILED = "[sig-apps] Job should fail [Conformance]"
LATE = "[sig-apps] Job should end in time [Conformance]"
PANICKED = "[sig-cli] Kubectl should not panic [Conformance]"
BROKEN_OFF = "[sig-network] Services should be broken off [Conformance]"
NODES = "[sig-apps] Daemon set [Serial] should have two nodes [Conformance]"
SKIPPED = "[sig-storage] Volumes should skip themselves [Conformance]"
PENDING = "[sig-storage] Volumes should be written one day [Conformance]"
LEFT_OUT = "[sig-auth] ServiceAccounts should be left out [Conformance]"
# The layout is that of reporters/junit_report.go (v2.28) with the three settings of the suite's own junit.go.
JUNIT = f"""<?xml version="1.0" encoding="UTF-8"?>
  <testsuites tests="10" disabled="4" errors="2" failures="2" time="41.5">
      <testsuite name="Kubernetes e2e suite" package="/usr/local/bin" tests="10" disabled="1" skipped="3" errors="2" \
failures="2" time="41.5" timestamp="2027-01-31T08:15:00">
          <properties>
              <property name="SuiteSucceeded" value="false"></property>
              <property name="SpecialSuiteFailureReason" value=""></property>
              <property name="FocusStrings" value="a|b"></property>
              <property name="ParallelTotal" value="2"></property>
          </properties>
          <testcase name="[SynchronizedBeforeSuite]" classname="Kubernetes e2e suite" status="passed" time="0.4">
          </testcase>
          <testcase name="[SynchronizedBeforeSuite]" classname="Kubernetes e2e suite" status="passed" time="0.1">
          </testcase>
          <testcase name="[It] {FAILED}" classname="Kubernetes e2e suite" status="failed" time="5.25">
              <failure message="" type="failed">[FAILED] no pod &lt;nil&gt;&#xA;In [It] at: job.go:1</failure>
              <system-err>much</system-err>
          </testcase>
          <testcase name="[It] {LATE}" classname="Kubernetes e2e suite" status="timedout" time="9">
              <failure message="" type="timedout">[TIMEDOUT] A node timeout occurred</failure>
          </testcase>
          <testcase name="[It] {PANICKED}" classname="Kubernetes e2e suite" status="panicked" time="1">
              <error message="nil map" type="panicked">[PANICKED] Test Panicked</error>
          </testcase>
          <testcase name="[It] {BROKEN_OFF}" classname="Kubernetes e2e suite" status="interrupted" time="2">
              <error message="" type="interrupted">[INTERRUPTED] Interrupted by User</error>
          </testcase>
          <testcase name="[It] {NODES}" classname="Kubernetes e2e suite" status="skipped" time="0.2">
              <skipped message="skipped - Requires at least 2 nodes (not 1)"></skipped>
          </testcase>
          <testcase name="[It] {SKIPPED}" classname="Kubernetes e2e suite" status="skipped" time="0.2">
              <skipped message="skipped - Only for providers [gce] - not skeleton"></skipped>
          </testcase>
          <testcase name="[It] {PENDING}" classname="Kubernetes e2e suite" status="pending" time="0">
              <skipped message="pending"></skipped>
          </testcase>
          <testcase name="[It] {LEFT_OUT}" classname="Kubernetes e2e suite" status="skipped" time="0">
              <skipped message="skipped"></skipped>
          </testcase>
          <testcase name="[It] {PASSED.replace(" should", "  should")}" classname="Kubernetes e2e suite" \
status="passed" time="23.5"></testcase>
          <testcase name="[ReportAfterSuite] Kubernetes e2e suite report" classname="Kubernetes e2e suite" \
status="passed" time="0.1"></testcase>
      </testsuite>
  </testsuites>
""".encode()


def test_each_spec_gets_its_result() -> None:
    names = [PASSED, FAILED, LATE, PANICKED, BROKEN_OFF, NODES, SKIPPED, PENDING, LEFT_OUT]
    done = suite.ended([Spec(name) for name in names], JUNIT, "", "exit status 1", read=ginkgo2.parse)
    found = {one.name: one for one in done.results}
    assert found[PASSED] == Result(PASSED, Outcome.PASSED, 23.5)
    assert found[FAILED] == Result(FAILED, Outcome.FAILED, 5.25, "[FAILED] no pod <nil>\nIn [It] at: job.go:1")
    assert found[LATE].outcome is Outcome.FAILED
    assert (found[PANICKED].outcome, found[PANICKED].text) == (
        Outcome.FAILED,
        "nil map\n[PANICKED] Test Panicked",
    )
    assert found[BROKEN_OFF].outcome is Outcome.UNDECIDED, "somebody ended it: that says nothing of the spec"
    assert found[NODES] == Result(NODES, Outcome.SKIPPED, 0.2, "Requires at least 2 nodes (not 1)", Reason.NODES)
    assert (found[SKIPPED].reason, found[SKIPPED].text) == (Reason.SUITE, "Only for providers [gce] - not skeleton")
    for name in (PENDING, LEFT_OUT):
        assert found[name].outcome is Outcome.UNDECIDED
        assert "did not run it" in found[name].text


def test_labels_after_a_name_are_no_part_of_it() -> None:
    labelled = JUNIT.replace(b"[Conformance]", b"[Conformance] [Conformance, NodeConformance]")
    assert ginkgo2.parse(labelled, [PASSED])[PASSED] == Result(PASSED, Outcome.PASSED, 23.5)
    # A spec that only begins like the wanted one doesn't take its place where that is there itself.
    slow = f'<testcase name="[It] {PASSED} [Slow]" status="failed" time="1"><failure/></testcase></testsuite>'.encode()
    both = JUNIT.replace(b"</testsuite>", slow)
    assert ginkgo2.parse(both, [PASSED])[PASSED].outcome is Outcome.PASSED


def test_a_suite_that_could_not_begin_says_why() -> None:
    no = b'status="failed" time="0.1"><failure message="" type="failed">no ready, schedulable nodes</failure>'
    junit = JUNIT.replace(b'status="passed" time="0.1">\n', no, 1)
    (result,) = suite.ended([Spec(LEFT_OUT)], junit, "", "exit status 1", read=ginkgo2.parse).results
    assert result.outcome is Outcome.UNDECIDED
    assert result.text == "the suite began no spec: no ready, schedulable nodes"


def test_the_names_that_a_dry_run_would_run() -> None:
    assert ginkgo2.names(JUNIT) == [FAILED, LATE, PANICKED, BROKEN_OFF, PASSED]
    with pytest.raises(IntegrityError, match="can't be read"):
        ginkgo2.names(b"<testsuites>")


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(IntegrityError):
        assert ginkgo2.parse(data, [PASSED]) == {}


WORD = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=6)
TITLE = st.lists(WORD, min_size=1, max_size=5).map(" ".join).map(lambda text: " ".join(text.split())).filter(bool)
STATUS = st.sampled_from(
    ["passed", "failed", "timedout", "panicked", "interrupted", "aborted", "skipped", "pending", "x"]
)


@given(st.dictionaries(TITLE, st.tuples(STATUS, st.floats(0, 1e5)), min_size=1, max_size=6), st.data())
def test_every_end_is_read_as_what_it_is(ends: dict[str, tuple[str, float]], data: st.DataObject) -> None:
    inside = {"skipped": '<skipped message="skipped - x"/>', "pending": '<skipped message="pending"/>'}
    inside |= dict.fromkeys(("failed", "timedout", "aborted"), "<failure/>")
    inside |= dict.fromkeys(("panicked", "interrupted"), "<error/>")
    cases = [
        f'<testcase name={quoteattr(f"[It] {name}")} status="{status}" time="{seconds}">'
        f"{inside.get(status, '')}</testcase>"
        for name, (status, seconds) in ends.items()
    ]
    junit = f"<testsuites><testsuite>{''.join(data.draw(st.permutations(cases)))}</testsuite></testsuites>".encode()
    found = ginkgo2.parse(junit, list(ends))
    for name, (status, seconds) in ends.items():
        if status == "pending":
            assert name not in found
            continue
        assert found[name].outcome is {
            "passed": Outcome.PASSED,
            "skipped": Outcome.SKIPPED,
            "interrupted": Outcome.UNDECIDED,
            "aborted": Outcome.UNDECIDED,
            "x": Outcome.UNDECIDED,
        }.get(status, Outcome.FAILED)
        assert found[name].seconds == seconds
