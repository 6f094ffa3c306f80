"""What a class does with a cluster: Deployments, Jobs, CronJobs, volumes; and draining a node."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from nodisk.classes.manifests import CLAIM
from nodisk.classes.manifests import PROVISIONER as STUDENTS_STORAGE
from nodisk.errors import TimedOut
from nodisk.kube.client import Object
from nodisk.kube.objects import holds, is_ready
from nodisk.verify import manifests
from nodisk.verify.core import Failed, Skip
from nodisk.verify.diagnose import cause, pod_trouble
from nodisk.verify.scene import Scene, cordon, uncordon
from nodisk.verify.temporary_class import temporary_class


def rollout(scene: Scene) -> list[str]:
    """One replica; a second revision; back to the first; two, then one. Each step starts one pod or none."""
    name = "roll"
    spec = manifests.pod_spec(manifests.container())
    scene.client.apply(manifests.deployment(name, scene.space, spec, 1))
    lines = [_rolled(scene, name, "first rollout")]
    second = manifests.container()
    second["env"] = [*second["env"], {"name": "REVISION", "value": "2"}]
    scene.client.apply(manifests.deployment(name, scene.space, manifests.pod_spec(second), 1))
    lines.append(_rolled(scene, name, "second revision"))
    scene.kubectl("rollout", "undo", f"deployment/{name}")
    lines.append(_rolled(scene, name, "undo"))
    main = scene.client.get("apps/v1", "Deployment", name, namespace=scene.space)["spec"]["template"]["spec"]
    if any(one["name"] == "REVISION" for one in main["containers"][0]["env"]):
        raise Failed("undo left the second revision in place", cause="the Deployment's history is wrong")
    for replicas in (2, 1):
        scene.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}")
        lines.append(_rolled(scene, name, f"scale to {replicas}"))
    scene.client.delete("apps/v1", "Deployment", name, namespace=scene.space)
    return lines


def _rolled(scene: Scene, name: str, what: str) -> str:
    began = scene.clock.now()

    def late() -> str | None:
        found = scene.client.get("apps/v1", "Deployment", name, namespace=scene.space)
        wanted, status = found["spec"]["replicas"], found.get("status", {})
        current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        return None if current and counts == [wanted] * 3 else f"{what}: {counts[2]} of {wanted} pods available"

    _wait(scene, name, late)
    return f"{what}: {scene.clock.now() - began:.1f} s"


def _wait(scene: Scene, app: str, late: object, *, every: float = 0.5) -> None:
    """Wait until ``late()`` is None; at the time limit raises Failed with the pods' reasons."""
    try:
        scene.clock.until(late, every=every)  # type: ignore[arg-type] # a function that returns text or None
    except TimedOut as error:
        bad = [pod for pod in scene.pods(app) if not is_ready(pod)]
        lines = [f"{pod['metadata']['name']}: {pod_trouble(pod)}" for pod in bad]
        node = bad[0]["spec"].get("nodeName") if bad else None
        why, look = ("the controller manager or the scheduler doesn't act", "nodisk kubectl -n kube-system get pods")
        if bad:
            why, look = cause(pod_trouble(bad[0]), registry="the server", node=node)
        raise Failed(f"not in time: {error.message}", *lines, cause=why, look=look) from error


def _cron_version(scene: Scene) -> str:
    found = scene.client.first_supported("CronJob", ["batch/v1", "batch/v1beta1"])
    if found is None:
        raise Skip("this release serves no CronJob")
    return found


def _cron_job(scene: Scene, name: str, schedule: str, *, suspend: bool) -> Object:
    job = manifests.job_spec(["true"])
    return {
        "apiVersion": _cron_version(scene),
        "kind": "CronJob",
        "metadata": manifests.meta(name, scene.space),
        "spec": {"schedule": schedule, "suspend": suspend, "jobTemplate": {"spec": job}},
    }


def job(scene: Scene) -> list[str]:
    """A Job by itself, and one that kubectl makes from a CronJob."""
    script = ["sh", "-c", "test -n $NODE_NAME"]
    spec = manifests.job_spec(script)
    plain = {"apiVersion": "batch/v1", "kind": "Job", "metadata": manifests.meta("once", scene.space), "spec": spec}
    scene.client.apply(plain)
    scene.client.apply(_cron_job(scene, "asleep", "0 0 1 1 *", suspend=True))
    scene.kubectl("create", "job", "from-cron", "--from=cronjob/asleep")
    lines = []
    for name in ("once", "from-cron"):
        began = scene.clock.now()
        _wait(scene, "job", lambda name=name: _unfinished(scene, name))
        lines.append(f"{name}: complete after {scene.clock.now() - began:.1f} s")
    return lines


def _unfinished(scene: Scene, name: str) -> str | None:
    job = scene.client.get("batch/v1", "Job", name, namespace=scene.space)
    if holds(job, "Failed"):
        raise Failed(f"the Job {name} failed", look=f"nodisk kubectl -n {scene.space} describe job {name}")
    return None if (job.get("status") or {}).get("succeeded") else f"the Job {name} is not complete"


def schedule(scene: Scene) -> None:
    """Create the CronJob while other checks run, so that its minute passes meanwhile."""
    scene.begin("cron", lambda: scene.client.apply(_cron_job(scene, "minute", "* * * * *", suspend=False)))


