"""What rules cost pods' traffic: ``python tools/policy_throughput.py LAB.yaml --rounds 15`` (root).

The lab runs by ``tools/native_room.py`` and has two workers and the `routed` network. A pod on one sends to a pod on
the other by iperf3, one TCP stream, while the cluster has 1,000 more pods and 300 policies. Each policy selects the two
pods, too, so both machines' tables hold all of them, and lets in a group of twenty pods. Each round measures with the
machines' tables, and with both tables taken away (``nft`` on the machines), in an order drawn by ``--seed``. Printed:
medians, and the median ratio of a round's two figures with its quartiles. That the rules were in force is seen, too: a
port that no policy allows is closed with them and open without. Exit status 1: the ratio is below 0.95.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from subprocess import CompletedProcess

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
sys.path.insert(0, str(Path(__file__).parent))

from native_room import Native  # noqa: E402 - found by the paths above

from nodisk import run  # noqa: E402
from nodisk.assets.bench_image import BENCH  # noqa: E402
from nodisk.bench.net_load import rate_of  # noqa: E402
from nodisk.context import LabContext, LabOptions  # noqa: E402
from nodisk.errors import NodiskError  # noqa: E402
from nodisk.kube.client import Client, Object, connect  # noqa: E402
from nodisk.kube.objects import holds  # noqa: E402
from nodisk.state import DEFAULT_STATE, State  # noqa: E402
from nodisk.values import Role  # noqa: E402
from nodisk.waiting import Deadline, until  # noqa: E402

SPACE = "policy-throughput"
TABLE = "nodisk-policies"
SHARE = 0.95
PORT, CLOSED = 5201, 5202
"""Of iperf3: one that policies allow, one that none allows."""
PODS, POLICIES = 1000, 300
EVERYWHERE = [{"operator": "Exists"}]


@dataclass(frozen=True, slots=True)
class Pair:
    """The sender's and the receiver's machines, and where the receiver is."""

    sender: Native
    receiver: Native
    context: LabContext
    address: str

    def reaches(self, port: int) -> bool:
        """Whether a connection to the receiver's port is made within two seconds."""
        done = self._exec(f"nc -w 2 {self.address} {port} </dev/null >/dev/null")
        return done.returncode == 0

    def rate(self, seconds: int) -> float:
        """Mbit/s of one stream."""
        return rate_of(self._exec(f"iperf3 -c {self.address} -p {PORT} -t {seconds} -O 1 -J", check=True).stdout)

    def _exec(self, script: str, *, check: bool = False) -> CompletedProcess[str]:
        words: list[str | Path] = [
            "kubectl",
            "--lab",
            self.context.file,
            "--",
            "-n",
            SPACE,
            "exec",
            "sender",
            "--",
            "sh",
            "-c",
            script,
        ]
        return run.run([sys.executable, "-m", "nodisk", *words], check=check)

    @contextlib.contextmanager
    def without_rules(self) -> Iterator[None]:
        """Both machines' tables are away, and come back as they were."""
        with contextlib.ExitStack() as stack:
            for native in (self.sender, self.receiver):
                rules = nft(native, "list", "table", "ip", TABLE)
                nft(native, "delete", "table", "ip", TABLE)
                stack.callback(nft, native, "-f", "-", stdin=rules)
            yield
            for native in (self.sender, self.receiver):
                if TABLE in nft(native, "list", "tables"):
                    raise NodiskError(f"{native.machine.name} has got its rules back meanwhile")


def nft(native: Native, *words: str, stdin: str | None = None) -> str:
    """What the machine's own nft prints."""
    inside = ["nsenter", "--all", "--target", str(native.first()), "nft"]
    return run.run([*inside, *words], stdin=stdin).stdout


