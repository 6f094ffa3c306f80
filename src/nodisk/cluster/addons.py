"""Manifests that every life of the cluster should have: the YAML files of ``addons/`` in the lab's folder.

The server applies them (server-side apply) when the API first answers after the server's start, in the order of their
names: a network plugin, a network-policy controller, a class's tools. nodisk brings none itself: which version of what
runs in the cluster, and that its images can be had, is for the one who puts the file there to know.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nodisk.cluster.client import Client, Object
from nodisk.cluster.errors import ApiError
from nodisk.errors import SpecError

FOLDER = "addons"


def read(folder: Path) -> Iterator[tuple[Path, Object]]:
    """Every object of the folder's ``*.yaml`` files, with its file; raises SpecError that names a file that is none."""
    for file in sorted(folder.glob("*.yaml")):
        try:
            documents: list[Any] = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SpecError(f"{file} is not YAML: {error}") from error
        for document in documents:
            if document is None:
                continue
            items = (
                document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else [document]
            )
            for item in items or []:
                if not isinstance(item, dict) or not {"apiVersion", "kind", "metadata"} <= set(item):
                    raise SpecError(f"{file} holds something that is no Kubernetes object")
                yield file, item


def apply(client: Client, folder: Path) -> tuple[int, list[str]]:
    """Apply all of them; how many, and what the API refused, a sentence each. One that is refused stops no other.

    What is refused is tried again twice: an object of a kind that another file defines comes too early at first.
    """
    left, count, problems = list(read(folder)), 0, list[str]()
    for pause in (0, 2, 5):
        if not left:
            break
        time.sleep(pause)
        refused, problems = [], []
        for file, item in left:
            try:
                client.apply(item)
                count += 1
            except ApiError as error:
                refused.append((file, item))
                problems.append(f"{file.name}: {item['kind']} {item['metadata'].get('name')}: {error.message}")
        left = refused
    return count, problems
