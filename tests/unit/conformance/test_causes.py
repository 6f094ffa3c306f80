"""Why specs failed, as a person writes it beside a run's results."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import causes
from nodisk.conformance.causes import Cause, Kind
from nodisk.errors import UsageError

DNS = "[sig-network] DNS should provide DNS for the cluster [Conformance]"
SLOW = "[sig-node] Probes should be slow: 4 s [Conformance]"
TEXT = f"""\
# looked at on 2026-12-01
- spec: '{DNS}'
  cause: release
  link: https://github.com/kubernetes/kubernetes/pull/12345
  words: mended in 1.20.5
- spec: '{SLOW}'
  cause: slow
"""


def test_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / causes.NAME
    assert causes.load(path, {DNS}) == {}
    path.write_text(TEXT)
    found = causes.load(path, {DNS, SLOW})
    link = "https://github.com/kubernetes/kubernetes/pull/12345"
    assert found == {DNS: Cause(Kind.RELEASE, link, "mended in 1.20.5"), SLOW: Cause(Kind.SLOW)}
    assert str(found[DNS]) == f"release ({link}: mended in 1.20.5)"
    assert found[SLOW].to_json() == {"cause": "slow"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("a: 1", "it is no list"),
        ("- [", "it is no YAML"),
        ("- text", "entry 1: it has texts only"),
        (f"- {{spec: '{DNS}', cause: [slow]}}", "entry 1: it has texts only"),
        (f"- {{spec: '{DNS}', cause: bad luck}}", "must be one of nodisk, release, slow, image"),
        (f"- {{spec: '{DNS}', cause: slow, who: me}}", "'who' is none of"),
        (f"- {{spec: '{DNS}', cause: release}}", "needs a link"),
        (f"- {{spec: '{DNS}', cause: release, link: 'see there'}}", "no address"),
        ("- {spec: another, cause: slow}", "no spec 'another'"),
        (f"- {{spec: '{DNS}', cause: slow}}\n- {{spec: '{DNS}', cause: image}}", "entry 2: .* has a cause already"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, entry: str, why: str) -> None:
    path = tmp_path / causes.NAME
    path.write_text(entry)
    with pytest.raises(UsageError, match=why):
        causes.load(path, {DNS})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / causes.NAME
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UsageError, match="can't be read"):
        causes.load(path, {DNS})


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(ValueError):
        causes.parse(text, {DNS})
