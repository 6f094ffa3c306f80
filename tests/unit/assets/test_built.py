"""What others get of a build, and what `nodisk assets` says and removes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nodisk import files
from nodisk.assets import built
from nodisk.assets.mirror import Mirror, parse_index_targets
from nodisk.assets.prune import prune
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.commands.assets import assets
from nodisk.errors import EnvironmentProblem, IntegrityError, NoCluster
from nodisk.plan.facts import ContainerImage
from nodisk.records import running
from nodisk.spec.model import Lab
from nodisk.state import State


def lab(**parts: Any) -> Lab:
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
            **parts,
        }
    )


def add(state: State, kind: str, names: list[str], facts: dict[str, Any], number: int = 1) -> Manifest:
    store = Store(state)
    with store.workspace() as folder:
        content = {name: folder / name for name in names}
        for name, path in content.items():
            path.write_text(f"{kind} {name} {number}")
        inputs = {"kind": kind, "number": number}
        return store.add(kind, name=kind, version="1.36.1", inputs=inputs, content=content, facts=facts)


def everything(state: State, number: int = 1) -> dict[str, Manifest]:
    api = ReleaseImage(ContainerImage.of("registry.k8s.io/kube-apiserver:v1.36.1", 100), "api.tar")
    echo = ReleaseImage(ContainerImage.of("nodisk/echo:1", 2), "echo.tar")
    image = {"kernel_version": "6.12.0", "rootfs_unpacked": 9, "containerd": "1.7.24"}
    return {
        "image": add(state, "image", ["vmlinuz", "initramfs", "root.squashfs"], image, number),
        "release": add(state, "release", ["kubectl", "kubeadm", "api.tar"], facts_to_json("path", [api]), number),
        "ipxe": add(state, "ipxe", ["undionly.kpxe", "ipxe.efi"], {}, number),
        "containers": add(state, "containers", ["echo.tar"], facts_to_json("nodisk", [echo]), number),
    }


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_before_a_build_the_error_names_the_command(state: State) -> None:
    for call in (built.facts, built.release_bin, built.image_archives, built.tftp_root):
        with pytest.raises(EnvironmentProblem, match="nothing is built yet for lab room") as caught:
            call(state, lab())
        assert caught.value.hint == "run: nodisk build"


def test_after_a_build_everyone_finds_their_part(state: State) -> None:
    made = everything(state)
    built.record(state, lab(), made, why="because")
    image, release = built.facts(state, lab())
    assert release is not None
    assert image.rootfs == made["image"].file("root.squashfs")
    assert (image.kernel_version, image.containerd, image.rootfs_unpacked) == ("6.12.0", "1.7.24", 9)
    assert (str(release.version), release.source, release.has_dns) == ("1.36.1", "path", False)
    assert sorted(path.name for path in built.release_bin(state, lab()).iterdir()) == ["kubeadm", "kubectl"]
    assert [(image.name, path.read_text()) for image, path in built.image_archives(state, lab())] == [
        ("registry.k8s.io/kube-apiserver:v1.36.1", "release api.tar 1"),
        ("nodisk/echo:1", "containers echo.tar 1"),
    ]
    assert sorted(path.name for path in built.tftp_root(state, lab()).iterdir()) == ["ipxe.efi", "undionly.kpxe"]
    assert built.why(state, lab()) == "because"


def test_a_lab_yaml_that_asks_for_something_else_wants_another_build(state: State) -> None:
    built.record(state, lab(), everything(state), why="")
    assert built.facts(state, lab(ssh_keys=["ssh-ed25519 AAAA"]))
    for changed in (lab(os={"kernel": "cloud"}), lab(kubernetes={"source": "debian"})):
        with pytest.raises(EnvironmentProblem, match="a different release or image"):
            built.facts(state, changed)
    before = [built.release_before(state, one) for one in (lab(), lab(os={"kernel": "cloud"}), lab(name="other"))]
    assert [one and (str(one.version), one.source, one.asked) for one in before] == [
        ("1.36.1", "path", True),
        ("1.36.1", "path", True),
        None,
    ]
    other = built.release_before(state, lab(kubernetes={"source": "debian"}))
    assert other is not None
    assert not other.asked


def test_a_lab_without_a_cluster_needs_no_release(state: State) -> None:
    plain = lab(kubernetes={"engine": "none"})
    made = everything(state)
    built.record(state, plain, {kind: made[kind] for kind in built.PLAIN_KINDS}, why="no Kubernetes")
    image, release = built.facts(state, plain)
    assert (image.rootfs, release) == (made["image"].file("root.squashfs"), None)
    assert built.image_archives(state, plain) == []
    assert built.release_before(state, plain) is None
    for call in (built.release_bin, built.release_facts):
        with pytest.raises(NoCluster, match="room has no cluster"):
            call(state, plain)
    with pytest.raises(EnvironmentProblem, match="asks for a different release or image"):
        built.facts(state, lab())


def test_add_ons_are_recorded_where_there_are_any(state: State) -> None:
    made = everything(state)
    built.record(state, lab(), made, why="")
    assert built.addon_files(state, lab()) == []
    node = ReleaseImage(ContainerImage.of("quay.io/calico/node:v3", 5), "node.tar")
    facts = facts_to_json("addons", [node], manifests=[{"name": "calico", "file": "calico.yaml"}])
    made["addons"] = add(state, "addons", ["calico.yaml", "node.tar"], facts)
    room = lab(kubernetes={"network": "calico"})
    with pytest.raises(EnvironmentProblem, match="a different release or image"):
        built.manifests(state, room)
    built.record(state, room, made, why="")
    assert [(name, path.read_text()) for name, path in built.addon_files(state, room)] == [
        ("calico", "addons calico.yaml 1")
    ]
    assert ("calico/node", "v3") in {(image.repository, image.tag) for image, _ in built.image_archives(state, room)}
    assert made["addons"].id in built.used(state)
    assert built.addon_files(state, lab(name="never-built")) == []


def test_a_store_that_lost_a_file_says_what_is_lost(state: State) -> None:
    made = everything(state)
    built.record(state, lab(), made, why="")
    Store(state).path(made["image"].file("vmlinuz")).unlink()
    with pytest.raises(EnvironmentProblem, match="built assets are missing from the store: image"):
        built.facts(state, lab())


def test_prune_keeps_what_any_lab_uses_and_frees_the_rest(state: State) -> None:
    kept, lost = everything(state, 1), everything(state, 2)
    built.record(state, lab(), kept, why="")
    built.release_bin(state, lab())
    (state.cache / "downloads").mkdir(parents=True)
    (state.cache / "downloads" / "x.part").write_bytes(b"12345")
    would = prune(state, dry_run=True)
    assert set(would.removed) == {*(manifest.id for manifest in lost.values()), "cache/downloads"}
    assert len(Store(state).manifests()) == 8
    done = prune(state, dry_run=False)
    assert done == would
    assert done.size == 5 + sum(manifest.size for manifest in lost.values())
    assert {manifest.id for manifest in Store(state).manifests()} == {manifest.id for manifest in kept.values()}
    assert built.facts(state, lab())
    assert built.release_bin(state, lab()).is_dir()
    assert len(list((state.assets / "objects").iterdir())) == sum(len(manifest.files) for manifest in kept.values())
    assert prune(state, dry_run=False).removed == ()


def test_prune_spares_what_a_server_of_before_the_build_still_reads(state: State) -> None:
    """`build --refresh` makes an asset of the same key with other files; the server knows the old ones."""
    made = everything(state)
    old = made["image"].file("root.squashfs").sha256
    run = state.lab("room").run
    run.mkdir(parents=True)
    with files.lock(run / running.LOCK, "the server"):
        running.announce(state.lab("room"), running.Ready(os.getpid(), 0.0, "", "", (old,), {}))
        built.record(state, lab(), {**made, "image": everything(state, 2)["image"]}, why="")
        arguments = ["prune", "--state", str(state.root)]
        assert CliRunner().invoke(assets, arguments).exit_code == 0
        kept = (state.assets / "objects" / old).exists()
    assert kept
    assert not (state.assets / "objects" / made["image"].file("vmlinuz").sha256).exists()
    assert CliRunner().invoke(assets, arguments).exit_code == 0
    assert not (state.assets / "objects" / old).exists()


def test_list_has_a_stable_json_and_verify_finds_damage(state: State) -> None:
    made = everything(state)
    built.record(state, lab(), made, why="")
    run = CliRunner()
    told = json.loads(run.invoke(assets, ["list", "--state", str(state.root), "-o", "json"]).stdout)
    assert {item["kind"]: item["used"] for item in told["assets"]} == dict.fromkeys(built.KINDS, True)
    assert set(told["assets"][0]) >= {
        "kind",
        "name",
        "version",
        "key",
        "made",
        "size",
        "files",
        "inputs",
        "facts",
        "used",
    }
    fine = run.invoke(assets, ["verify", "--state", str(state.root)])
    assert fine.exit_code == 0
    assert fine.output.count(" ok") == 4
    path = Store(state).path(made["image"].file("root.squashfs"))
    path.chmod(0o644)
    path.write_text("image root.squashfs X")
    hurt = run.invoke(assets, ["verify", "--state", str(state.root), "-o", "json"])
    assert isinstance(hurt.exception, IntegrityError)
    assert list(json.loads(hurt.stdout)["damaged"]) == [made["image"].id]


def test_the_hosts_own_mirror_is_found_among_others() -> None:
    text = """\
Google|cloud|https://packages.example/apt/|Packages
Debian|Debian|http://mirror.example/debian/|Packages
Debian|Debian|http://other.example/debian/|Packages
Debian|Debian-Security|http://mirror.example/debian-security/|Packages
"""
    found = parse_index_targets(text)
    assert found == Mirror("http://mirror.example/debian/", "http://mirror.example/debian-security/")
    assert parse_index_targets("Ubuntu|Ubuntu|http://u.example/|Packages\n\nx\n") is None
    assert found.sources("trixie") == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/debian-security/ trixie-security main",
    ]
    assert found.sources("sid", components=["main", "non-free-firmware"], source=True) == [
        "deb http://mirror.example/debian/ sid main non-free-firmware",
        "deb-src http://mirror.example/debian/ sid main non-free-firmware",
    ]
