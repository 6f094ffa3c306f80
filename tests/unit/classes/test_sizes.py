"""Size files: what is read, and what is said of one that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes import sizes
from nodisk.errors import NodiskError, SpecError

GOOD = """\
cpu: 500m
cpu_burst: 1
memory: 512Mi
ephemeral: 256Mi
pods: 6
services: 4
node_ports: 1
claims: 1
objects: 30
container: {cpu: 50m, cpu_burst: 250m, memory: 64Mi, ephemeral: 32Mi}
"""


def test_a_file_says_what_the_brought_size_says() -> None:
    assert sizes.parse(GOOD, file="own.yaml") == sizes.named()["small"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pods: 6", "pods: 010", "own.yaml:5:7: pods: '010' is not a whole number; write it as 10"),
        ("pods: 6", "pods: 1_000", "own.yaml:5:7: pods: '1_000' is not a whole number"),
        ("pods: 6", "pods: ٦", "own.yaml:5:7: pods: '٦' is not a whole number"),
        ("pods: 6", "pods: 10001", "own.yaml:5:7: pods: '10001' is too large; at most 10000"),
        ("pods: 6", "pods: [6]", "own.yaml:5:7: pods: "),
        ("pods: 6", "pods:", "own.yaml:5:"),
        ("cpu: 500m", "cpu: 2026-13-45", "own.yaml:1:6: cpu: '2026-13-45' is not a quantity"),
        ("cpu: 500m", "cpu: 1:30", "own.yaml:1:6: cpu: '1:30' is not a quantity"),
        ("cpu: 500m", "cpu: ٣", "own.yaml:1:6: cpu: '٣' is not a quantity"),
        ("cpu: 500m", "cpu: 0", "own.yaml:1:6: cpu: must be greater than zero"),
        ("cpu: 50m,", "cpus: 50m,", "own.yaml:10:13: container.cpus: unknown key 'cpus'; did you mean 'cpu'?"),
        ("cpu: 50m,", "", "own.yaml:10:12: container.cpu: 'cpu' is missing; add it"),
        ("claims: 1", "claims: 1\nclaims: 2", "own.yaml:9:1: the key 'claims' is here twice, first on line 8"),
        ("claims: 1", "claims: !!int 1", "own.yaml:8:9: the tag !!int means nothing here"),
        ("claims: 1", "claims: '1", "not YAML"),
        (GOOD, "", "own.yaml:1:1: expected a mapping"),
        (GOOD, "- 1", "own.yaml:1:1: expected a mapping"),
    ],
)
def test_problems_have_their_line(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        sizes.parse(GOOD.replace(old, new), file="own.yaml")
    assert said in caught.value.message


def test_all_problems_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        sizes.parse("cpu: lots\npods: 3\nhome: 1Gi\n", file="own.yaml")
    for words in ("own.yaml:1:6: cpu: ", "memory: 'memory' is missing", "own.yaml:3:1: home: unknown key"):
        assert words in caught.value.message


@pytest.mark.parametrize("word", ["huge", "x" * 5000, "no\0name", "huge.yaml"])
def test_a_word_that_is_no_size(word: str) -> None:
    with pytest.raises(SpecError, match="small, medium, large"):
        sizes.find(word)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NodiskError, match="is not a file"):
        sizes.find(str(tmp_path))
    (tmp_path / "latin.yaml").write_bytes(GOOD.encode() + "# ż".encode("cp1250"))
    with pytest.raises(SpecError, match=r"latin.yaml:11:3: byte 0xbf is not UTF-8"):
        sizes.find(str(tmp_path / "latin.yaml"))
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NodiskError, match=r"lost\.yaml: No such file"):
        sizes.find(str(tmp_path / "lost.yaml"))


def judge(text: str) -> None:
    try:
        sizes.parse(text, file="own.yaml")
    except SpecError as refused:
        message = refused.message
    else:
        return
    lines = message.splitlines()[1:]
    assert [line for line in lines if line.startswith(("own.yaml:", "…"))] == (lines or ["a problem"])


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    judge(text)


NUMBERS = ("010", "0x1f", "0o17", "1_000", "1:30", "2026-13-45", ".inf", ".nan", "1e99Ei", "-1", "9" * 400, "1Gi")
WORDS = ("~", "yes", "&a", "*a", "!!python/none", "!!binary ab", "<<", "[]", "{}")
BROKEN = ("'", '"', "|", "? x", "{", "[", "\t", "\x00")
SCALARS = st.sampled_from((*NUMBERS, *WORDS, *BROKEN)) | st.text(max_size=8)
KEYS = st.sampled_from([*sizes.Size.model_fields, "container:\n  cpu", "<<", "? a", "- x", "---", "%YAML 1.1"])


@given(st.lists(st.tuples(KEYS, SCALARS), max_size=14), st.booleans())
def test_anything_like_a_size_is_read_or_refused(pairs: list[tuple[str, str]], after: bool) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in pairs)
    judge(GOOD + text if after else text)


@given(st.sampled_from(GOOD.splitlines()[:9]), SCALARS)
def test_a_good_size_with_one_odd_value(line: str, value: str) -> None:
    judge(GOOD.replace(line, f"{line.split(':', maxsplit=1)[0]}: {value}"))
