"""What differs between a machine's Ignition config and an earlier one of it. Pure.

A machine runs what it booted, so that is what its next boot changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nodisk.butane import dataurl
from nodisk.plan import containers

HOSTS = "/etc/hosts"
FIREWALL = "/etc/nftables.conf"


def changed(before: str, now: str) -> list[str]:
    """The paths of files, the names of units and of other parts that differ, sorted; ValueError: no JSON.

    ``/etc/hosts`` doesn't count: it names the room's other machines, which the server's DNS does as well, and differs
    on all of them whenever one is added.
    """
    old, new = dict(_parts(json.loads(before))), dict(_parts(json.loads(now)))
    return sorted(name for name in old.keys() | new.keys() if name != HOSTS and old.get(name) != new.get(name))


def shows_pods(config: str) -> bool:
    """Whether a machine with this config lets pods ask for names under their own addresses (``isolation: names``)."""
    found = [one for one in json.loads(config).get("storage", {}).get("files", ()) if one["path"] == FIREWALL]
    texts = [dataurl.content(one["contents"]["source"]).decode() for one in found]
    return any(containers.shows_pods(text) for text in texts)


def _parts(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, key, name in (("storage", "files", "path"), ("systemd", "units", "name")):
        inner = config.get(section, {})
        yield from ((str(one[name]), one) for one in inner.get(key, ()))
        yield section, {other: value for other, value in inner.items() if other != key}
    yield from ((name, value) for name, value in config.items() if name not in ("storage", "systemd"))
