"""The numbers on the page are those of the JUnit that is published with it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[3] / "docs"


def row(*words: str) -> list[str]:
    """The cells of the only row of the page's table that has all these words."""
    page = (DOCS / "explanation" / "conformance.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and all(word in line for word in words)]
    assert len(rows) == 1, rows
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("conformance-1.20.2.xml", ("root file system in namespaces",)),
        ("network-policy-1.20.2.xml", ("NetworkPolicy", "the same room")),
    ],
)
def test_the_table_counts_what_was_published(file: str, words: tuple[str, ...]) -> None:
    _, specs, _, passed, failed, not_run, _ = row(*words)
    total = re.match(r"\d+", specs)
    assert total is not None
    suite = ElementTree.parse(DOCS / "reference" / file).getroot()  # noqa: S314 - this repository's
    cases = suite.findall("testcase")
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    assert len({case.get("name") for case in cases}) == len(cases) == int(total.group())
    assert (int(passed), int(failed), int(not_run)) == (len(cases) - bad - skipped, bad, skipped)
    said = [int(suite.get(key, "")) for key in ("tests", "failures", "skipped", "errors")]
    assert said == [len(cases), bad, skipped, 0]
