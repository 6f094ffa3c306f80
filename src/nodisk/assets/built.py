"""What ``nodisk build`` made for a lab, for everything that follows. It only reads the store."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.assets import addons, image_debian, ipxe, mirrored, previous, release, shim, terminal_image
from nodisk.assets.store import Manifest, Store
from nodisk.context import with_own_key
from nodisk.errors import EnvironmentProblem, IntegrityError, NoCluster, NodiskError
from nodisk.plan.facts import ContainerImage, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import PodNetwork, Policies
from nodisk.state import LabState, State
from nodisk.values import KubeVersion

PLAIN_KINDS = ("image", "ipxe")
"""What every lab needs."""
KINDS = ("image", "release", "ipxe", "containers")
"""What every lab with a cluster needs."""
SOMETIMES = (addons.KIND, shim.KIND, terminal_image.KIND)
"""For those whose network needs something in the cluster; for those with machines whose Secure Boot is on; students'
terminals, for those that were built since nodisk has them."""


@dataclass(frozen=True, slots=True)
class Before:
    """The release of a lab's last build, whether or not the store still has it."""

    version: KubeVersion
    source: str
    """upstream, debian or path."""
    asked: bool
    """Whether lab.yaml still asks for the same release, whatever it says about the image."""


def wishes(lab: Lab) -> dict[str, Any]:
    """The parts of lab.yaml that decide what is built."""
    deciding = {"source", "version", "path"} if lab.has_cluster else {"engine"}
    kubernetes = lab.kubernetes.model_dump(mode="json", include=deciding)
    found: dict[str, Any] = {"kubernetes": kubernetes, "os": lab.os.model_dump(mode="json", exclude={"mirror"})}
    if lab.kubernetes.network is not PodNetwork.ROUTED:
        manifest = lab.kubernetes.network_manifest
        found["network"] = [str(lab.kubernetes.network), manifest.sha256 if manifest else None]
    if lab.kubernetes.policies_manifest is not None:
        found["policies"] = lab.kubernetes.policies_manifest.sha256
    elif lab.kubernetes.policies is Policies.CONTROLLER and lab.kubernetes.network is PodNetwork.ROUTED:
        found["policies"] = str(Policies.CONTROLLER)
    if lab.any_signed_loader:
        found["secure_boot"] = True
    if lab.peers is not None:
        found["peers"] = True
    return found


def record(state: State, lab: Lab, made: Mapping[str, Manifest], *, why: str) -> None:
    """Record what was built for this lab, and keep the build before. ``why``: how the source was chosen."""
    assets = {kind: made[kind].id for kind in (*KINDS, *SOMETIMES) if kind in made}
    value: dict[str, Any] = {"wishes": wishes(lab), "why": why, "assets": assets}
    if "release" in made:
        value["release"] = {"version": made["release"].version, "source": made["release"].facts["source"]}
    value[previous.MANIFESTS] = {kind: made[kind].to_json() for kind in assets}
    with contextlib.suppress(NodiskError):  # none yet, or a damaged one, which this one replaces
        if (before := previous.kept(_read(state, lab), value)) is not None:
            value[previous.BEFORE] = before
    files.write(_file(state, str(lab.name)), json.dumps(value, indent=1, sort_keys=True) + "\n")


def why(state: State, lab: Lab) -> str:
    """How the release's source was chosen, in one sentence."""
    return str(_read(state, lab)["why"])


def used(state: State) -> set[str]:
    """Ids of the assets that any lab of this host uses."""
    built = {asset for path in sorted(state.labs.glob("*/built.json")) for asset in _load(path)["assets"].values()}
    return built | mirrored.used(state)


def used_before(state: State) -> set[str]:
    """Names of the store's folders that the build before of any lab of this host needs (``nodisk rollback``)."""
    found = (previous.objects(_load(path)) for path in sorted(state.labs.glob("*/built.json")))
    return {name for names in found for name in names}


def read_record(state: State, lab: Lab) -> dict[str, Any]:
    """The record as it is; raises EnvironmentProblem if there is none."""
    return _read(state, lab)


def release_before(state: State, lab: Lab) -> Before | None:
    """The release of this lab's last build; None if there was none."""
    try:
        value = _read(state, lab)
    except EnvironmentProblem:
        return None
    asked = value["wishes"].get("kubernetes") == wishes(lab)["kubernetes"]
    if "release" not in value:
        return None  # the machines were plain Debian
    return Before(KubeVersion.parse(value["release"]["version"]), value["release"]["source"], asked)


def manifests(state: State, lab: Lab) -> dict[str, Manifest]:
    """The lab's assets by kind; raises EnvironmentProblem if they are not built, or not for this lab.yaml."""
    value = _read(state, lab)
    if value["wishes"] != wishes(lab):
        raise EnvironmentProblem(
            "lab.yaml asks for a different release or image than the one built", hint="run: nodisk build"
        )
    store = Store(state)
    needed = KINDS if lab.has_cluster else PLAIN_KINDS
    kinds = (*needed, *(kind for kind in SOMETIMES if kind in value["assets"]))
    made = {kind: store.read(value["assets"][kind]) for kind in kinds}
    whole = {kind: manifest for kind, manifest in made.items() if manifest is not None}
    if lost := sorted(set(made) - set(whole)):
        raise EnvironmentProblem(
            f"built assets are missing from the store: {', '.join(lost)}", hint="run: nodisk build"
        )
    return whole


