"""What the server uses from the store: the plan's facts, iPXE's binaries, images for the registry."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodisk import files
from nodisk.assets import built, holds
from nodisk.assets.holds import Build, Live
from nodisk.assets.store import Store
from nodisk.errors import EnvironmentProblem
from nodisk.plan import daemons_files, grub, ignition
from nodisk.plan.daemons import Host
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.records import virtual_lab
from nodisk.server.texts import Config, Held, Texts
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState
from nodisk.values import Mac


@dataclass(frozen=True, slots=True)
class Built:
    """The lab's assets in the store."""

    image: ImageFacts
    release: ReleaseFacts | None
    """None: the machines are plain Debian."""
    ipxe: Path
    """The folder with iPXE's binaries."""
    container_images: tuple[tuple[ContainerImage, Path], ...]
    release_bin: Path | None
    """The folder with kubectl and perhaps etcd; None without a release."""
    kubectl: AssetRef | None = None
    """For students, where the release brings one."""
    signed: Mapping[str, Path] = field(default_factory=dict)
    """shim and GRUB by name, for a lab with machines whose Secure Boot is on."""
    masked: tuple[str, ...] = ()
    """Units that are disabled on the machines: see ``Facts``."""
    emulated: bool = False
    """See ``Facts``."""
    held: Mapping[str, Build] = field(default_factory=dict)
    """By key, the builds at which machines may be held."""
    held_at: Callable[[Mac], str | None] = lambda _: None
    """Which of them a machine boots now."""

    @property
    def objects(self) -> list[str]:
        """Names of the store's folders that this server keeps reading, whatever is built in the meantime."""
        parts = (self.image.kernel, self.image.initramfs, self.image.rootfs, self.image.chunks)
        boot = [part for part in parts if part is not None]
        kubeadm = (self.release.kubeadm,) if self.release is not None else ()
        programs = (*kubeadm, self.kubectl) if self.kubectl is not None else kubeadm
        return sorted(
            {
                *(ref.sha256 for ref in (*boot, *programs)),
                *(archive.parent.name for _, archive in self.container_images),
                *(ref.sha256 for one in self.held.values() for made in one.manifests.values() for ref in made.files),
            }
        )

    @property
    def uefi(self) -> str:
        """iPXE's binary for UEFI: not every Debian has the one that uses the firmware's own driver."""
        return "snponly.efi" if (self.ipxe / "snponly.efi").exists() else "ipxe.efi"


def find(state: LabState, lab: Lab) -> Built:
    """What ``nodisk build`` made for this lab, and the builds at which machines are held.

    The errors that it raises say what is missing; a held build that lacks a file, as after a restore on another host,
    gives way to the current one. A container image that both builds have by one name is the current
    one's: a tag leads to one image.
    """
    image, release = built.facts(state.state, lab)
    made = built.manifests(state.state, lab)
    store = Store(state.state)
    held = {key: one for key, one in holds.read(state).builds.items() if not one.lost(store)}
    images = {archive[0].name: archive for one in held.values() for archive in one.archives(store)}
    images |= {archive[0].name: archive for archive in built.image_archives(state.state, lab)}
    of_release = {ref.name: ref for ref in made["release"].files} if "release" in made else {}
    return Built(
        image,
        release,
        built.tftp_root(state.state, lab),
        tuple(images.values()),
        built.release_bin(state.state, lab) if lab.has_cluster else None,
        of_release.get("kubectl"),
        built.signed_loaders(state.state, lab),
        masked(state),
        virtual_lab.emulated(state),
        held,
        Live(state).of,
    )


def masked(state: LabState) -> tuple[str, ...]:
    """Units that are disabled on the lab's machines."""
    return tuple(state.bench.read_text(encoding="utf-8").split()) if state.bench.exists() else ()


def facts_now(lab: Lab, state: LabState, machine: Machine, ca_pem: str) -> Facts:
    """What a server that starts now would render a machine's texts with; raises EnvironmentProblem before a build."""
    held = holds.read(state).of(machine.mac)
    made = built.facts(state.state, lab) if held is None else held.facts
    return Facts(ca_pem, *made, masked(state), virtual_lab.emulated(state))


def texts(lab: Lab, found: Built, ca_pem: str, host: Host) -> Texts:
    """Everything that machines get; raises SpecError for mistakes in Butane snippets."""
    facts = Facts(ca_pem, found.image, found.release, found.masked, found.emulated)
    held = {}
    for key, build in found.held.items():
        of_build = Facts(ca_pem, *build.facts, found.masked, found.emulated)
        held[key] = Held(of_build, _ignitions(lab, of_build))
    return Texts(
        lab,
        facts,
        _ignitions(lab, facts),
        daemons_files.configure(lab, host),
        found.kubectl,
        held,
        found.held_at,
    )


def _ignitions(lab: Lab, facts: Facts) -> dict[Mac, Config]:
    return {machine.mac: Config.of(ignition.render(lab, facts, machine)) for machine in lab.machines}


def publish_loaders(found: Built, target: Path, grub_entry: str) -> None:
    """Make ``target`` hold what firmware loads and nothing else: what TFTP serves belongs to this lab alone.

    That is copies of iPXE's programs and, where the lab uses them, shim, GRUB and the configuration that GRUB looks for
    on the server that it came from.
    """
    programs = {path.name: path for path in found.ipxe.iterdir() if path.is_file()}
    if not programs:
        raise EnvironmentProblem(f"{found.ipxe} contains no iPXE program", hint="nodisk build --refresh")
    wanted: dict[str, bytes] = {name: path.read_bytes() for name, path in {**programs, **found.signed}.items()}
    if found.signed:
        wanted[grub.ENTRY] = grub_entry.encode()
    for folder in (target, *((target / name).parent for name in wanted)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    for old in target.iterdir():
        if old.name not in {name.partition("/")[0] for name in wanted}:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name, content in wanted.items():
        files.write(target / name, content, mode=0o644)
