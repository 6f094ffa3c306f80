"""Manifests that the cluster should always have: those of the lab's network, and the lab's own.

The server applies them (server-side apply) when the API first answers after the server's start. First what
``nodisk build`` loaded for the lab's network (``assets.addons``), with the lab's addresses put in; then the YAML files
of ``addons/`` in the lab's folder, in the order of their names: a class' tools, a network plugin of the user's. Whoever
puts a file there is responsible for what runs, and that its images can be pulled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from nodisk.errors import SpecError
from nodisk.kube import goyaml
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError
from nodisk.spec.model import Lab

FOLDER = "addons"


def read(folder: Path) -> tuple[list[tuple[Path, Object]], list[str]]:
    """Every object in the folder's ``*.yaml`` files, with its file, and a sentence for each file that can't be read."""
    found, problems = list[tuple[Path, Object]](), list[str]()
    for file in sorted(folder.glob("*.yaml")):
        try:
            found += [(file, item) for item in _objects(file)]
        except SpecError as error:
            problems.append(error.message)
        except OSError as error:
            problems.append(f"{file} can't be read: {error.strerror}")
    return found, problems


def _objects(file: Path) -> Iterator[Object]:
    return objects(file.read_bytes(), file)


def objects(data: bytes, file: Path) -> Iterator[Object]:
    """The objects of a manifest's text; ``file`` is its name for messages. Raises SpecError for anything else."""
    try:
        documents = goyaml.documents(data)
    except ValueError as error:
        raise SpecError(f"{file} is not YAML: {error}") from error
    for document in documents:
        if document is None:
            continue
        items = document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else [document]
        for item in items if isinstance(items, list) else []:
            if not _is_object(item):
                raise SpecError(
                    f"{file} contains a document that is not a Kubernetes object with apiVersion, kind and name"
                )
            yield item


def _is_object(item: Any) -> bool:
    """Whether it has what the API needs to apply it, including a name (``generateName`` is not enough)."""
    if not isinstance(item, dict) or not isinstance(meta := item.get("metadata"), dict):
        return False
    words = (item.get("apiVersion"), item.get("kind"), meta.get("name"), meta.get("namespace") or "none")
    return all(isinstance(word, str) and word for word in words)


def of_network(lab: Lab, files: Iterable[tuple[str, Path]]) -> Iterator[tuple[Path, Object]]:
    """The objects of stored manifests (name and file), fitted to the lab; raises SpecError if one can't be."""
    for name, file in files:
        objects = list(_objects(file))
        try:
            fits = _FITS[name](lab, objects) if name in _FITS else True
        except (ValueError, KeyError, TypeError, AttributeError):
            fits = False
        if not fits:
            raise SpecError(
                f"the manifest of {name} has no setting for the pod address range",
                hint="use the manifest that the project publishes for Kubernetes",
            )
        yield from ((file, item) for item in objects)


def _fit_flannel(lab: Lab, objects: list[Object]) -> bool:
    """Put the pods' range into its ConfigMap, and the interface towards the server: there may be no default route."""
    fitted = False
    for item in objects:
        data = item.get("data")
        if item["kind"] == "ConfigMap" and isinstance(data, dict) and "net-conf.json" in data:
            settings = json.loads(data["net-conf.json"])
            settings["Network"] = str(lab.kubernetes.pods)
            data["net-conf.json"] = json.dumps(settings, indent=2) + "\n"
            fitted = True
        for container in _containers(item):
            if container.get("name") == "kube-flannel":
                own = [word for word in container.get("args") or [] if not word.startswith("--iface")]
                container["args"] = [*own, f"--iface-can-reach={lab.network.server}"]
    return fitted


def _fit_calico(lab: Lab, objects: list[Object]) -> bool:
    """Set the pods' range as its first pool, and take each node's address from kubelet."""
    ours = {"CALICO_IPV4POOL_CIDR": str(lab.kubernetes.pods), "IP_AUTODETECTION_METHOD": "kubernetes-internal-ip"}
    fitted = False
    for item in objects:
        for container in _containers(item):
            if container.get("name") == "calico-node":
                theirs = [one for one in container.get("env") or [] if one["name"] not in ours]
                container["env"] = [*theirs, *({"name": name, "value": value} for name, value in ours.items())]
                fitted = True
    return fitted


_FITS: dict[str, Callable[[Lab, list[Object]], bool]] = {"flannel": _fit_flannel, "calico": _fit_calico}


def _containers(item: Object) -> list[dict[str, Any]]:
    template = item.get("spec", {}).get("template", {}) if item["kind"] == "DaemonSet" else {}
    found: list[dict[str, Any]] = template.get("spec", {}).get("containers", [])
    return found


def apply(client: Client, objects: Iterable[tuple[Path, Object]]) -> tuple[int, list[str]]:
    """Apply all objects, even if some are refused; return how many, and one sentence per refusal.

    Refused objects are retried twice, because another file may define their kind.
    """
    left, count, problems = list(objects), 0, list[str]()
    for pause in (0, 2, 5):
        if not left:
            break
        time.sleep(pause)
        if pause:
            client.discovery.renew()
        refused, problems = [], []
        for file, item in left:
            try:
                client.apply(item)
                count += 1
            except ApiError as error:
                refused.append((file, item))
                problems.append(f"{file.name}: {item['kind']} {item['metadata']['name']}: {error.message}")
        left = refused
    return count, problems
