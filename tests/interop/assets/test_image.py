"""The node image as it was built: its modules are whole, and Ignition finds names before resolv.conf is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import assets
from tests.support.waits import until

from nodisk import node, run
from nodisk.assets import kernel_modules, nic_drivers
from nodisk.assets.nic_drivers import Driver
from nodisk.assets.store import Manifest, Store
from nodisk.plan import containers, system
from nodisk.plan.documents import file
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.load import parse
from nodisk.spec.model_os import Kernel
from nodisk.values import KubeVersion

pytestmark = pytest.mark.interop

GENERIC = [pytest.param("generic", marks=pytest.mark.apart)]
"""The image of real PCs: twice as large, and nothing else in `make test` needs it."""


@pytest.fixture(scope="module", params=["cloud", *GENERIC])
def image(request: pytest.FixtureRequest) -> tuple[Store, Manifest]:
    """The image of the VM tests' lab, and the one that real PCs boot; built if the store has none."""
    return assets.image(Kernel(request.param))


@pytest.fixture(scope="module")
def initramfs(image: tuple[Store, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The initramfs, unpacked."""
    store, manifest = image
    folder = tmp_path_factory.mktemp("initramfs")
    packed = store.path(manifest.file("initramfs"))
    unpacked = subprocess.run(["zstd", "-dcq", packed], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], cwd=folder, input=unpacked, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def root(image: tuple[Store, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel's modules in the root."""
    store, manifest = image
    folder = tmp_path_factory.mktemp("root") / "root"
    packed = store.path(manifest.file("root.squashfs"))
    argv = ["unsquashfs", "-quiet", "-no-progress", "-dest", str(folder), str(packed), "usr/lib/modules"]
    subprocess.run(argv, check=True, capture_output=True)
    return folder


def direct(module: Path) -> set[str]:
    """What a module says itself that it needs: the field ``depends`` of its ``.modinfo`` section."""
    data = module.read_bytes()
    if module.suffix == ".xz":
        data = subprocess.run(["xz", "-dc", module], check=True, capture_output=True).stdout
    found = [part.removeprefix(b"depends=") for part in data.split(b"\0") if part.startswith(b"depends=")]
    return {name.replace("-", "_") for part in found for name in part.decode().split(",") if name}


def modules(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*.ko*") if path.is_file())


def builtin(folder: Path) -> set[str]:
    """What the kernel has without a module."""
    lists = [path.read_text(encoding="utf-8") for path in folder.rglob("modules.builtin")]
    return {kernel_modules.name(line) for text in lists for line in text.splitlines()}


@pytest.mark.parametrize("where", ["root", "initramfs"])
def test_every_module_has_what_it_needs(where: str, root: Path, initramfs: Path) -> None:
    folder = {"root": root, "initramfs": initramfs}[where]
    there = {kernel_modules.name(path.name): path for path in modules(folder)}
    assert "virtio_net" in there
    unmet = {name: direct(path) - there.keys() - builtin(folder) for name, path in there.items()}
    assert {name: needs for name, needs in unmet.items() if needs} == {}


def test_local_disks_can_be_mounted(root: Path) -> None:
    """The pages advise a mount unit for a room's disk: the file systems that such a disk has."""
    there = {kernel_modules.name(path.name) for path in modules(root)}
    assert {"ext4", "xfs", "btrfs", "vfat"} <= there | builtin(root)


def test_the_kernel_finds_modprobe_in_the_initramfs(initramfs: Path) -> None:
    for link in (initramfs / "sbin/modprobe", initramfs / "bin/modprobe"):
        assert link.is_symlink()
        assert link.resolve() == (initramfs / "bin/busybox").resolve()
        assert link.resolve().is_file()


def test_the_initramfs_has_what_busybox_can_load_and_is_small(image: tuple[Store, Manifest], initramfs: Path) -> None:
    """busybox' modprobe takes no compressed module. Whatever a program is linked with would have to be loaded too."""
    assert {path.suffix for path in modules(initramfs)} == {".ko"}
    assert {path.name for path in initramfs.rglob("lib*.so*")} <= {"libgcc_s.so.1"}  # that one dracut always adds
    if "cloud" in image[1].name:
        assert image[1].file("initramfs").size < 5_000_000


def test_the_initramfs_finds_a_driver_by_its_device(initramfs: Path) -> None:
    """By a pattern of the device, with what it depends on before it; ``-D`` only shows what would be loaded."""
    (there,) = (initramfs / "usr/lib/modules").iterdir()
    as_here = there.with_name(os.uname().release)
    as_here.symlink_to(there.name)
    try:
        words: list[str | Path] = ["chroot", initramfs, "/sbin/modprobe", "-a", "-D", "virtio:d00000001v00001AF4"]
        found = run.run(words).stdout
    finally:
        as_here.unlink()
    assert [kernel_modules.name(line) for line in found.splitlines()] == ["failover", "net_failover", "virtio_net"]


@pytest.fixture(scope="module")
def programs(image: tuple[Store, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole root."""
    store, manifest = image
    folder = tmp_path_factory.mktemp("programs") / "root"
    run.run(["unsquashfs", "-quiet", "-no-progress", "-dest", folder, store.path(manifest.file("root.squashfs"))])
    return folder


def is_elf(path: Path) -> bool:
    if not path.is_file() or path.is_symlink() or ".ko" in path.name:
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def test_every_program_has_its_libraries(programs: Path) -> None:
    """Some libraries are left out of the image. (systemd's own are in a folder that only its programs name.)"""
    files = [path for path in programs.rglob("*") if is_elf(path)]
    assert len(files) > 300
    names = {path.name for path in files} | {path.name for path in programs.rglob("*.so*") if path.is_symlink()}
    words: list[str | Path] = ["chroot", programs, "/usr/bin/ldd", *(str(path.relative_to(programs)) for path in files)]
    program, missing = "", []
    for line in run.run(words, check=False, env={"LC_ALL": "C"}).stdout.splitlines():
        if not line.startswith("\t"):
            program = line
        elif "not found" in line and line.split()[0] not in names:
            missing.append(f"{program} {line.strip()}")
    assert missing == []


def test_the_node_s_two_programs_are_one(programs: Path) -> None:
    kubelet, proxy = (programs / "usr/bin" / name for name in ("kubelet", "kube-proxy"))
    assert kubelet.samefile(proxy)
    for name, word in (("kubelet", "Kubernetes"), ("kube-proxy", "Kubernetes")):
        assert run.run(["chroot", programs, f"/usr/bin/{name}", "--version"]).stdout.startswith(f"{word} v1.20.2")
    assert not (programs / "usr/bin/ctr").exists()


def test_each_missing_network_driver_is_named_with_the_reason(image: tuple[Store, Manifest], root: Path) -> None:
    missing = image[1].facts["missing_network_drivers"]
    there = {kernel_modules.name(path.name) for path in modules(root)}
    assert set(missing).isdisjoint(there)
    assert all(missing.values())
    assert {"virtio_net", "vmxnet3", "ena", "hv_netvsc"} <= there


@pytest.fixture(scope="module")
def drivers(image: tuple[Store, Manifest]) -> list[Driver]:
    """The image's own list of them, made of what they say and of Debian's index of firmware."""
    store, manifest = image
    return nic_drivers.loads(store.path(manifest.file(nic_drivers.FILE)).read_text(encoding="utf-8"))


@pytest.mark.parametrize("image", GENERIC, indirect=True)
def test_pcs_cards_have_their_drivers_from_the_start(drivers: list[Driver], initramfs: Path) -> None:
    wanted = {driver.name for driver in drivers if not driver.left_out}
    assert {"e1000", "e1000e", "igb", "8139cp", "pcnet32", "tulip", "r8169", "r8152", "tg3"} <= wanted
    assert wanted - {kernel_modules.name(path.name) for path in modules(initramfs)} == set()


@pytest.mark.parametrize("image", GENERIC, indirect=True)
def test_the_package_of_a_cards_firmware_is_named(drivers: list[Driver]) -> None:
    (realtek,) = nic_drivers.drivers_of("pci:10ec:8168", drivers)
    assert (realtek.name, realtek.packages) == ("r8169", ("firmware-realtek",))
    (intel,) = nic_drivers.drivers_of("pci:8086:100e", drivers)
    assert (intel.name, dict(intel.lacks)) == ("e1000", {})
    assert {driver.left_out for driver in drivers if driver.name == "iwlwifi"} == {"a node has no radio"}


LAB = """\
name: room
network: {subnet: 10.99.0.0/24, server: 10.99.0.1}
machines: [{name: cp1, mac: "52:54:00:99:00:21", address: 10.99.0.21, role: control-plane}]
"""
SERVED = {
    "/motd": "Be quiet.\n",
    "/more.ign": json.dumps({"ignition": {"version": "3.3.0"}, "storage": {"files": [file("/etc/merged", "yes\n")]}}),
}
WEB = """\
import http.server, json, sys
served = json.loads(sys.argv[1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = served[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("10.99.0.1", 80), Handler).serve_forever()
"""
# The initramfs' own function in the built root, on a RAM disk; what it asks for by name is in the namespace.
APPLY = """\
set -e
mount -t tmpfs tmpfs {work}
mkdir {work}/lower {work}/upper {work}/work {work}/root
mount -t squashfs -o loop,ro {squashfs} {work}/lower
mount -t overlay -o lowerdir={work}/lower,upperdir={work}/upper,workdir={work}/work root {work}/root
mount -t tmpfs run /run
mkdir -p /run/nodisk/ignition
cat >/run/nodisk/ignition/user.ign
mac=52:54:00:99:00:21 server=http://10.99.0.1
{functions}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
apply_config
cd {work}/root/etc
export PATH={work}/root/usr/bin
cat remote-a.conf app/remote-b.conf zz-remote.conf merged resolv.conf
"""


@pytest.fixture
def names() -> Iterator[str]:
    """A namespace in which the lab's server answers DNS, and the room's file server HTTP."""
    name = f"ign{os.getpid()}"
    run.run(["ip", "netns", "add", name])
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        run.run(["ip", "-n", name, "link", "set", "lo", "up"])
        run.run(["ip", "-n", name, "address", "add", "10.99.0.1/24", "dev", "lo"])
        dns = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="]
        dns += ["--listen-address=10.99.0.1", "--bind-interfaces", "--address=/files.room.example/10.99.0.1"]
        for words in (dns, [sys.executable, "-c", WEB, json.dumps(SERVED)]):
            daemons.append(run.start(words, log_file=Path(os.devnull), netns=name))

        def bound() -> set[str]:
            listed = run.run(["ss", "-Hlnt"], netns=name).stdout.splitlines()
            return {line.split()[3].removeprefix("10.99.0.1") for line in listed}

        until(lambda: {":53", ":80"} <= bound(), why=lambda: f"listening: {bound()}")
        yield name
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        run.run(["ip", "netns", "del", name], check=False)


def test_snippets_may_fetch_by_name_whatever_the_order(
    names: str, image: tuple[Store, Manifest], tmp_path: Path
) -> None:
    lab = parse(LAB, file=Path("lab.yaml"))
    remote = {"source": "http://files.room.example/motd"}
    config = {
        "ignition": {"version": "3.3.0", "config": {"merge": [{"source": "http://files.room.example/more.ign"}]}},
        "storage": {
            "files": [
                {"path": "/etc/remote-a.conf", "contents": remote},
                {"path": "/etc/app/remote-b.conf", "contents": remote},
                file("/etc/resolv.conf", system.resolv_conf(lab)),
                {"path": "/etc/zz-remote.conf", "contents": remote},
            ]
        },
    }
    store, manifest = image
    functions = (node.DRACUT / "init").read_text(encoding="utf-8").partition("# ---- in order")[0]
    script = APPLY.format(
        work=tmp_path,
        squashfs=store.path(manifest.file("root.squashfs")),
        functions=functions.replace("/sysroot", f"{tmp_path}/root"),
    )
    words = ["unshare", "--mount", "sh", "-c", script]
    done = run.run(words, netns=names, stdin=json.dumps(config), timeout=200)
    # What the machine keeps is lab.yaml's own, not what Ignition was helped with.
    assert done.stdout == "Be quiet.\n" * 3 + "yes\n" + system.resolv_conf(lab)


def settings_of(program: list[str | Path], version: str) -> dict[str, Any]:
    """containerd's plugins as it has them from what a machine gets, its own defaults included."""
    asset = AssetRef("none", "0" * 64, 1)
    pause = ContainerImage.of("registry.k8s.io/pause:3.10", 1)
    facts = Facts(
        ca_pem="",
        image=ImageFacts(asset, asset, asset, "6.12", 1, version),
        cluster=ReleaseFacts(KubeVersion(1, 36, 2), "upstream", (pause,), asset),
    )
    config = containers.containerd_config(facts)
    read = tomllib.loads(run.run([*program, "--config", "/dev/stdin", "config", "dump"], stdin=config).stdout)
    assert read["disabled_plugins"] == tomllib.loads(config)["disabled_plugins"]
    found: dict[str, Any] = read["plugins"]
    return found


def test_the_image_s_containerd_reads_its_configuration(image: tuple[Store, Manifest], tmp_path: Path) -> None:
    """A key that it doesn't know it ignores without a word."""
    store, manifest = image
    packed, unpacked = store.path(manifest.file("root.squashfs")), tmp_path / "root"
    argv = ["unsquashfs", "-quiet", "-no-progress", "-dest", str(unpacked), str(packed), "usr/bin/containerd"]
    subprocess.run(argv, check=True, capture_output=True)
    read = settings_of([unpacked / "usr/bin/containerd"], str(manifest.facts["containerd"]))
    cri = read["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    assert cri["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert cri["cni"]["bin_dir"] == containers.PLUGINS
    assert cri["cni"]["conf_dir"] == "/etc/cni/net.d"
    assert cri["containerd"]["discard_unpacked_layers"] is True
    runc = cri["containerd"]["runtimes"]["runc"]
    assert (runc["runtime_type"], runc["options"]["SystemdCgroup"]) == ("io.containerd.runc.v2", True)
    assert read["io.containerd.nri.v1.nri"]["disable"] is False
