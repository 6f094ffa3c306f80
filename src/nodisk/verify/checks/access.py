"""logs, exec and port-forward, by the release's own kubectl, as a student would."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nodisk import ports, run
from nodisk.assets.container_images import ECHO_PORT
from nodisk.assets.kubectl import kubectl_program
from nodisk.errors import NodiskError, TimedOut
from nodisk.verify.checks.pods import echoes, word
from nodisk.verify.core import Failed
from nodisk.verify.scene import Scene


def access(scene: Scene) -> list[str]:
    """For the echo pod on every node: its log and a command in it; and one forwarded port."""
    pods = {node: pod["metadata"]["name"] for node, pod in echoes(scene).items()}
    found = scene.in_parallel(lambda node: talk(scene, pods[node]), pods)
    if bad := {node: words for node, words in found.items() if words}:
        node = min(bad)
        raise Failed(
            *(f"{name}: {words}" for name, words in sorted(bad.items())),
            cause=f"the API server can't reach kubelet's port {ports.KUBELET} on {node}, "
            "or its certificate is not accepted",
            look=f"nodisk kubectl get --raw /api/v1/nodes/{node}/proxy/healthz",
        )
    line = _forward(scene, next(iter(pods.values())))
    return [f"logs and exec on {', '.join(sorted(pods))}", line]


def talk(scene: Scene, pod: str) -> str:
    """The pod's log and a command in it; return what is wrong in one line, or "".

    Retried after an internal error: kubelet asks the API server who may do this, and drops all its connections, with
    the pending request, when the API server was silent for a while (kubelet's OnHeartbeatFailure).
    """
    said = _try(scene, pod)
    return _try(scene, pod) if "(InternalError)" in said else said


def _try(scene: Scene, pod: str) -> str:
    try:
        if word(scene) not in (said := scene.kubectl("logs", pod)):
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
