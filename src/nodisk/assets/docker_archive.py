"""Container images in the format of ``docker save``: write them deterministically, and read their names and sizes.

The format: a tar with ``manifest.json`` (configuration, names, layers), the configuration (named by its hash) and a
tar for each layer. An OCI archive has ``index.json`` instead, and its blobs under ``blobs/sha256/``.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from nodisk.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an image: content from ``source`` (a path, or bytes), or a symbolic link."""

    path: str
    source: Path | bytes | None = None
    link: str | None = None
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Config:
    """The command that a container of the image runs."""

    entrypoint: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    port: int | None = None
    stop_signal: str | None = None
    """The signal that stops its first process (``SIGKILL``); None: SIGTERM."""
    command: tuple[str, ...] = ()
    """Words after the entry point, which a pod's ``args`` replace; without an entry point the whole command."""


def write(target: Path, *, name: str, entries: Sequence[Entry], config: Config, work: Path) -> int:
    """Write an image of one layer to ``target``; returns the bytes of its files. Equal arguments give equal bytes.

    ``work`` is a folder for the layer while it is made.
    """
    layer = work / f"{target.name}.layer"
    with tarfile.open(layer, "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in _folders(entries):
            tar.addfile(_info(folder, 0o1777 if folder == "tmp" else 0o755, tarfile.DIRTYPE))
        for entry in sorted(entries, key=lambda entry: entry.path):
            _add(tar, entry)
    with layer.open("rb") as file:
        layer_hash = hashlib.file_digest(file, "sha256").hexdigest()
    configuration = _configuration(config, layer_hash)
    config_name = hashlib.sha256(configuration).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{layer_hash}/layer.tar"]}]
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, Entry("manifest.json", _canonical(manifest), mode=0o644))
        _add(tar, Entry(config_name, configuration, mode=0o644))
        _add(tar, Entry(f"{layer_hash}/layer.tar", layer, mode=0o644))
    layer.unlink()
    return sum(_size(entry) for entry in entries)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _configuration(config: Config, layer_hash: str) -> bytes:
    runtime: dict[str, Any] = {
        "Entrypoint": list(config.entrypoint),
        "Env": [f"{key}={value}" for key, value in sorted(config.env.items())],
    }
    if config.command:
        runtime["Cmd"] = list(config.command)
    if config.user:
        runtime["User"] = config.user
    if config.port is not None:
        runtime["ExposedPorts"] = {f"{config.port}/tcp": {}}
    if config.stop_signal is not None:
        runtime["StopSignal"] = config.stop_signal
    return _canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_hash}"]},
            "history": [{"created_by": "nodisk"}],
        }
    )


def _folders(entries: Sequence[Entry]) -> list[str]:
    parents = {str(parent) for entry in entries for parent in Path(entry.path).parents}
    return sorted(parents - {"."})


def _info(path: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.mtime, info.uid, info.gid = mode, kind, 0, 0, 0
    return info


def _size(entry: Entry) -> int:
    if isinstance(entry.source, Path):
        return entry.source.stat().st_size
    return len(entry.source or b"")


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    if entry.link is not None:
        info = _info(entry.path, 0o777, tarfile.SYMTYPE)
        info.linkname = entry.link
        tar.addfile(info)
        return
    info = _info(entry.path, entry.mode, tarfile.REGTYPE)
    info.size = _size(entry)
    if isinstance(entry.source, Path):
        with entry.source.open("rb") as file:
            tar.addfile(info, file)
    else:
        tar.addfile(info, io.BytesIO(entry.source or b""))


@dataclass(frozen=True, slots=True)
class Archive:
    """What an image archive says about itself."""

    names: tuple[str, ...]
    """As kubeadm prints them: ``registry.k8s.io/pause:3.10``."""
    unpacked: int
    """Bytes of its files, as far as the archive tells; for compressed layers, three times their size."""
    images: int = 1
    """The number of images in it; one image may have several names."""


_REF_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def read(path: Path) -> Archive:
    """Read a docker or OCI archive; raises IntegrityError with the reason if it is invalid."""
    try:
        with tarfile.open(path) as tar:
            members = {member.name.removeprefix("./"): member for member in tar}
            if "manifest.json" in members:
                return _read_docker(tar, members)
            if "index.json" in members:
                return _read_oci(tar, members)
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or ["it ends too early"])[0].rstrip(":")
        raise IntegrityError(f"{path} is not a readable image archive: {reason}") from error
    raise IntegrityError(f"{path} is not an image archive: it has neither manifest.json nor index.json")


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return json.load(file)


def _read_docker(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]) -> Archive:
    names: list[str] = []
    layers: set[str] = set()
    found = _json(tar, members["manifest.json"])
    for image in found:
        names += image.get("RepoTags") or []
        layers |= set(image["Layers"])
    missing = sorted(layer for layer in layers if layer not in members)
    if missing:
        raise ValueError(f"it lacks the layer {missing[0]}")
    return Archive(tuple(names), sum(_unpacked(tar, members[layer]) for layer in layers), len(found))


def _read_oci(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]) -> Archive:
    names: list[str] = []
    unpacked = 0
    found = _json(tar, members["index.json"])["manifests"]
    for descriptor in found:
        notes = descriptor.get("annotations") or {}
        names += [notes[key] for key in _REF_NAMES if key in notes and ":" in notes[key]][:1]
        manifest = _json(tar, members[_blob(descriptor)])
        if "manifests" in manifest:  # an index of platforms
            amd64 = [m for m in manifest["manifests"] if m.get("platform", {}).get("architecture") == "amd64"]
            manifest = _json(tar, members[_blob(amd64[0])])
        unpacked += sum(_unpacked(tar, members[_blob(layer)]) for layer in manifest["layers"])
    return Archive(tuple(names), unpacked, len(found))


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _unpacked(tar: tarfile.TarFile, layer: tarfile.TarInfo) -> int:
    if layer.issym() or layer.islnk():  # `docker save` links layers that images share
        return 0
    file: IO[bytes] | None = tar.extractfile(layer)
    if file is None:
        raise ValueError(f"{layer.name} is not a file")
    compressed = file.read(4)[:2] in (b"\x1f\x8b", b"\x28\xb5")  # gzip, zstd
    return layer.size * 3 if compressed else layer.size
