"""Which changes of lab.yaml interrupt students' storage."""

from __future__ import annotations

from pathlib import Path

from tests.unit.spec.labs import TEN_LINES

from nodisk.server.storage_work import means
from nodisk.spec.load import parse


def seen(text: str) -> str | None:
    return means(parse(text, file=Path("lab.yaml")))


def test_the_nfs_server_sees_addresses_and_nothing_else() -> None:
    assert seen(TEN_LINES) == seen(TEN_LINES + "console: {port: 7000}\n")
    assert seen(TEN_LINES) != seen(TEN_LINES.replace("10.77.0.12", "10.77.0.13"))
    assert seen(TEN_LINES.replace("    role: control-plane\n", "") + "kubernetes: {engine: none}\n") is None
