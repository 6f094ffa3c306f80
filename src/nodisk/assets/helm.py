"""Charts become objects by Helm (``helm template``), where the host has it: nothing of Helm runs in the cluster.

Helm runs as nobody, in a cage without network, with a home that is empty: a chart sees no cluster, no file of the
host's that isn't everybody's, and no plugin or setting of root's. Hooks (jobs that Helm would run before or after an
installation) are left out, and named: nodisk applies objects, and waits for none of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.assets import sandbox
from nodisk.assets.hashes import sha256_of
from nodisk.errors import CommandFailed, EnvironmentProblem, SpecError, TimedOut, ToolMissing
from nodisk.kube import addons, applyset, goyaml
from nodisk.kube.client import Object
from nodisk.spec.model_addons import HelmChart

SECONDS = 60
HOOK = "helm.sh/hook"
_NOBODY = 65534
_MAX_OUTPUT = 64 << 20
_MAX_CHART_YAML = 1 << 20
_MAX_MEMBERS = 20_000
# Namespaces that every cluster has.
_THERE = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a chart gives."""

    objects: tuple[Object, ...]
    hooks: tuple[str, ...]
    """What was left out, for people: ``Job web/setup (pre-install)``."""


def check_archive(archive: Path, chart: HelmChart) -> None:
    """Raises SpecError unless the archive has the hash and is the version that lab.yaml says."""
    try:
        found = sha256_of(archive)
    except OSError as error:
        raise SpecError(f"{archive}: {error.strerror}", hint="correct helm.chart in lab.yaml") from error
    if found != chart.sha256:
        raise SpecError(
            f"{archive} has the hash {found}, but lab.yaml says {chart.sha256}",
            hint="review the chart, then write the new hash to helm.sha256",
        )
    version = str(_about(archive).get("version"))
    if version != chart.version:
        raise SpecError(
            f"{archive} is version {version} of its chart, but lab.yaml says {chart.version}",
            hint="correct helm.version in lab.yaml",
        )


def _about(archive: Path) -> dict[str, Any]:
    """What a chart says of itself in Chart.yaml."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar):
                parts = member.name.split("/")
                if len(parts) == 2 and parts[1] == "Chart.yaml" and member.isfile():
                    file = tar.extractfile(member) if member.size <= _MAX_CHART_YAML else None
                    [about] = goyaml.documents(file.read()) if file is not None else [None]
                    if isinstance(about, dict):
                        return about
                if count > _MAX_MEMBERS:
                    break
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise SpecError(f"{archive} is not a chart's archive: {error}", hint="helm package makes one") from error
    raise SpecError(f"{archive} is not a chart's archive: it has no Chart.yaml", hint="helm package makes one")


def render(name: str, archive: Path, chart: HelmChart, *, version: str | None, log: Path) -> Rendered:
    """The objects of a chart whose archive was checked; ``version``: Kubernetes', if known. ``log``: what Helm says.

    Raises EnvironmentProblem where the host has no Helm, CommandFailed with Helm's own words, TimedOut, SpecError for
    what is no object.
    """
    helm = program()
    data = archive.read_bytes()
    # What is rendered is what was checked, whoever may write the file: it is kept by that hash (``helm_once``).
    if hashlib.sha256(data).hexdigest() != chart.sha256:
        raise SpecError(f"{archive} was changed while it was read", hint="try again")
    with tempfile.TemporaryDirectory(prefix="nodisk-helm-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        out, home = folder / "out", folder / "home"
        for path in (out, home):
            path.mkdir(mode=0o700)
            os.chown(path, _NOBODY, _NOBODY)
        values = folder / "values.yaml"
        values.touch(mode=0o400)
        os.chown(values, _NOBODY, _NOBODY)
        values.write_text(chart.values, encoding="utf-8")
        copy = folder / "chart.tgz"
        copy.write_bytes(data)
        copy.chmod(0o444)
        argv = command(helm, name, copy, chart, values=values, out=out, version=version)
        asyncio.run(_run(argv, log, home))
        return split(_objects(out), chart)


def program() -> Path:
    """Helm's path; raises EnvironmentProblem."""
    try:
        return run.find("helm")
    except ToolMissing as error:
        hint = "install it from https://helm.sh (no Debian package has it), or render the chart on another host: "
        hint += "helm template NAME CHART --version V --namespace N --include-crds > FILE, and name FILE by `manifest`"
        raise EnvironmentProblem("Helm is not installed on this host", hint=hint) from error


def command(
    helm: Path, name: str, archive: Path, chart: HelmChart, *, values: Path, out: Path, version: str | None
) -> list[str]:
    """Helm's command line. Pure."""
    nobody = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"]
    words = ["setpriv", *nobody, "--", str(helm), "template", name, str(archive)]
    words += ["--namespace", str(chart.namespace), "--include-crds", "--values", str(values), "--output-dir", str(out)]
    return [*words, "--kube-version", version] if version else words


async def _run(argv: Sequence[str], log: Path, home: Path) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            await sandbox.build(argv, log_file=log, env={"HOME": str(home)}, offline=True)
    except CommandFailed as error:
        raise CommandFailed(["helm", *argv[argv.index("template") :]], error.returncode, error.output) from error
    except TimeoutError as error:
        raise TimedOut(f"helm timed out after {SECONDS} seconds") from error


def _objects(out: Path) -> Iterator[Object]:
    """What Helm wrote, file by file; links are none of it."""
    found = [path for path in sorted(out.rglob("*")) if path.is_file() and not path.is_symlink()]
    if (size := sum(path.stat().st_size for path in found)) > _MAX_OUTPUT:
        raise SpecError(f"the chart gives {size >> 20} MiB of objects; at most {_MAX_OUTPUT >> 20} are taken")
    for path in found:
        yield from addons.objects(path.read_bytes(), path.relative_to(out))


def split(objects: Iterator[Object] | Sequence[Object], chart: HelmChart) -> Rendered:
    """Objects without hooks, in their namespaces, and the chart's namespace itself where it has to be made. Pure."""
    kept, hooks, space = list[Object](), list[str](), str(chart.namespace)
    for item in objects:
        notes = item["metadata"].get("annotations")
        if isinstance(notes, dict) and HOOK in notes:
            hooks.append(f"{applyset.identity(item)} ({notes[HOOK]})")
            continue
        # A kind without namespaces has it taken off again when it is applied.
        meta = item["metadata"] | {"namespace": item["metadata"].get("namespace") or space}
        kept.append(item | {"metadata": meta})
    made = any(item["kind"] == "Namespace" and item["metadata"]["name"] == space for item in kept)
    if kept and not made and space not in _THERE:
        kept.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    return Rendered(tuple(kept), tuple(hooks))
