"""lab.yaml's model: the registry that students push their images to."""

from __future__ import annotations

from nodisk.spec.section import Section
from nodisk.values import Size


class ClassRegistry(Section):
    """A container registry on the server for what students build."""

    size: Size
    """The size of the file system for all images, such as `20GiB`. It takes that much of the server's disk at once; it
    can grow, and never shrinks."""
    per_namespace: Size = Size(2 * 1024**3)
    """How much the images of one namespace, which is one student's, may take."""
