"""Rules for lab.yaml's ``kubernetes:``: which release, from where, and what its network and policies need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodisk.spec import versions
from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Isolation, PodNetwork, Policies, Source
from nodisk.yamltree import Path


def release(lab: Lab) -> Iterator[Finding]:
    """The source can provide that version, and nodisk supports it."""
    kube = lab.kubernetes
    path: Path = ("kubernetes", "version")
    if kube.source is Source.DEBIAN and kube.version is not None and not versions.is_debian(kube.version):
        text = f"Debian's source gives only {versions.DEBIAN}, not {kube.version}"
        hint = f"`version: {versions.DEBIAN}`, or `source: upstream`"
        yield Finding(path, text, hint, about=(("kubernetes", "source"),))
    elif kube.version is not None and not versions.known(kube.version):
        text = f"this nodisk supports {versions.OLDEST} … {versions.NEWEST}, not {kube.version}"
        yield Finding(path, text, "choose one of these")
    if kube.source is Source.PATH and kube.path is None:
        hint = "add `path:`, a folder with bin/ and images/"
        yield Finding(("kubernetes", "source"), "source: path needs a folder", hint, about=(("kubernetes", "path"),))
    if kube.path is not None and kube.source is not Source.PATH:
        text = f"`path` has no effect with source: {kube.source}"
        hint = "`source: path`, or remove it"
        yield Finding(("kubernetes", "path"), text, hint, about=(("kubernetes", "source"),))


def network(lab: Lab) -> Iterator[Finding]:
    """The pod network has a manifest if it needs one, and none where it would have no effect."""
    kube = lab.kubernetes
    path: Path = ("kubernetes", "network_manifest")
    kind: Path = ("kubernetes", "network")
    if kube.network_manifest is None and kube.network is PodNetwork.CILIUM:
        text = "cilium publishes no manifest, so you must provide one"
        hint = "`helm template` writes one; name it: `network_manifest: {path: cilium.yaml, sha256: …}`"
        yield Finding(kind, text, hint, about=(path,))
    if kube.network_manifest is not None and kube.network is PodNetwork.ROUTED:
        text = "a manifest for the pods' network means nothing with network: routed"
        hint = (
            "name its `network:`; one for the policies' controller is `policies_manifest:`; "
            "other manifests go into `addons:`"
        )
        yield Finding(path, text, hint, about=(kind,), key=True)
    yield from _policies(lab)
    for name, manifest in (("network_manifest", kube.network_manifest), ("policies_manifest", kube.policies_manifest)):
        if manifest is not None and not re.fullmatch(r"[0-9a-f]{64}", manifest.sha256):
            text = f"{manifest.sha256!r} is not a SHA-256 hash"
            hint = "64 digits 0-9 and a-f, as `sha256sum FILE` prints them"
            yield Finding(("kubernetes", name, "sha256"), text, hint)


def _policies(lab: Lab) -> Iterator[Finding]:
    kube = lab.kubernetes
    path: Path = ("kubernetes", "policies_manifest")
    who: Path = ("kubernetes", "policies")
    if kube.policies is Policies.SERVER and kube.network is not PodNetwork.ROUTED:
        text = f"the server can't compile policies for the addresses that {kube.network} gives to pods"
        yield Finding(who, text, "take `network: routed`, or remove it", about=(("kubernetes", "network"),))
    elif kube.policies is Policies.SERVER and kube.policies_manifest is not None:
        text = "a controller of policies means nothing where the server enforces them"
        yield Finding(path, text, "remove one of them", about=(who,), key=True)
        return
    if kube.policies_manifest is None:
        return
    if kube.network not in (PodNetwork.ROUTED, PodNetwork.FLANNEL):
        text = f"{kube.network} enforces policies itself: no controller is needed"
        yield Finding(path, text, "remove it", about=(("kubernetes", "network"),), key=True)
    elif kube.source is Source.DEBIAN:
        text = "Debian's release is too old for a controller of policies"
        yield Finding(path, text, "remove it, or take another source", about=(("kubernetes", "source"),), key=True)


def isolation(lab: Lab) -> Iterator[Finding]:
    """Names are kept apart only by the lab's own server, and only where it sees which pod asks."""
    kube = lab.kubernetes
    if kube.isolation is not Isolation.NAMES:
        return
    path: Path = ("kubernetes", "isolation")
    source: Path = ("kubernetes", "source")
    if kube.source is Source.UPSTREAM:
        text = "the official releases bring CoreDNS, which tells every pod all names"
        hint = "remove it, or take a release without CoreDNS: `source: debian`, or `source: path` without its image"
        yield Finding(path, text, hint, about=(source,))
    elif kube.source is Source.AUTO:
        text = "`source: auto` may take a release that brings CoreDNS, which tells every pod all names"
        hint = "remove it, or say which release without CoreDNS: `source: debian`, or `source: path` without its image"
        yield Finding(path, text, hint, about=(source,))
    if kube.network is not PodNetwork.ROUTED:
        text = f"with {kube.network} the server doesn't see which pod asks for a name, only which machine"
        yield Finding(path, text, "take `network: routed`, or remove it", about=(("kubernetes", "network"),))
