"""Charts that are rendered once: by one of many, again for any other content, and nothing of what failed is kept."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import helm_once
from nodisk.assets.helm import Rendered
from nodisk.assets.helm_once import Once
from nodisk.errors import SpecError
from nodisk.spec.model_addons import HelmChart

CHART: dict[str, Any] = {"chart": "/srv/web.tgz", "version": "1.2.3", "sha256": "ab" * 32}


def made(name: str = "a") -> Rendered:
    return Rendered(({"kind": "ConfigMap", "metadata": {"name": name}},), ("Job setup (pre-install)",))


def test_of_many_at_the_same_time_one_renders() -> None:
    once, calls, all_there = Once(), list[str](), threading.Barrier(8)

    def make() -> Rendered:
        calls.append("helm")
        return made()

    def ask(_: int) -> Rendered:
        all_there.wait(30)
        return once.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert calls == ["helm"]
    assert found == [made()] * 8


def test_what_one_changes_of_it_others_don_t_see() -> None:
    once = Once()
    once.get("key", made).objects[0]["metadata"]["name"] = "changed"
    assert once.get("key", made) == made()


def test_what_failed_is_tried_again() -> None:
    once = Once()

    def fails() -> Rendered:
        raise SpecError("Helm is not installed")

    for _ in range(2):
        with pytest.raises(SpecError, match="not installed"):
            once.get("key", fails)
    assert once.get("key", made) == made()
    assert once.get("key", fails) == made()


def test_who_waited_for_one_that_failed_is_told_the_same() -> None:
    once, begun, go_on = Once(), threading.Event(), threading.Event()

    def fails() -> Rendered:
        begun.set()
        go_on.wait(30)
        raise SpecError("a fault")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "key", fails)
        begun.wait(30)
        second = pool.submit(once.get, "key", fails)
        go_on.set()
        for one in (first, second):
            with pytest.raises(SpecError, match="a fault"):
                one.result(30)


def test_those_that_nobody_asked_for_lately_go_first() -> None:
    once, calls = Once(most=2), list[str]()

    def make(name: str) -> Rendered:
        calls.append(name)
        return made(name)

    for name in ("a", "b", "a", "c", "a", "b"):
        assert once.get(name, lambda name=name: make(name)) == made(name)  # type: ignore[misc]
    assert calls == ["a", "b", "c", "b"]


WORDS = st.text(max_size=8)
CONTENTS = st.tuples(
    st.sampled_from(("web", "ops")),
    st.sampled_from(("ab" * 32, "cd" * 32)),
    st.sampled_from(("default", "tools")),
    WORDS,
    st.none() | WORDS,
)


@given(CONTENTS, CONTENTS)
def test_only_the_same_content_has_the_same_key(
    one: tuple[str, str, str, str, str | None], other: tuple[str, str, str, str, str | None]
) -> None:
    def key(name: str, digest: str, namespace: str, values: str, version: str | None) -> str:
        chart = HelmChart.model_construct(**CHART | {"sha256": digest, "namespace": namespace, "values": values})
        return helm_once.key(name, chart, version, Path("/bin/sh"))

    assert (key(*one) == key(*other)) == (one == other)


def test_another_helm_renders_anew(tmp_path: Path) -> None:
    program, chart = tmp_path / "helm", HelmChart.model_validate(CHART)
    program.write_text("3.1")
    before = helm_once.key("web", chart, None, program)
    assert helm_once.key("web", chart, None, program) == before
    program.write_text("3.2")
    os.utime(program, (1, 1))
    assert helm_once.key("web", chart, None, program) != before
