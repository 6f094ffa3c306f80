"""A machine that runs the conformance suite's pods, as far as the API sees it: no container, a process of this host.

It takes the pods that appear in the suite's namespace, tells the API what a scheduler and a kubelet would tell it, runs
``kubeconformance.py`` with the environment of the pod and the rights of its account, and says how that ended. What is
executed in the pod reads the process' folder (tests/api/kubelet.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.api import kubeconformance
from tests.api.apiserver import ControlPlane
from tests.api.kubelet import Kubelet

from nodisk.conformance import official_pod
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import NotFound


@dataclass
class Machine:
    """Use as a context manager."""

    plane: ControlPlane
    kubelet: Kubelet
    folder: Path
    """Has the file ``names``; a pod's own folder is made in it."""
    loses: int = 0
    """So many pods are deleted instead of run, as by somebody's mistake."""
    environments: list[dict[str, str]] = field(default_factory=list)
    """Of the suites that it ran, in their order."""

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="machine")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for process in self._running.values():
            process.kill()
            process.wait()

    def _work(self) -> None:
        with self.plane.client(patience=60) as client:
            while not self._stop.wait(0.1):
                pods = {
                    one["metadata"]["uid"]: one for one in client.list("v1", "Pod", namespace=official_pod.NAMESPACE)
                }
                for uid in sorted(pods.keys() - self._seen):
                    self._seen.add(uid)
                    try:
                        self._begin(client, uid, pods[uid])
                    except NotFound:
                        continue  # deleted meanwhile
                for uid, process in list(self._running.items()):
                    if uid not in pods:
                        process.kill()
                        process.wait()
                    if process.poll() is not None:
                        del self._running[uid]
                        if uid in pods:
                            self._tell(client, pods[uid], {"terminated": _ended(process.returncode)}, ready="False")

    def _begin(self, client: Client, uid: str, pod: Object) -> None:
        name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if self.loses > 0:
            self.loses -= 1
            client.delete("v1", "Pod", name, namespace=space, grace=0)
            return
        target = {"apiVersion": "v1", "kind": "Node", "name": "w1"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": space}}
        client.post_subresource("v1", "Pod", name, "binding", binding | {"target": target}, namespace=space)
        suite = next(one for one in pod["spec"]["containers"] if one["name"] == official_pod.SUITE)
        told = {one["name"]: one.get("value", "") for one in suite["env"]}
        self.environments.append(told)
        results = self.folder / uid
        results.mkdir()
        self.kubelet.inside[name] = (told["RESULTS_DIR"], results)
        own = {"HERE": str(self.folder), "KUBECTL": str(self.plane.bin / "kubectl"), "RESULTS_DIR": str(results)}
        own["KUBECONFIG"] = str(self._account(client, pod, results))
        with (results / "output").open("wb") as output:
            self._running[uid] = subprocess.Popen(
                [sys.executable, kubeconformance.__file__],
                env={**os.environ, **told, **own, "HOME": str(results)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._tell(client, pod, _RUNNING, ready="True")

    def _account(self, client: Client, pod: Object, folder: Path) -> Path:
        """A kubeconfig with the rights that the pod has in the cluster."""
        admin = kubeconfig.load(self.plane.kubeconfig)
        token, _ = client.token(pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"], seconds=3600)
        endpoint = replace(admin, cert_pem=None, key_pem=None, token=token)
        path = folder / "kubeconfig"
        path.write_text(kubeconfig.render(endpoint, cluster="room", user="suite"))
        return path

    def _tell(self, client: Client, pod: Object, suite: Object, *, ready: str) -> None:
        meta = pod["metadata"]
        states = {official_pod.SUITE: suite, official_pod.KEEPER: _RUNNING}
        images = {one["name"]: one["image"] for one in pod["spec"]["containers"]}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [
                {
                    "name": name,
                    "image": images[name],
                    "imageID": "",
                    "ready": "running" in state,
                    "restartCount": 0,
                    "containerID": f"containerd://{name}",
                    "state": state,
                }
                for name, state in states.items()
            ],
        }
        path = client.path("v1", "Pod", meta["name"], namespace=meta["namespace"], subresource="status")
        try:
            client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
        except NotFound:
            return  # deleted meanwhile


_RUNNING: dict[str, Any] = {"running": {"startedAt": "2027-01-31T08:15:00Z"}}


def _ended(code: int) -> Object:
    return {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error"}
