"""Which container images a set of objects runs, and the same objects with images pinned by their digests. Pure.

An image counts as *named* where a pod or a pod's template names it: those names can be replaced. It is *hidden* where a
text only looks like an image: a program's arguments, its environment, a ConfigMap. An operator that starts pods of its
own has its images there; nodisk says so and replaces nothing in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from nodisk.image_name import DIGEST, PART, TAG
from nodisk.kube.client import Object

_LISTS = ("containers", "initContainers", "ephemeralContainers")
# In other texts only what can hardly be anything else: a host with a dot, a path, and a tag or a digest.
_SEEN = re.compile(
    rf"(?<![\w./:@%-])(?:[a-z0-9-]+\.)+[a-z]{{2,}}(?::\d{{1,5}})?(?:/{PART})+(?::{TAG}(?:@{DIGEST})?|@{DIGEST})"
    r"(?![\w/:@])"
)


def named(objects: Iterable[Object]) -> list[str]:
    """The images that pods and their templates name, as they name them, each once, sorted."""
    return sorted({str(holder[key]) for item in objects for holder, key in _holders(item)})


def replaced(objects: Sequence[Object], names: Mapping[str, str]) -> list[Object]:
    """The same objects with images' names replaced by those of ``names``, where it has one."""
    return [_copy(item, names) for item in objects]


def hidden(objects: Iterable[Object]) -> list[str]:
    """What looks like an image in arguments, environments and ConfigMaps, and is named by no pod; sorted."""
    every = list(objects)
    seen = {found[0] for item in every for text in _texts(item) for found in _SEEN.finditer(text)}
    return sorted(seen - set(named(every)))


def _holders(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every mapping that names an image, with the key under which it does."""
    if isinstance(value, list):
        for item in value:
            yield from _holders(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _LISTS and isinstance(item, list):
                yield from ((one, "image") for one in item if _names(one, "image"))
            if key == "volumes" and isinstance(item, list):
                sources = (one.get("image") for one in item if isinstance(one, dict))
                yield from ((source, "reference") for source in sources if _names(source, "reference"))
            yield from _holders(item)


def _names(holder: Any, key: str) -> TypeGuard[dict[str, Any]]:
    return isinstance(holder, dict) and isinstance(holder.get(key), str) and bool(holder[key])


def _copy(item: Object, names: Mapping[str, str]) -> Object:
    made: Object = _deep(item)
    for holder, key in _holders(made):
        holder[key] = names.get(holder[key], holder[key])
    return made


def _deep(value: Any) -> Any:
    """A copy of every mapping and list, also of one that the YAML file names twice by an anchor."""
    if isinstance(value, dict):
        return {key: _deep(item) for key, item in value.items()}
    return [_deep(item) for item in value] if isinstance(value, list) else value


def _texts(item: Object) -> Iterator[str]:
    if item.get("kind") == "CustomResourceDefinition":
        return  # its descriptions hold examples
    if item.get("kind") == "ConfigMap":
        yield from _strings(item.get("data"))
    for container in _containers(item):
        for key in ("command", "args", "env"):
            yield from _strings(container.get(key))


def _containers(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _containers(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _LISTS and isinstance(item, list):
                yield from (one for one in item if isinstance(one, dict))
            else:
                yield from _containers(item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (word for line in value.splitlines() for word in re.split(r"[\s=,;\"'`()\[\]{}<>|]+", line))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