def cron(scene: Scene) -> list[str]:
    """A CronJob of every minute: its next minute makes a Job that completes."""
    made = scene.pending["cron"].result(scene.clock.left)

    def late() -> str | None:
        jobs = scene.client.list("batch/v1", "Job", namespace=scene.space)
        mine = [one for one in jobs if one["metadata"]["name"].startswith("minute-")]
        return None if any(one.get("status", {}).get("succeeded") for one in mine) else "no Job of it is complete"

    try:
        _wait(scene, "job", late, every=1)
    finally:
        scene.client.delete(made["apiVersion"], "CronJob", "minute", namespace=scene.space)
    return [f"its first Job was complete {_since(made):.0f} s after the CronJob was made, or sooner"]


def _since(made: Object) -> float:
    """Seconds since its creation by the API server's clock; at least 0, because that clock may be ahead of this one."""
    return max(0.0, time.time() - datetime.fromisoformat(made["metadata"]["creationTimestamp"]).timestamp())


def drain(scene: Scene) -> list[str]:
    """Cordon the node of one of this run's pods, evict that pod only, find it on another node, uncordon."""
    if len(scene.workers()) < 2:
        raise Skip("fewer than two nodes take ordinary pods: there is no other node to go to")
    name = "drained"
    scene.client.apply(manifests.deployment(name, scene.space, manifests.pod_spec(manifests.container()), 1))
    lines = [_rolled(scene, name, "rollout")]
    node = next(iter(scene.ready(name)))
    evicted = [pod["metadata"]["name"] for pod in scene.pods(name) if pod["spec"].get("nodeName") == node]
    try:
        cordon(scene.client, node, scene.run_id)
        for pod in evicted:
            _evict(scene, pod)
        _wait(scene, name, lambda: _not_moved(scene, name, node, evicted))
        lines.append(_rolled(scene, name, f"moved away from {node}"))
    finally:
        uncordon(scene.client, node)
        scene.client.delete("apps/v1", "Deployment", name, namespace=scene.space)
    _open_again(scene, node)
    return [*lines, f"{node} uncordoned"]


def _open_again(scene: Scene, node: str) -> None:
    """Wait until the node's taint is gone as well: the controller manager removes it some time later."""

    def closed() -> str | None:
        return None if node in scene.workers() else f"{node} still takes no ordinary pods"

    try:
        scene.clock.until(closed)
    except TimedOut as error:
        raise Failed(
            error.message,
            cause="the controller manager doesn't act",
            look=f"nodisk kubectl describe node {node}",
        ) from error


def _evict(scene: Scene, pod: str) -> None:
    version = "policy/v1" if scene.client.supports("policy/v1", "PodDisruptionBudget") else "policy/v1beta1"
    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": pod, "namespace": scene.space}}
    scene.client.post_subresource("v1", "Pod", pod, "eviction", body, namespace=scene.space)


def _not_moved(scene: Scene, name: str, node: str, evicted: list[str]) -> str | None:
    left = [pod["metadata"]["name"] for pod in scene.pods(name) if pod["spec"].get("nodeName") == node]
    if set(left) - set(evicted):
        raise Failed(f"a new pod came to {node} although it is cordoned", cause="the scheduler doesn't see the cordon")
    if left:
        return f"{', '.join(left)} still on {node}"
    return None if set(scene.ready(name)) - {node} else "no new pod is ready elsewhere"


def volume(scene: Scene) -> list[str]:
    """A StatefulSet writes a file, its pod moves to another node, and the file is still there.

    It uses the cluster's own StorageClass if that provisions volumes, otherwise a temporary student's storage.
    """
    if len(scene.workers()) < 2:
        raise Skip("fewer than two nodes take ordinary pods: there is no other node to move to")
    classes = scene.client.list("storage.k8s.io/v1", "StorageClass")
    default = "storageclass.kubernetes.io/is-default-class"
    idle = (STUDENTS_STORAGE, "kubernetes.io/no-provisioner")
    classes = [one for one in classes if one["provisioner"] not in idle]
    classes.sort(key=lambda one: (one["metadata"].get("annotations") or {}).get(default) != "true")
    if classes:
        name = classes[0]["metadata"]["name"]
        return _moved(scene, manifests.claim_template(name), f"StorageClass {name}")
    with temporary_class(scene, 1, room="16Mi") as applied:
        (student,) = applied.record.students
        own = replace(scene, space=applied.record.namespace(student))
        return _moved(own, manifests.claimed(CLAIM), "a student's storage on the server")


def _moved(scene: Scene, storage: Object, what: str) -> list[str]:
    """Write on one node, read on another."""
    name, word = "keeper", scene.run_id
    main = manifests.container() | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec = manifests.pod_spec(main, securityContext={"fsGroup": 8080})
    scene.client.apply(manifests.stateful_set(name, scene.space, spec, storage))
    _wait(scene, name, lambda: None if scene.ready(name) else "its pod is not ready")
    before = next(iter(scene.ready(name)))
    scene.exec(f"{name}-0", f"echo {word} > /data/word && sync")
    try:
        cordon(scene.client, before, scene.run_id)
        scene.client.delete("v1", "Pod", f"{name}-0", namespace=scene.space)
        _wait(scene, name, lambda: None if set(scene.ready(name)) - {before} else f"no ready pod off {before}")
    finally:
        uncordon(scene.client, before)
    _open_again(scene, before)
    after = next(iter(scene.ready(name)))
    if (said := scene.exec(f"{name}-0", "cat /data/word").strip()) != word:
        raise Failed(f"the file holds {said!r} instead of {word!r}", cause="the volume is not the same one")
    scene.client.delete("apps/v1", "StatefulSet", name, namespace=scene.space)
    return [f"{what}: written on {before}, read on {after}"]
