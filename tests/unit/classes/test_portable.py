"""What was exported can be applied elsewhere: nothing is in it that this cluster filled in."""

import copy

from nodisk.classes.portable import portable
from nodisk.kube.client import Object

FILLED_IN = {"uid": "1", "resourceVersion": "2", "creationTimestamp": "2026-11-01T12:00:00Z", "managedFields": []}


def thing(kind: str, spec: Object, **meta: object) -> Object:
    metadata = {"name": "mine", "namespace": "k8s-jan", **FILLED_IN, **meta}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec, "status": {"phase": "Bound"}}


def test_nothing_of_this_cluster_stays() -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"}
    going = {"finalizers": ["example.org/held"], "deletionTimestamp": "2026-11-01T12:00:00Z"}
    found = portable(thing("Deployment", {"replicas": 1}, annotations=notes, **going))
    assert found == {
        "apiVersion": "v1",
        "kind": "Deployment",
        "metadata": {"name": "mine", "annotations": {"mine": "1"}},
        "spec": {"replicas": 1},
    }


def test_a_service_gives_back_its_address_but_stays_headless() -> None:
    addresses = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": [{"port": 80}]}
    assert portable(thing("Service", addresses))["spec"] == {"ports": [{"port": 80}]}
    headless = {"clusterIP": "None", "clusterIPs": ["None"]}
    assert portable(thing("Service", headless))["spec"] == headless


def test_a_job_loses_the_selector_that_was_made_for_it() -> None:
    uid = {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1"}
    name = {"job-name": "mine", "batch.kubernetes.io/job-name": "mine"}
    template = {"metadata": {"labels": {**uid, **name, "app": "sum"}}, "spec": {"containers": []}}
    spec = {"selector": {"matchLabels": uid}, "template": template, "backoffLimit": 6}
    job = thing("Job", spec, labels={**uid, **name, "app": "sum"})
    before = copy.deepcopy(job)
    found = portable(job)
    assert found["metadata"] == {"name": "mine", "labels": {"app": "sum"}}
    assert found["spec"] == {
        "template": {"metadata": {"labels": {"app": "sum"}}, "spec": {"containers": []}},
        "backoffLimit": 6,
    }
    assert job == before
    own = {"manualSelector": True, "selector": {"matchLabels": {"app": "sum"}}, "template": template}
    assert portable(thing("Job", own))["spec"] == own


def test_a_claim_is_bound_to_nothing() -> None:
    notes = {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.beta.kubernetes.io/storage-provisioner": "nodisk.dev/server",
        "volume.kubernetes.io/storage-provisioner": "nodisk.dev/server",
    }
    spec = {"volumeName": "pv-1", "storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}
    found = portable(
        thing("PersistentVolumeClaim", spec, annotations=notes, finalizers=["kubernetes.io/pvc-protection"])
    )
    assert found["metadata"] == {"name": "mine"}
    assert found["spec"] == {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}


def test_a_pod_is_on_no_node_and_has_no_token() -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    for token in ("kube-api-access-x7k2p", "default-token-x7k2p"):
        mounts = [{"name": "data", "mountPath": "/data"}, {"name": token, "mountPath": path, "readOnly": True}]
        spec = {
            "nodeName": "m1",
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority",
            "containers": [{"name": "main", "image": "main", "volumeMounts": mounts}],
            "initContainers": [{"name": "first", "image": "first", "volumeMounts": mounts[1:]}],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": token, "secret": {"secretName": token}}],
        }
        assert portable(thing("Pod", spec))["spec"] == {
            "serviceAccountName": "default",
            "containers": [{"name": "main", "image": "main", "volumeMounts": mounts[:1]}],
            "initContainers": [{"name": "first", "image": "first", "volumeMounts": []}],
            "volumes": [{"name": "data", "emptyDir": {}}],
        }


def test_a_volume_that_only_sounds_like_a_token_stays() -> None:
    mounts = [{"name": "my-token-abcde", "mountPath": "/data"}]
    spec = {"containers": [{"name": "main", "volumeMounts": mounts}], "volumes": [{"name": "my-token-abcde"}]}
    assert portable(thing("Pod", spec))["spec"] == spec
