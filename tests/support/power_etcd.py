"""etcd under a power cut: puts with increasing values by its own client, and a history checker.

An acknowledged put is read afterwards, with its value and its revision; the revision never goes back below one that was
acknowledged; and nothing is read that nobody put.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.power_said import Said, acknowledge

from nodisk import ports, run

KEYS = 8
HISTORY = 10
"""So many of the last acknowledged puts are read at their own revision, too."""


@dataclass(frozen=True, slots=True)
class Etcd:
    """The lab's etcd, asked with the certificate that the server has for its own questions.

    By etcdctl: etcd 3.4 has no HTTP gateway where it reads a configuration file, as the lab's does.
    """

    server: str
    pki: Path
    netns: str | None = None
    """The namespace to ask from; None: this process's own."""

    def ask(self, *words: str) -> dict[str, Any]:
        """An answer; raises CommandFailed where there is none within five seconds."""
        tls = {"cacert": "etcd-ca.crt", "cert": "etcd-probe.crt", "key": "etcd-probe.key"}
        options = [f"--{option}={self.pki / name}" for option, name in tls.items()]
        where = f"--endpoints=https://{self.server}:{ports.ETCD}"
        argv = ["etcdctl", where, *options, "--write-out=json", *words]
        answer: dict[str, Any] = json.loads(run.run(argv, netns=self.netns, env={"ETCDCTL_API": "3"}).stdout)
        return answer


def write(etcd: Etcd) -> None:
    """Put one value after the other, each larger than the last; what isn't acknowledged ends it."""
    for number in itertools.count(1):
        key = f"/cut/{number % KEYS}"
        acknowledge("begun", key, number)
        answer = etcd.ask("put", key, str(number))
        acknowledge("put", key, number, answer["header"]["revision"])


def judge(etcd: Etcd, said: Said) -> Iterator[str]:
    """Asks the etcd that was started again."""
    begun = max((int(number) for what, _, number, *_ in said if what == "begun"), default=0)
    puts = [(key, int(rest[0]), int(rest[1])) for what, key, *rest in said if what == "put"]
    answer = etcd.ask("get", "--prefix", "/cut/")
    revision = int(answer["header"]["revision"])
    found = {_clear(item["key"]): int(_clear(item["value"])) for item in answer.get("kvs", [])}
    newest = max((at for _, _, at in puts), default=0)
    if revision < newest:
        yield f"etcd is at revision {revision}, and had acknowledged {newest}"
        return
    for key, number in {key: number for key, number, _ in puts}.items():
        if found.get(key, 0) < number:
            yield f"etcd has {found.get(key)} for {key}, and had acknowledged {number}"
    yield from (f"etcd has {number} for {key}, which nobody put" for key, number in found.items() if number > begun)
    if max(found.values(), default=0) > max((number for _, number, _ in puts), default=0) + 1:
        yield "etcd has more than the one put that was under way"
    for key, number, at in puts[-HISTORY:]:
        then = etcd.ask("get", key, f"--rev={at}").get("kvs", [])
        if [(int(_clear(item["value"])), int(item["mod_revision"])) for item in then] != [(number, at)]:
            yield f"etcd's revision {at} isn't the put of {number} to {key} that it was acknowledged for"


def _clear(value: str) -> str:
    return base64.b64decode(value).decode()
