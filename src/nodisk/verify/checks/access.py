"""logs, exec and port-forward, by the release's own kubectl, as a student would."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nodisk import run
from nodisk.assets.container_images import ECHO_PORT
from nodisk.cluster.kubectl import kubectl_program
from nodisk.errors import NodiskError, TimedOut
from nodisk.verify import manifests
from nodisk.verify.checks.nodes import names
from nodisk.verify.core import Failed
from nodisk.verify.scene import Scene

APP = "talk"


def access(scene: Scene) -> list[str]:
    """From a pod on every node: its log, a command in it; and one forwarded port."""
    word = f"hello-{scene.run_id}"
    main = manifests.container(["sh", "-c", f"echo {word}; exec httpd -f -p {ECHO_PORT} -h /www"])
    scene.client.apply(manifests.daemon_set(APP, scene.space, manifests.pod_spec(main, everywhere=True)))
    wanted = set(names(scene))
    try:
        scene.clock.until(lambda: _late(scene, wanted), keep=scene.clock.left / 3)
        pods = {node: pod["metadata"]["name"] for node, pod in scene.ready(APP).items()}
        found = scene.in_parallel(lambda node: _talk(scene, pods[node], word), pods)
        if bad := {node: words for node, words in found.items() if words}:
            node = min(bad)
            raise Failed(
                *(f"{name}: {words}" for name, words in sorted(bad.items())),
                cause=f"the API server can't reach kubelet's port 10250 on {node}, or its certificate is not accepted",
                look=f"nodisk kubectl get --raw /api/v1/nodes/{node}/proxy/healthz",
            )
        line = _forward(scene, next(iter(pods.values())))
    finally:
        scene.client.delete("apps/v1", "DaemonSet", APP, namespace=scene.space)
    return [f"logs and exec on {', '.join(sorted(pods))}", line]


def _late(scene: Scene, wanted: set[str]) -> str | None:
    late = wanted - scene.ready(APP).keys()
    return f"no ready pod on {', '.join(sorted(late))}" if late else None


def _talk(scene: Scene, pod: str, word: str) -> str:
    try:
        if word not in (said := scene.kubectl("logs", pod)):
            return f"its log lacks what it printed: {said[:100]!r}"
        if scene.exec(pod, "echo $NODE_NAME").strip() not in scene.nodes():
            return "exec gave another answer than the node's name"
    except NodiskError as error:
        return error.message.splitlines()[-1]
    return ""


def _forward(scene: Scene, pod: str) -> str:
    """kubectl listens on loopback, inside the lab's network namespace, where the probe runs as well."""
    with tempfile.TemporaryDirectory(prefix="nodisk-verify-") as folder:
        log = Path(folder) / "log"
        words: list[str | Path] = [kubectl_program(scene.context), "--kubeconfig", scene.context.state.admin_kubeconfig]
        words += ["--namespace", scene.space, "port-forward", f"pod/{pod}", f":{ECHO_PORT}"]
        child = run.start(words, log_file=log, netns=scene.context.netns)
        try:
            scene.clock.until(lambda: None if "Forwarding from" in log.read_text() else log.read_text() or "silence")
            port = int(log.read_text().split("127.0.0.1:")[1].split()[0])
            (answer,) = scene.probe([{"kind": "http", "host": "127.0.0.1", "port": port, "timeout": 10 + scene.pace}])
        except TimedOut as error:
            raise Failed(f"port-forward does not start: {error.message}", cause="see exec and logs", look="") from error
        finally:
            child.terminate()
            child.wait(10)
    if not answer["ok"]:
        raise Failed(
            f"a forwarded port gives: {answer['error']}",
            cause="containerd can't reach into the pod's network",
            look=f"nodisk kubectl -n {scene.space} describe pod {pod}",
        )
    return f"port-forward: 127.0.0.1:{port} → {pod}"
