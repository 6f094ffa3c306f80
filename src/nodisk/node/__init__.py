"""What goes into the node image besides Debian's packages and the release's binaries: package data, no logic.

How the image's builder uses it, in this order:

1. install ``packages()`` and the kernel;
2. copy ``IMAGE`` over the root, and ``DRACUT`` to ``usr/lib/dracut/modules.d/95nodisk`` (its ``init`` executable);
3. put ``kubelet``, ``kube-proxy`` and ``kubeadm`` into ``usr/bin``;
4. run ``sh /usr/lib/nodisk/prepare cluster`` in the root (``plain`` without Kubernetes; then 3 is left out);
5. run ``dracut --force --kver VERSION FILE`` in the root: its configuration is in ``IMAGE``;
6. make the squashfs without ``/boot`` (the kernel is served beside it).
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
IMAGE = HERE / "image"
"""A tree that is copied over the image's root."""
DRACUT = HERE / "dracut"
"""The dracut module."""
INVENTORY = HERE / "inventory"
"""The program of an inventory boot; it comes with the Ignition, not in the image."""


def packages(*, plain: bool = False) -> tuple[str, ...]:
    """The Debian packages that a node needs, in the file's order; ``plain``: one without Kubernetes."""
    wanted, section = ("every", "plain" if plain else "cluster"), ""
    found = []
    for line in (HERE / "packages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.strip() and not line.startswith("#") and section in wanted:
            found.append(line.split()[0])
    return tuple(found)
