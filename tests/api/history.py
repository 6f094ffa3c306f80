"""Writers of objects that note what was acknowledged, and a checker of what is read afterwards."""

from __future__ import annotations

import contextlib
import random
import string
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.api.apiserver import ControlPlane

from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.watch import Change, Watch

PATIENCE = 60.0
"""Seconds for which a writer's request is sent again; then it gives this object up, and its fate is open."""

OURS = "test=history"
"""Kubernetes puts a config map of its own into each namespace."""


@dataclass
class Written:
    """One object's life, as its writer knows it."""

    begun: int = 0
    """The value that was last asked for."""
    known: int = 0
    """The value that was last acknowledged; 0: not even its creation was."""
    version: int = 0
    """Its resourceVersion then."""
    uid: str = ""


@dataclass
class History:
    """Creates and updates config maps in one namespace until it is told to end; watches them, too."""

    plane: ControlPlane
    namespace: str
    padding: int = 0
    """Characters that no compression shrinks, in each object."""
    objects: dict[str, Written] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    acknowledged: int = 0
    _end: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def going_on(self, writers: int = 3) -> Iterator[None]:
        """Write while the block runs."""
        with self.plane.client(patience=PATIENCE) as client:
            client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        with self.plane.client(patience=300) as client:
            watch = Watch(client, "v1", "ConfigMap", namespace=self.namespace, labels=OURS)
            threads = [threading.Thread(target=self._write, args=(number,)) for number in range(writers)]
            seen = threading.Thread(target=self._follow, args=(watch,))
            for thread in (*threads, seen):
                thread.start()
            try:
                yield
            finally:
                self._end.set()
                for thread in threads:
                    thread.join()
                watch.close()
                seen.join(120)

    def _write(self, number: int) -> None:
        with self.plane.client(patience=PATIENCE) as client:
            turn = 0
            while not self._end.is_set():
                name = f"w{number}-{turn // 3}"
                one = self.objects.setdefault(name, Written())
                one.begun = turn % 3 + 1
                try:
                    found = self._ask(client, name, one)
                except NodiskError:
                    turn += 3 - turn % 3  # the next object
                    continue
                self._note(name, one, found)
                turn += 1

    def _ask(self, client: Client, name: str, one: Written) -> Object:
        text = "".join(random.choices(string.ascii_letters, k=self.padding))  # noqa: S311 - bytes, no secret
        meta = {"name": name, "namespace": self.namespace, "labels": {"test": "history"}}
        wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"n": str(one.begun), "t": text}}
        return client.create(wanted) if one.begun == 1 else client.apply(wanted)

    def _note(self, name: str, one: Written, found: Object) -> None:
        version = int(found["metadata"]["resourceVersion"])
        if version <= one.version:
            self.wrong.append(f"{name}: resourceVersion {version} came after {one.version}")
        if one.uid not in ("", found["metadata"]["uid"]):
            self.wrong.append(f"{name} is another object than before")
        one.known, one.version, one.uid = one.begun, version, found["metadata"]["uid"]
        self.acknowledged += 1

    def _follow(self, watch: Watch) -> None:
        """No watcher ever sees an object go back."""
        last: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for event in watch:
            meta = event.object["metadata"]
            if event.change is Change.DELETED:
                self.wrong.append(f"a watcher saw {meta['name']} go, which nobody deleted")
                continue
            now = (int(meta["resourceVersion"]), int(event.object["data"]["n"]))
            before = last[meta["name"]]
            if now[0] < before[0] or now[1] < before[1]:
                self.wrong.append(f"a watcher saw {meta['name']} go back from {before} to {now}")
            last[meta["name"]] = now

    def check(self, client: Client) -> list[str]:
        """What is wrong, a sentence each: all that was acknowledged is there, and nothing that nobody asked for."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        answer: dict[str, Any] = client.json("GET", path, params={"labelSelector": OURS})
        there = {item["metadata"]["name"]: item for item in answer["items"]}
        wrong = [*self.wrong]
        newest = max((one.version for one in self.objects.values()), default=0)
        if int(answer["metadata"]["resourceVersion"]) < newest:
            wrong.append(f"the list's resourceVersion is below {newest}, which was acknowledged")
        wrong += [f"{name} is there, and nobody made it" for name in there.keys() - self.objects.keys()]
        for name, one in self.objects.items():
            if name not in there:
                if one.known:
                    wrong.append(f"{name} was acknowledged, and isn't there")
                continue
            meta, value = there[name]["metadata"], int(there[name]["data"]["n"])
            if not one.known <= value <= one.begun:
                wrong.append(f"{name} is {value}: {one.known} was acknowledged, {one.begun} asked for")
            if one.known and (meta["uid"] != one.uid or int(meta["resourceVersion"]) < one.version):
                wrong.append(f"{name} is older than what was acknowledged, or another object")
            if value == one.known == one.begun and int(meta["resourceVersion"]) != one.version:
                wrong.append(f"{name} was changed by nobody after {one.version}")
        return wrong
