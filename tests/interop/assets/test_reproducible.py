"""The same inputs give the same image: built twice from nothing, hours apart as far as the two can tell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nodisk.assets import release_debian
from nodisk.assets.hashes import key_of
from nodisk.assets.store import Manifest, Store
from nodisk.state import DEFAULT_STATE, State

pytestmark = [pytest.mark.interop, pytest.mark.apart]

LAB = """\
name: twice
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
kubernetes: {source: debian}
os: {kernel: cloud}
machines: [{name: c1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}]
"""
KINDS = ("image", "containers", "terminal", "ipxe")


def release() -> Manifest:
    """That of this host's own store: compiling it twice as well would take ten minutes more."""
    found = Store(State(DEFAULT_STATE)).find("release", key_of(release_debian.inputs()))
    assert found is not None, "`nodisk build` makes it"
    return found


def built(folder: Path, **environment: str) -> dict[str, str]:
    """Everything made from nothing but the release, in a state of its own: KIND/FILE → hash."""
    (folder / "files").mkdir(parents=True)
    (folder / "lab.yaml").write_text(LAB)
    store, whole = Store(State(folder / "state")), release()
    for ref in whole.files:
        shutil.copyfile(Store(State(DEFAULT_STATE)).path(ref), folder / "files" / ref.name)
    content = {ref.name: folder / "files" / ref.name for ref in whole.files}
    store.add("release", name="", version=whole.version, inputs=whole.inputs, content=content, facts=whole.facts)
    words = [word for kind in KINDS for word in ("--only", kind)]
    subprocess.run(
        [sys.executable, "-m", "nodisk", "build", "--lab", folder / "lab.yaml", "--state", folder / "state", *words],
        env={**os.environ, **environment},
        check=True,
    )
    found = {manifest.kind: manifest for manifest in store.manifests() if manifest.kind in KINDS}
    assert set(found) == set(KINDS)
    return {f"{kind}/{ref.name}": ref.sha256 for kind, manifest in found.items() for ref in manifest.files}


def test_two_builds_give_the_same_hashes(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        first = built(tmp_path / "first", TZ="Asia/Tokyo", LC_ALL="C")
    finally:
        os.umask(old)
    second = built(tmp_path / "a-longer-name-of-the-second", TZ="UTC", LC_ALL="C.UTF-8", HOME="/nonexistent")
    assert first == second