def facts(state: State, lab: Lab) -> tuple[ImageFacts, ReleaseFacts | None]:
    """The public facts about the lab's image and release; no release where the machines are plain Debian."""
    made = manifests(state, lab)
    return image_debian.facts_of(made["image"]), release.facts_of(made["release"]) if "release" in made else None


def release_facts(state: State, lab: Lab) -> ReleaseFacts:
    """Those about the release; raises NoCluster for a lab that has none."""
    found = facts(state, lab)[1]
    if found is None:
        raise NoCluster(str(lab.name))
    return found


def release_bin(state: State, lab: Lab) -> Path:
    """A folder with the release's programs: kubectl, kubeadm, and if it has them kube-apiserver, etcd …

    Raises NoCluster for a lab that has none.
    """
    made = manifests(state, lab).get("release")
    if made is None:
        raise NoCluster(str(lab.name))
    return Store(state).tree(made, release.programs_of(made))


def image_archives(state: State, lab: Lab) -> list[tuple[ContainerImage, Path]]:
    """Every container image for the lab's registry, with its archive."""
    store, made = Store(state), manifests(state, lab)
    return [
        (item.image, store.path(made[kind].file(item.file)))
        for kind in ("release", "containers", addons.KIND, terminal_image.KIND)
        if kind in made
        for item in release.images_of(made[kind])
    ]


def addon_files(state: State, lab: Lab) -> list[tuple[str, Path]]:
    """The manifests that the lab's network needs in the cluster: name, and file in the store. None before a build."""
    if not _file(state, str(lab.name)).exists():
        return []
    found = manifests(state, lab).get(addons.KIND)
    if found is None:
        return []
    return [(one["name"], Store(state).path(found.file(one["file"]))) for one in found.facts["manifests"]]


def fingerprint(state: LabState, lab: Lab) -> str:
    """A digest of what a server that starts now would serve: the parsed lab.yaml, and what was built for it."""
    digest = hashlib.sha256(with_own_key(lab, state).model_dump_json().encode())
    with contextlib.suppress(NodiskError):
        for kind, made in sorted(manifests(state.state, lab).items()):
            # Rebuilt from the same inputs, an asset has the same id and other files.
            files_ = [[one.name, one.sha256] for one in made.files]
            digest.update(json.dumps([kind, made.id, files_, made.facts], sort_keys=True).encode())
    return digest.hexdigest()


def cluster(state: State, lab: Lab) -> list[str]:
    """The pod network, the release and who is to enforce policies: what another cluster's pods experienced proves
    nothing here."""
    before = None
    with contextlib.suppress(IntegrityError):  # of a build's record; others say so
        before = release_before(state, lab)
    by = Policies.SERVER if lab.server_enforces else Policies.CONTROLLER
    return [str(lab.kubernetes.network), str(before.version) if before else "", str(by)]


def tftp_root(state: State, lab: Lab) -> Path:
    """A folder with iPXE's binaries (undionly.kpxe, ipxe.efi, perhaps snponly.efi) for dnsmasq's TFTP."""
    return ipxe.tftp_root(Store(state), manifests(state, lab)["ipxe"])


def signed_loaders(state: State, lab: Lab) -> dict[str, Path]:
    """shim and GRUB by the names under which they are served; empty for a lab that has no use for them."""
    made = manifests(state, lab).get(shim.KIND)
    return {ref.name: Store(state).path(ref) for ref in made.files} if made else {}


def _file(state: State, name: str) -> Path:
    return state.lab(name).built


def _read(state: State, lab: Lab) -> dict[str, Any]:
    try:
        return _load(_file(state, str(lab.name)))
    except FileNotFoundError as error:
        raise EnvironmentProblem(f"nothing is built yet for lab {lab.name}", hint="run: nodisk build") from error


def _load(path: Path) -> dict[str, Any]:
    """Read a record; raises IntegrityError if it is damaged: its assets must be neither guessed nor pruned."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        texts = [value["why"], *(value["assets"][kind] for kind in PLAIN_KINDS), *value["assets"].values()]
        if "release" in value["assets"]:
            texts += [value["release"]["source"], str(KubeVersion.parse(value["release"]["version"]))]
        if not isinstance(value["wishes"], dict) or not all(isinstance(text, str) for text in texts):
            raise TypeError("a value is of another kind")
        if set(value[previous.MANIFESTS]) != set(value["assets"]):
            raise ValueError("its manifests are of other assets")
        for build in (value, *([value[previous.BEFORE]] if previous.BEFORE in value else [])):
            previous.manifests(build)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{path} is not a valid build record: {type(error).__name__}: {error}",
            hint=f"remove it and rebuild: rm {path} && nodisk build",
        ) from error
    return value
