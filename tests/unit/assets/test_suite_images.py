"""The conformance specs' images: which there are, what they run, and Kubernetes' file of registries."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodisk.assets import release, release_debian, suite, suite_images
from nodisk.assets.suite_images import HOME

APPLETS = "sh\nhttpd\nnc\nbusybox\n"
FILES = {
    "bind9-dnsutils": ("usr/bin/dig", "usr/bin/nslookup"),
    "bind9-libs": ("usr/lib/x86_64-linux-gnu/libdns-9.18.0-1-Debian.so",),
    "curl": ("usr/bin/curl",),
    "dash": ("bin/dash",),
    "etcd-server": ("usr/bin/etcd",),
    "libc-bin": ("usr/bin/getent",),
    "libc6": ("lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libresolv.so.2"),
    "netcat-openbsd": ("bin/nc.openbsd",),
}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, suite_images.Wanted]:
    roots = {}
    for package, paths in FILES.items():
        roots[package] = tmp_path / package
        for path in paths:
            (tmp_path / package / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / package / path).write_text(path)
    busybox = tmp_path / "busybox-static/bin/busybox"
    busybox.parent.mkdir(parents=True)
    busybox.write_text(f"#!/bin/sh\nprintf '{APPLETS}'\n")
    busybox.chmod(0o755)
    roots["busybox-static"] = tmp_path / "busybox-static"
    programs = tmp_path / "out"
    programs.mkdir()
    for name in (*suite_images.PROGRAMS, *suite_images.CERTIFICATE):
        (programs / name).write_text(name)
    return {one.name: one for one in suite_images.wanted(programs, roots)}


def test_specs_programs_are_the_real_ones_where_busybox_has_another(made: dict[str, suite_images.Wanted]) -> None:
    files = {entry.path: entry for entry in made["agnhost:2.21"].entries}
    assert len(files) == len(made["agnhost:2.21"].entries)  # none of them twice
    assert isinstance(files["bin/nc"].source, Path)
    assert files["bin/nc"].source.read_text() == "bin/nc.openbsd"
    # busybox' own shell would run busybox' nc, and every spec of Services asks for an option that it has not.
    assert isinstance(files["bin/sh"].source, Path)
    assert files["bin/sh"].source.read_text() == "bin/dash"
    assert {"agnhost", "localhost.crt", "lib/x86_64-linux-gnu/libdns-9.18.0-1-Debian.so"} < set(files)
    assert not any("etcd" in path for path in files)


def test_what_they_run_is_what_the_specs_expect(made: dict[str, suite_images.Wanted], tmp_path: Path) -> None:
    written = {item.image.name: item for item in suite_images.write(made.values(), tmp_path)}
    assert set(written) == {f"{HOME}/{name}" for name in made}
    assert _config(tmp_path, written[f"{HOME}/agnhost:2.21"])["Entrypoint"] == ["/agnhost"]
    assert _config(tmp_path, written[f"{HOME}/agnhost:2.21"])["Cmd"] == ["pause"]
    # A pod's args alone are a whole command there.
    assert _config(tmp_path, written[f"{HOME}/busybox:1.29"])["Entrypoint"] == []
    assert _config(tmp_path, written[f"{HOME}/nonroot:1.0"])["User"] == "1234"
    nnp = next(entry for entry in made["nonewprivs:1.0"].entries if entry.path == "usr/local/bin/nnp")
    assert nnp.mode & 0o4000  # what it must not gain
    picture = {entry.path: entry.source for entry in made["nautilus:1.0"].entries}["data.json"]
    assert isinstance(picture, bytes)
    assert json.loads(picture) == {"image": "nautilus.jpg"}


def test_the_file_of_registries_names_one_repository() -> None:
    assert yaml.safe_load(suite_images.repositories()) == dict.fromkeys(suite_images.REGISTRIES, HOME)


def test_its_inputs_are_not_the_releases() -> None:
    assert suite.inputs()["files"] != release_debian.inputs()["files"]


def _config(folder: Path, item: release.ReleaseImage) -> dict[str, Any]:
    with tarfile.open(folder / item.file) as tar:
        names = [name for name in tar.getnames() if name.endswith(".json") and name != "manifest.json"]
        file = tar.extractfile(names[0])
        assert file is not None
        found: dict[str, Any] = json.load(file)["config"]
    return found
