"""Translate Butane's messages, and keys that can't work on a diskless machine, for snippets in lab.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nodisk import yamltree
from nodisk.butane.localfiles import NO_FOLDER

_MEANT = {
    NO_FOLDER: "a snippet in lab.yaml can't embed a file or folder of this host; write a file's text under `inline: |` "
    "instead of `local`, a key under `ssh_authorized_keys`, a unit's text under `contents: |`"
}
_DISKS = (
    "a diskless machine's disks are not partitioned or formatted; leave it out, and mount a local disk by a systemd "
    "unit"
)
_ARGUMENTS = (
    "the kernel's command line is nodisk's own and can't be changed; leave it out: sysctl settings go into a file in "
    "/etc/sysctl.d, options of modules into one in /etc/modprobe.d"
)
_REFUSED: dict[tuple[str, ...], str] = {
    **{("storage", part): _DISKS for part in ("disks", "raid", "filesystems", "luks")},
    ("kernel_arguments",): _ARGUMENTS,
}
"""Only Ignition's stages ``fetch`` and ``files`` run: anything else would be ignored silently."""
_IGNITION = {"kernel_arguments": "kernelArguments"}
_SUGAR = ("boot_device",)
"""Keys that Butane itself turns into disks."""


def meant(message: str) -> str:
    """A Butane message in terms of lab.yaml, for users who don't run Butane."""
    return _MEANT.get(message, message)


def refused(
    snippets: Iterable[tuple[yamltree.Path, str]],
    whole: Mapping[str, Any],
    where: Callable[[yamltree.Path, int | None], str],
) -> Iterator[str]:
    """What the merged Ignition ``whole`` requests without effect: one line per problem, with its snippet."""
    asked = [path for path in _REFUSED if _value(whole, path)]
    trees = [(path, yamltree.parse(text)[0]) for path, text in snippets] if asked else []
    for key in asked:
        places = list(_places(trees, key)) or list(_places(trees, _SUGAR))
        for path, line in places:
            yield f"{where(path, line)}: {'.'.join(key)}: {_REFUSED[key]}"
        if not places:
            yield f"the snippets: {'.'.join(key)}: {_REFUSED[key]}"


def _value(whole: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = whole
    for step in path:
        value = (value or {}).get(_IGNITION.get(step, step))
    return value


def _places(
    trees: Iterable[tuple[yamltree.Path, yamltree.Node]], key: tuple[str, ...]
) -> Iterator[tuple[yamltree.Path, int]]:
    for path, root in trees:
        holder, depth = root.find(key[:-1])
        if depth == len(key) - 1 and (node := holder.key(key[-1])) is not None:
            yield path, node.line
