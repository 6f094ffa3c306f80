"""What a build would do on this host: which release it would take and why, and whether the disk has room for it."""

from __future__ import annotations

import asyncio
import shutil

from nodisk import files
from nodisk.assets import addons, build, built, release_debian, release_path
from nodisk.assets.progress import Board
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError
from nodisk.plan import cluster_dns
from nodisk.spec import versions
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.state import State
from nodisk.values import KubeVersion

GIB = 1024**3
TO_BUILD = {Source.AUTO: 5 * GIB, Source.UPSTREAM: 5 * GIB, Source.PATH: 4 * GIB, Source.DEBIAN: 4 * GIB}
"""Disk space that a first build needs at its peak, including what it keeps; compiling Debian's source needs more."""
TO_RUN = 2 * GIB
"""Once built: etcd may grow to 2 GiB, and the registry takes what classes push to it."""
PLAIN_TO_BUILD, PLAIN_TO_RUN = 3 * GIB, 1 * GIB
"""The same for a lab without a cluster."""


def is_built(state: State, lab: Lab) -> str | None:
    """None if everything that this lab.yaml needs is in the store, otherwise what is missing."""
    try:
        built.manifests(state, lab)
    except NodiskError as problem:
        return problem.message
    return None


def release_and_disk(state: State, lab: Lab) -> list[Finding]:
    """The release that a build would choose, by the build's own code, and disk space for its missing parts."""
    missing = is_built(state, lab)
    if not lab.has_cluster:
        need = PLAIN_TO_RUN if missing is None else PLAIN_TO_BUILD
        what = "build" if missing else "run"
        return [ok("release", build.PLAIN), disk(state, need, least=need // 2, what=what)]
    findings, chosen = _release(state, lab, missing)
    work = _work(state)
    compiles = chosen is not None and chosen.source is Source.DEBIAN and chosen.recipe.find(work.store) is None
    source = chosen.source if chosen is not None else lab.kubernetes.source
    need = TO_RUN if missing is None else release_debian.ROOM if compiles else TO_BUILD[source]
    return [*findings, disk(state, need, least=need if compiles else need // 2, what="run" if not missing else "build")]


def disk(state: State, need: int, *, least: int, what: str) -> Finding:
    """The state directory's disk has ``need`` bytes free; less than ``least`` is an error."""
    name = "disk"
    folder = files.nearest(state.root)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as problem:
        return error(name, f"{folder}: {problem.strerror}", "choose another state directory with --state")
    text = f"{free / GIB:.1f} GiB free for {state.root}, {need / GIB:.0f} GiB needed to {what}"
    if free < least:
        return error(
            name, text, "free some space (nodisk assets prune), or choose another state directory with --state"
        )
    if free < need:
        return warning(name, text, "this may be enough; nodisk assets prune removes unused assets")
    return ok(name, text)


def _work(state: State) -> Work:
    return Work(state, Store(state), Board(None))


def _release(state: State, lab: Lab, missing: str | None) -> tuple[list[Finding], build.Release | None]:
    name, kube = "release", lab.kubernetes
    complain = error if missing else warning
    try:
        if kube.network_manifest is not None:
            addons.read_own(kube.network_manifest)
        if kube.policies_manifest is not None:
            addons.read_own(kube.policies_manifest, "policies_manifest")
        if kube.source is Source.PATH and kube.path is not None:
            folder = release_path.read(kube.path, kube.version)
            cluster_dns.need_own(lab, coredns=folder.has_dns)
            without = f"; without {', '.join(folder.missing_optional)}" if folder.missing_optional else ""
            return [_told(f"Kubernetes {folder.version} from {folder.root}{without}", folder.version)], None
        chosen = asyncio.run(build.choose(_work(state), lab))
    except NodiskError as problem:
        then = "" if missing else "; needed only for a new build"
        return [complain(name, problem.message + then, problem.hint or "")], None
    if kube.source is Source.AUTO and chosen.source is Source.DEBIAN and missing:
        hint = "give this host access to the official releases, or provide a folder: see docs/how-to/releases.md"
        return [warning(name, chosen.why, hint)], chosen
    return [_told(chosen.why, chosen.version)], chosen


def _told(text: str, version: KubeVersion) -> Finding:
    """The release, with a warning for one that is newer than what nodisk was proved with."""
    caution = versions.caution(version)
    if caution is None:
        return ok("release", text)
    text = text if caution in text else f"{text}; it is {caution}"
    return warning("release", text, f"for a class: kubernetes.version: {versions.PROVED} in lab.yaml")
