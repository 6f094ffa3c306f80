"""Image archives: written the same every time, read as kubeadm names them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from nodisk.assets.docker_archive import Archive, Config, Entry, read, write
from nodisk.errors import IntegrityError

NAME = "registry.k8s.io/pause:3.10"


def make(folder: Path, target: str = "image.tar") -> tuple[Path, int]:
    folder.mkdir(exist_ok=True)
    (folder / "pause").write_bytes(b"\x7fELF pause")
    entries = [
        Entry("usr/local/bin/pause", folder / "pause"),
        Entry("bin/pause", link="/usr/local/bin/pause"),
        Entry("etc/passwd", b"root:x:0:0::/:\n", mode=0o644),
        Entry("tmp/.keep", b"", mode=0o644),
    ]
    config = Config(("/usr/local/bin/pause",), {"PATH": "/usr/local/bin"}, user="1:1", port=8080, stop_signal="SIGKILL")
    size = write(folder / target, name=NAME, entries=entries, config=config, work=folder)
    return folder / target, size


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    first, _ = make(tmp_path / "a")
    second, _ = make(tmp_path / "b", "other.tar")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_written_is_what_docker_reads(tmp_path: Path) -> None:
    path, size = make(tmp_path)
    with tarfile.open(path) as tar:
        (image,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = tar.extractfile(image["Config"]).read()  # type: ignore[union-attr]
        layer = tar.extractfile(image["Layers"][0]).read()  # type: ignore[union-attr]
    assert image["RepoTags"] == [NAME]
    assert image["Config"] == hashlib.sha256(config).hexdigest() + ".json"
    told = json.loads(config)
    assert told["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    assert told["config"] == {
        "Entrypoint": ["/usr/local/bin/pause"],
        "Env": ["PATH=/usr/local/bin"],
        "ExposedPorts": {"8080/tcp": {}},
        "StopSignal": "SIGKILL",
        "User": "1:1",
    }
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = {member.name: (member.mode, member.type, member.linkname) for member in tar}
        assert all((m.uid, m.gid, m.mtime) == (0, 0, 0) for m in tar)
    assert found["usr/local/bin/pause"] == (0o755, tarfile.REGTYPE, "")
    assert found["bin/pause"] == (0o777, tarfile.SYMTYPE, "/usr/local/bin/pause")
    assert found["tmp"][0] == 0o1777
    assert list(found)[:4] == ["bin", "etc", "tmp", "usr"]
    assert size == len(b"\x7fELF pause") + len(b"root:x:0:0::/:\n")


def test_names_and_size_are_read_back(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    archive = read(path)
    assert archive.names == (NAME,)
    assert archive.unpacked > 0


def test_an_oci_archive_is_read_too(tmp_path: Path) -> None:
    layer = b"\x1f\x8b" + b"z" * 98
    blobs = {"layer": layer}
    blobs["manifest"] = json.dumps({"layers": [{"digest": digest(layer), "size": len(layer)}]}).encode()
    index = {
        "manifests": [
            {
                "digest": digest(blobs["manifest"]),
                "annotations": {"org.opencontainers.image.ref.name": "registry.k8s.io/coredns/coredns:v1.12.0"},
            }
        ]
    }
    path = tmp_path / "oci.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "index.json", json.dumps(index).encode())
        for blob in blobs.values():
            add(tar, "blobs/" + digest(blob).replace(":", "/"), blob)
    assert read(path) == Archive(("registry.k8s.io/coredns/coredns:v1.12.0",), 300)


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\0" * 10240])
def test_what_is_no_archive_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=str(path)):
        read(path)


def test_a_cut_archive_and_one_without_its_layer_are_refused(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1500])
    with pytest.raises(IntegrityError, match=str(path)):
        read(path)
    with tarfile.open(path, "w") as tar:
        add(
            tar,
            "manifest.json",
            json.dumps([{"Config": "c", "RepoTags": [NAME], "Layers": ["gone/layer.tar"]}]).encode(),
        )
    with pytest.raises(IntegrityError, match=r"gone/layer\.tar"):
        read(path)


def digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
