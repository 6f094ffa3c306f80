"""Images of objects: found where pods name them, replaced there alone, and said where they hide."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodisk.kube import goyaml, pod_images

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: i, image: busybox:1}]
      containers:
        - name: main
          image: quay.io/jetstack/cert-manager-controller:v1.18.2
          args:
            - --acme-http01-solver-image=quay.io/jetstack/cert-manager-acmesolver:v1.18.2
            - --url=https://quay.io/not/an-image:v1
            - --listen=web.default.svc:8080
          env: [{name: IMAGE, value: "ghcr.io/a/b@sha256:%s"}]
      volumes: [{name: data, image: {reference: "ghcr.io/data/set:1"}}, {name: none, emptyDir: {}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: job}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: nginx}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  config: |
    image: "docker.io/istio/proxyv2:1.27"
    again: quay.io/jetstack/cert-manager-controller:v1.18.2
  image: not-one
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: x}
spec: {description: "such as ghcr.io/x/y:1", properties: {containers: {items: {image: {type: string}}}}}
"""
HEX = "ab" * 32
OBJECTS = goyaml.documents(MANIFEST.replace("%s", HEX))


def test_what_pods_name_and_what_is_hidden() -> None:
    assert pod_images.named(OBJECTS) == [
        "busybox:1",
        "ghcr.io/data/set:1",
        "nginx",
        "quay.io/jetstack/cert-manager-controller:v1.18.2",
    ]
    assert pod_images.hidden(OBJECTS) == [
        "docker.io/istio/proxyv2:1.27",
        f"ghcr.io/a/b@sha256:{HEX}",
        "quay.io/jetstack/cert-manager-acmesolver:v1.18.2",
    ]


def test_only_named_images_are_replaced() -> None:
    before = copy.deepcopy(OBJECTS)
    made = pod_images.replaced(OBJECTS, {name: f"pinned/{name}" for name in pod_images.named(OBJECTS)})
    assert before == OBJECTS
    assert pod_images.named(made) == sorted(f"pinned/{name}" for name in pod_images.named(OBJECTS))
    assert pod_images.replaced(made, {f"pinned/{name}": name for name in pod_images.named(OBJECTS)}) == before


def test_a_pod_that_two_objects_share_by_an_anchor() -> None:
    shared = goyaml.documents("a: &c {containers: [{image: x}]}\nb: *c\n")
    [made] = pod_images.replaced(shared, {"x": "y"})
    assert made == {"a": {"containers": [{"image": "y"}]}, "b": {"containers": [{"image": "y"}]}}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.just("ghcr.io/a/b:1")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["containers", "image", "volumes", "reference", "args", "env", "data", "kind", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=30,
)


@given(st.lists(st.dictionaries(st.sampled_from(["kind", "spec", "data", "containers"]), JSON, max_size=3), max_size=3))
def test_no_object_is_a_traceback(objects: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(objects)
    named = pod_images.named(objects)
    assert isinstance(pod_images.hidden(objects), list)
    assert pod_images.replaced(objects, {}) == objects == before
    assert set(pod_images.named(pod_images.replaced(objects, dict.fromkeys(named, "z")))) == ({"z"} if named else set())
