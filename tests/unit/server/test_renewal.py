"""A server that stays up renews its certificates before they end, and says so where it can't."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.waits import until_async

from nodisk.pki.authority import Authority
from nodisk.server import renewal
from nodisk.spec.model import Lab
from nodisk.state import State

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "m1", "mac": "52:54:00:77:01:01", "address": "10.77.0.21", "role": "control-plane"}],
    }
)


@pytest.mark.parametrize(
    ("age", "reloads", "said"),
    [
        (timedelta(days=10), 0, []),
        (timedelta(days=300), 1, ["the server's certificates were close to expiry"]),
        (
            timedelta(days=3500),
            1,
            ["the server's certificates were close to expiry", *[f"authority {ca}" for ca in ("ca", "etcd-ca")]],
        ),
    ],
    ids=["fresh", "in its last third", "authorities too"],
)
def test_looked_at_every_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: timedelta, reloads: int, said: list[str]
) -> None:
    authority = Authority(State(tmp_path).lab("room"), LAB)
    authority.ensure(now=datetime.now(UTC) - age)
    heard: list[str] = []
    reloaded: list[int] = []
    looks: list[bool] = []
    ensure = authority.ensure

    def counted() -> bool:
        looks.append(ensure())
        return looks[-1]

    monkeypatch.setattr(authority, "ensure", counted)

    async def run() -> None:
        task = asyncio.create_task(renewal.keep(authority, heard.append, lambda: reloaded.append(1), every=0.02))
        await until_async(lambda: len(looks) >= 4, why="it does not look again")
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    assert len(reloaded) == reloads
    for words in said:
        assert any(line.startswith(words) for line in heard), words
    assert bool(heard) == bool(said)
    found = x509.load_pem_x509_certificate((authority.folder / "server.crt").read_bytes())
    assert found.not_valid_after_utc - datetime.now(UTC) > timedelta(days=122)
