"""What an ``e2e.test`` says about itself, without a cluster: its release, its specs, its images."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.assets import suite
from nodisk.conformance import ginkgo2, results, specs
from nodisk.conformance.specs import Spec
from nodisk.errors import CommandFailed, EnvironmentProblem, IntegrityError, UsageError
from nodisk.values import KubeVersion

NAME = suite.PROGRAM
REPOSITORIES = suite.REPOSITORIES
GINKGO_2 = (1, 25)
"""From this release on the suite is of Ginkgo 2, which names specs and writes JUnit in another way."""
_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the suite: ``e2e.test``, and where its images aren't the official ones ``repositories.yaml``.

    ``images.txt`` names those that are there, where some of a registry are not.
    """

    root: Path

    @property
    def program(self) -> Path:
        """The suite."""
        return self.root / NAME

    @property
    def repositories(self) -> Path | None:
        """Kubernetes' file of registries (KUBE_TEST_REPO_LIST); None: the official ones."""
        path = self.root / REPOSITORIES
        return path if path.exists() else None

    def check(self) -> None:
        """Raises UsageError unless it holds a suite that can be started."""
        if not os.access(self.program, os.X_OK) or not self.program.is_file():
            raise UsageError(
                f"{self.root} has no program {NAME}",
                hint="unpack kubernetes-test-linux-amd64.tar.gz of the cluster's release; it is in kubernetes/test/bin",
            )

    def version(self) -> KubeVersion:
        """Its release; raises IntegrityError if it doesn't say one."""
        text = self._say("--version").strip()
        try:
            return KubeVersion.printed(text.split()[-1] if text else "")
        except ValueError as error:
            raise IntegrityError(f"{self.program} --version says {text[:80]!r}, which is no version") from error

    def specs(self) -> tuple[Spec, ...]:
        """The conformance specs of its release."""
        return specs.parse(self._say("--list-conformance-tests"))

    def policy_specs(self) -> tuple[Spec, ...]:
        """Its specs of NetworkPolicy, by a dry run: no list has them. Raises IntegrityError."""
        with tempfile.TemporaryDirectory(prefix="nodisk-conformance-") as folder:
            focus = f"--ginkgo.focus={re.escape(specs.POLICY_TAG)}"
            self._say("--provider=skeleton", "--ginkgo.dryRun", focus, f"--report-dir={folder}")
            try:
                written = (Path(folder) / "junit_01.xml").read_bytes()
            except OSError as error:
                raise IntegrityError(f"{self.program} has listed no specs: {error}") from error
        names = ginkgo2.names if self.version().line >= GINKGO_2 else results.names
        return specs.policies(names(written))

    def images(self) -> list[str]:
        """The container images that its release's specs use, of conformance or not; sorted."""
        return sorted(set(self._say("--list-images").split()))

    def substitutes(self) -> dict[str, str]:
        """Official name → the name that is used instead, of each image that isn't the official one."""
        if self.repositories is None:
            return {}
        own = self._say("--list-images", env={"KUBE_TEST_REPO_LIST": str(self.repositories)}).split()
        official = self._say("--list-images").split()
        found = substitutes(official, own)
        if (listed := self.root / suite.IMAGES).exists():
            # Of the rest no conformance spec has use, so nothing stands in for them.
            there = set(listed.read_text(encoding="utf-8").split())
            found = {name: ours for name, ours in found.items() if ours in there}
        return found

    def missing(self) -> frozenset[str]:
        """Those of the images that the suite would use of which ``images.txt`` says that they aren't there."""
        if self.repositories is None or not (listed := self.root / suite.IMAGES).exists():
            return frozenset()
        own = self._say("--list-images", env={"KUBE_TEST_REPO_LIST": str(self.repositories)}).split()
        return frozenset(own) - set(listed.read_text(encoding="utf-8").split())

    def _say(self, *options: str, env: Mapping[str, str] | None = None) -> str:
        clean = {"KUBE_TEST_REPO_LIST": "", "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent", **(env or {})}
        try:
            return run.run([self.program, *options], env=clean, timeout=_TIMEOUT).stdout
        except OSError as error:
            raise EnvironmentProblem(f"{self.program} can't be started: {error.strerror}") from error
        except CommandFailed as error:
            error.hint = f"is it the {NAME} of a release, for this machine's architecture?"
            raise


def substitutes(official: list[str], own: list[str]) -> dict[str, str]:
    """Match two lists of the same images, each in its own order: only the registry before the last part differs.

    Raises IntegrityError where an image has no partner.
    """
    partners: dict[str, list[str]] = {}
    for name in sorted(own):
        partners.setdefault(_last(name), []).append(name)
    found: dict[str, str] = {}
    for name in sorted(official):
        if not (there := partners.get(_last(name))):
            raise IntegrityError(f"with its file of registries the suite no longer lists {name}")
        if name in there:
            there.remove(name)
        else:
            found[name] = there.pop(0)
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def fits(suite: KubeVersion, cluster: KubeVersion, *, in_pods: bool = False) -> None:
    """Raises UsageError unless this suite can judge this cluster.

    ``in_pods``: it runs in the official image, whose runs are read whatever Ginkgo they are of.
    """
    if suite.line != cluster.line:
        raise UsageError(
            f"the suite is of Kubernetes {suite}, the cluster of {cluster}",
            hint="conformance is proved with the suite of the cluster's own release",
        )
    if suite.line >= GINKGO_2 and not in_pods:
        raise UsageError(
            f"nodisk runs the suite of Kubernetes {suite} in its official image alone: from 1.25 on it is of Ginkgo 2",
            hint="leave out --suite (and unset NODISK_SUITE): the image is loaded then",
        )
