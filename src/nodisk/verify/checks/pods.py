"""Pods on every node, images through the server's registry, and cleaning up."""

from __future__ import annotations

from nodisk import ports
from nodisk.assets.container_images import ECHO, ECHO_PORT, MANIFESTS
from nodisk.errors import TimedOut
from nodisk.kube.client import Object
from nodisk.verify import manifests
from nodisk.verify.checks.nodes import names
from nodisk.verify.core import Failed, Skip
from nodisk.verify.diagnose import cause, pod_trouble
from nodisk.verify.scene import Scene
from nodisk.verify.staging import remove_leftovers

APP = "echo"
"""Of the DaemonSet that ``everywhere`` makes, and of its Service: the other checks speak to and from these pods."""


def _registry(scene: Scene) -> str:
    return f"{scene.context.lab.network.server}:{ports.REGISTRY}"


def registry(scene: Scene) -> list[str]:
    """The server's registry answers on its TLS port and has the image that all checks run."""
    repository, tag = ECHO.split(":")
    server, url = str(scene.context.lab.network.server), f"https://{_registry(scene)}/v2/{repository}/manifests/{tag}"
    wish = {
        "kind": "https",
        "host": server,
        "port": ports.REGISTRY,
        "path": f"/v2/{repository}/manifests/{tag}",
        "headers": {"Accept": ", ".join(MANIFESTS)},
        "ca": (scene.context.state.pki / "server-ca.crt").read_text(encoding="utf-8"),
    }
    (answer,) = scene.probe([wish])
    if not answer["ok"]:
        why = "the image was never pushed" if answer.get("status") == 404 else "docker-registry or nginx is down"
        raise Failed(
            f"{url}: {answer['error']}", cause=why, look="nodisk status; nodisk events; the server's log folder"
        )
    return [f"{url} answers in {answer['seconds'] * 1000:.0f} ms"]


def word(scene: Scene) -> str:
    """What each echo pod prints when it starts."""
    return f"hello-{scene.run_id}"


def everywhere(scene: Scene) -> list[str]:
    """An echo pod on every node, control plane included; its image must be resolved at the registry (``pull``)."""
    main = manifests.container(pull="Always")
    main["command"] = ["sh", "-c", f"echo {word(scene)}; exec httpd -f -p {ECHO_PORT} -h /www"]
    scene.client.apply(manifests.service(APP, scene.space, app=APP, node_port=True))
    scene.client.apply(manifests.daemon_set(APP, scene.space, manifests.pod_spec(main, everywhere=True)))
    wanted = set(names(scene))
    _wait(scene, APP, wanted)
    status = scene.client.get("apps/v1", "DaemonSet", APP, namespace=scene.space)["status"]
    if status["desiredNumberScheduled"] != len(scene.nodes()):
        raise Failed(f"the DaemonSet wants {status['desiredNumberScheduled']} pods for {len(scene.nodes())} nodes")
    return [f"{node}: {pod['metadata']['name']} at {pod['status']['podIP']}" for node, pod in scene.ready(APP).items()]


def echoes(scene: Scene) -> dict[str, Object]:
    """Node → its echo pod; raises Skip if none is ready."""
    found = scene.ready(APP)
    if not found:
        raise Skip("no echo pod runs: see the check pods")
    return found


def echoes_everywhere(scene: Scene) -> dict[str, Object]:
    """As ``echoes``; raises Skip if there isn't one on every node: a node that is left out proves nothing."""
    found = echoes(scene)
    if late := sorted(set(names(scene)) - found.keys()):
        raise Skip(f"no echo pod runs on {', '.join(late)}: see the check pods")
    return found


def pull(scene: Scene) -> list[str]:
    """kubelet starts an echo pod only after the registry has resolved its image, even if the node has it."""
    found = echoes_everywhere(scene)
    return [f"{node}: pulled {pod['status']['containerStatuses'][0]['imageID']}" for node, pod in found.items()]


def _wait(scene: Scene, app: str, wanted: set[str]) -> None:
    """Wait until ``app`` is ready on all nodes ``wanted``; raises Failed with the reason for each pod that isn't."""

    def missing() -> str | None:
        late = wanted - scene.ready(app).keys()
        return f"no ready pod on {', '.join(sorted(late))}" if late else None

    try:
        scene.clock.until(missing)
    except TimedOut as error:
        pods = [pod for pod in scene.pods(app) if pod["spec"].get("nodeName") not in scene.ready(app)]
        troubles = [(pod, _trouble(scene, pod)) for pod in pods]
        lines = [f"{where(pod) or 'unscheduled'}: {words}" for pod, words in troubles]
        silent = wanted - scene.ready(app).keys() - {where(pod) for pod in pods}
        lines += [f"{node}: the DaemonSet made no pod there" for node in sorted(silent)]
        if troubles:
            node = where(troubles[0][0])
            why, look = cause(troubles[0][1], registry=_registry(scene), node=node)
        else:
            why, look = "the controller manager doesn't act, or the node is not Ready", "nodisk status"
        raise Failed(*(lines or [error.message]), cause=why, look=look) from error


def where(pod: Object) -> str | None:
    """The node for which a pod is meant: a DaemonSet's pod names it before it is scheduled."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return None


def _trouble(scene: Scene, pod: Object) -> str:
    words = [pod_trouble(pod), *scene.events("Pod", pod["metadata"]["name"])]
    return "; ".join(dict.fromkeys(words))


def leftovers(scene: Scene) -> list[str]:
    """Delete what this run created and wait until it is gone."""
    remove_leftovers(scene.client, scene.context.state, limit=scene.clock.left, wait=True)
    pods = [pod for pod in scene.client.list("v1", "Pod") if pod["metadata"]["namespace"] == scene.space]
    if pods:
        raise Failed(f"{len(pods)} pods of {scene.space} are still there")
    return ["no namespace, pod, volume, binding or cordon of this run is left"]
