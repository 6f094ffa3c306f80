"""``python -m tools.classes_bench``: how long a class takes, beside the thesis' loop of kubectl, on one API server.

A credential counts as made when its owner's first call was answered. Everything that is made is deleted again.
"""

from __future__ import annotations

import base64
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import click

from nodisk import run, ui
from nodisk.classes import accounts, plan, reconcile, sizes, teardown
from nodisk.classes.roster import Person
from nodisk.errors import NodiskError
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client
from nodisk.spec.model import Lab, Machine, Network
from nodisk.spec.model_kubernetes import Kubernetes
from nodisk.values import Mac, Name

# What the thesis' bin/students feeds to `kubectl create -f -`, one student at a time.
_THESIS = """\
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{name: {name}}}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {name}}}
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {{name: {name}-admin-binding, namespace: {name}}}
roleRef: {{kind: ClusterRole, name: admin, apiGroup: rbac.authorization.k8s.io}}
subjects: [{{kind: ServiceAccount, name: {name}}}]
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, and MiB at the peak of this process."""

    students: int
    create: float
    list: float
    again: float
    delete: float
    thesis: float | None
    """The thesis' loop for as many students, as it was written; it makes fewer objects, and no call with the token."""
    thesis_used: float | None
    """The same loop until each token is there and its owner's first call was answered, as ``create`` counts; None from
    1.24, where a cluster keeps no tokens."""
    peak_mib: float

    @property
    def faster(self) -> float | None:
        """How many times faster than the thesis' loop, like for like."""
        thesis = self.thesis_used or self.thesis
        return None if thesis is None else thesis / self.create


def measure(client: Client, count: int, *, kubectl: Path | None, config: Path) -> Figures:
    """Make, list, make again and delete a class of ``count``; ``kubectl``: run the thesis' loop as well."""
    now = datetime.now(UTC).replace(microsecond=0)
    people = [Person(f"student {number}") for number in range(count)]
    size = sizes.find("small")
    found = plan.merge(None, people, name="nd-bench-class", now=now, size=size, role="edit").record
    begin = time.perf_counter()
    reconcile.refuse_foreign(client, found)
    applied = reconcile.apply(client, found, _LAB)
    create = time.perf_counter() - begin
    for error in applied.failed.values():
        raise error
    begin = time.perf_counter()
    spaces = client.list("v1", "Namespace", labels="nodisk.dev/class=nd-bench-class", metadata_only=True)
    listed = time.perf_counter() - begin
    if len(spaces) != count + 1:
        raise NodiskError(f"found {len(spaces) - 1} namespaces instead of {count}")
    begin = time.perf_counter()
    keep = {key: credential.token for key, credential in applied.credentials.items()}
    reconcile.apply(client, applied.record, _LAB, keep=keep)
    again = time.perf_counter() - begin
    begin = time.perf_counter()
    accounts.delete(client, found, nullcontext([]), limit=600)
    delete = time.perf_counter() - begin
    thesis, used = (None, None) if kubectl is None else thesis_loop(kubectl, config, count, client)
    return Figures(count, create, listed, again, delete, thesis, used, peak_mib())


def peak_mib() -> float:
    """The most memory that this process has had so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def thesis_loop(kubectl: Path, config: Path, count: int, client: Client) -> tuple[float, float | None]:
    """Seconds that the thesis' ``bin/students "…" create`` takes: create, then read the tokens, one by one.

    As it was written; and with the wait for each token and its owner's first call.
    """
    base: Sequence[str | Path] = (kubectl, f"--kubeconfig={config}")
    names = [f"nd-bench-thesis-{number}" for number in range(count)]
    keeps_tokens = client.version().line < (1, 24)
    begin, more = time.perf_counter(), 0.0
    try:
        for name in names:
            run.run([*base, "create", "-f", "-"], stdin=_THESIS.format(name=name))
            account = [*base, "--namespace", name, "get", "serviceaccount", name, "-o", "jsonpath={.secrets[*].name}"]
            secrets = run.run(account).stdout.split()
            since = time.perf_counter()
            while keeps_tokens and not secrets:
                secrets = run.run(account).stdout.split()
            more += time.perf_counter() - since
            for secret in secrets:
                read = [*base, "get", "secrets", secret, "--namespace", name, "-o", "jsonpath={.data.token}"]
                token = base64.b64decode(run.run(read).stdout).decode()
                since = time.perf_counter()
                _first_call(kubectl, client, token, name)
                more += time.perf_counter() - since
        whole = time.perf_counter() - begin
        return whole - more, whole if keeps_tokens else None
    finally:
        teardown.delete_namespaces(client, names, limit=600)


def _first_call(kubectl: Path, client: Client, token: str, namespace: str) -> None:
    endpoint = kubeconfig.Endpoint(client.endpoint.server, client.endpoint.ca_pem, token=token)
    text = kubeconfig.render(endpoint, cluster="bench", user=namespace, namespaces={namespace: namespace})
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:
        file.write(text)
        file.flush()
        run.run([kubectl, f"--kubeconfig={file.name}", "get", "pods"])


_LAB = Lab(
    name=Name("bench"),
    network=Network(subnet=IPv4Network("10.77.0.0/24"), server=IPv4Address("10.77.0.1")),
    kubernetes=Kubernetes(),
    machines=(Machine(name=Name("m"), mac=Mac(0x525400770001), address=IPv4Address("10.77.0.11")),),
)


@click.command(epilog="Example: python -m tools.classes_bench --kubeconfig admin.kubeconfig --kubectl /usr/bin/kubectl")
@click.option("--kubeconfig", "config", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--kubectl", type=click.Path(path_type=Path, exists=True), help="Run the thesis' loop with it as well.")
@click.option("--students", "count", type=click.IntRange(1, 5000), default=30, show_default=True)
def main(config: Path, kubectl: Path | None, count: int) -> None:
    """Measure how long a class takes; prints JSON."""
    with Client(kubeconfig.load(config)) as client:
        figures = measure(client, count, kubectl=kubectl, config=config)
    faster = None if figures.faster is None else round(figures.faster, 1)
    ui.print_json(asdict(figures) | {"times_faster": faster})


if __name__ == "__main__":
    main()
