"""What goes into the node image besides Debian's packages and the release's binaries: package data, no logic.

How the image's builder uses it, in this order:

1. install ``packages()`` and the kernel;
2. copy ``IMAGE`` over the root, and ``DRACUT`` to ``usr/lib/dracut/modules.d/95nodisk`` (its ``init`` executable);
3. put ``kubelet``, ``kube-proxy`` and ``kubeadm`` into ``usr/bin``;
4. run ``sh /usr/lib/nodisk/prepare`` in the root;
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


def packages() -> tuple[str, ...]:
    """The Debian packages that a node needs, in the file's order."""
    lines = (HERE / "packages.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))