def runner(name: str, node: str, script: str) -> Object:
    """A pod with iperf3 on that machine."""
    main = {"name": "main", "image": BENCH, "command": ["sh", "-c", script]}
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [main], "tolerations": EVERYWHERE}
    meta = {"name": name, "namespace": SPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def crowd(client: Client, number: int) -> None:
    """One of the other pods: on a node that isn't there, Running as its kubelet would say."""
    name = f"p{number}"
    spec: Object = {"nodeName": f"far{number // 100}", "containers": [{"name": "main", "image": BENCH}]}
    meta = {"name": name, "namespace": SPACE, "labels": {"app": f"a{number % 50}"}}
    spec |= {"terminationGracePeriodSeconds": 0, "tolerations": EVERYWHERE}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    client.create(pod)
    address = f"10.244.{200 + number // 100}.{2 + number % 100}"
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    path = client.path("v1", "Pod", name, namespace=SPACE, subresource="status")
    client.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")


def policy(client: Client, number: int) -> None:
    """One that selects all pods; the last one lets the sender in, the others a group of the crowd, each at a port."""
    last = number == POLICIES - 1
    peers, port = ("sender", PORT) if last else (f"a{number % 50}", 10000 + number)
    allowed = {
        "from": [{"podSelector": {"matchLabels": {"app": peers}}}],
        "ports": [{"port": port, "protocol": "TCP"}],
    }
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [allowed]}
    meta = {"name": f"r{number}", "namespace": SPACE}
    client.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec})


def prepare(client: Client, sender: str, receiver: str) -> str:
    """Make the pods and the policies; returns the receiver's address."""
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    until(lambda: bool(client.list("v1", "ServiceAccount", namespace=SPACE)), Deadline(120), every=0.2)
    for number in range(PODS // 100):
        client.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"far{number}"}})
    listen = "".join(f"while :; do iperf3 -s -p {port}; sleep 1; done & " for port in (PORT, CLOSED))
    client.create(runner("receiver", receiver, f"{listen} wait"))
    client.create(runner("sender", sender, "sleep 100000"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(crowd, client), range(PODS)))
        list(pool.map(partial(policy, client), range(POLICIES)))

    def run_now() -> bool:
        return all(holds(client.get("v1", "Pod", one, namespace=SPACE), "Ready") for one in ("sender", "receiver"))

    if not until(run_now, Deadline(300), every=0.5):
        raise NodiskError("the two pods don't run", hint=f"nodisk kubectl -- -n {SPACE} describe pods")
    return str(client.get("v1", "Pod", "receiver", namespace=SPACE)["status"]["podIP"])


def measure(pair: Pair, rounds: int, seconds: int, chance: random.Random) -> int:
    """The rounds; returns the exit status."""
    if not until(lambda: pair.reaches(PORT) and not pair.reaches(CLOSED), Deadline(120), every=1.0):
        raise NodiskError("the rules are not in force")
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds):
        for ruled in chance.sample((True, False), 2):
            with contextlib.nullcontext() if ruled else pair.without_rules():
                if number == 0 and pair.reaches(CLOSED) is ruled:
                    raise NodiskError(f"with{'' if ruled else 'out'} rules, port {CLOSED} is not as it must be")
                rates[ruled].append(pair.rate(seconds))
        print(f"{number + 1:3}  with rules {rates[True][-1]:9.0f} Mbit/s  without {rates[False][-1]:9.0f}", flush=True)
    ratios = [ruled / free for ruled, free in zip(rates[True], rates[False], strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    print(f"with rules {median(rates[True]):.0f} Mbit/s, without {median(rates[False]):.0f} (medians of {rounds}); "
          f"ratio {middle:.3f}, quartiles {low:.3f} to {high:.3f}")  # fmt: skip
    return int(middle < SHARE)


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lab", type=Path)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    context = LabOptions(options.lab.absolute(), State(options.state.absolute())).load()
    first, second, *_ = (Native(context, machine) for machine in context.lab.by_role(Role.WORKER))
    with connect(context, patience=60.0) as client:
        try:
            began = time.monotonic()
            address = prepare(client, str(first.machine.name), str(second.machine.name))
            print(f"{PODS} pods and {POLICIES} policies made in {time.monotonic() - began:.0f} s", flush=True)
            pair = Pair(first, second, context, address)
            return measure(pair, options.rounds, options.seconds, random.Random(options.seed))  # noqa: S311
        finally:
            client.delete("v1", "Namespace", SPACE)
            for number in range(PODS // 100):
                client.delete("v1", "Node", f"far{number}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NodiskError as error:
        sys.exit(f"{error.message}; {error.hint or ''}")
