"""Before a class is made: does what it is promised exist? And does the cluster's network keep students apart?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from nodisk.classes import terminal
from nodisk.classes.manifests import CLASS, MANAGED_BY
from nodisk.classes.record import Class
from nodisk.classes.sizes import amount
from nodisk.errors import UsageError
from nodisk.kube.client import Client, Object
from nodisk.kube.objects import boot_id, closing_taints, condition, holds
from nodisk.plan.policies import APPLIED
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import PodNetwork

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Amounts:
    """Cores, bytes of RAM (memory and ephemeral storage together), pods."""

    cores: Decimal = Decimal(0)
    ram: Decimal = Decimal(0)
    pods: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.cores + other.cores, self.ram + other.ram, self.pods + other.pods)

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(self.cores - other.cores, self.ram - other.ram, self.pods - other.pods)

    def __str__(self) -> str:
        return f"{self.cores:.1f} cores, {self.ram / GIB:.1f} GiB RAM, {self.pods} pods"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is there for classes, what is promised to others, what this one asks for."""

    nodes: int
    there: Amounts
    others: Amounts
    wanted: Amounts
    students: int
    size_name: str
    idle: tuple[str, ...] = ()
    """Nodes that take no pods of students now, each with why."""

    @property
    def short(self) -> list[str]:
        """What there is too little of, with the arithmetic; empty: it fits."""
        total = self.others + self.wanted
        found = []
        if total.cores > self.there.cores:
            found.append(_sum("cores", self.wanted.cores, self.others.cores, self.there.cores))
        if total.ram > self.there.ram:
            found.append(
                _sum("GiB RAM", self.wanted.ram / GIB, self.others.ram / GIB, self.there.ram / GIB)
                + " (memory and ephemeral storage: on diskless nodes both are RAM)"
            )
        if total.pods > self.there.pods:
            found.append(_sum("pods", Decimal(self.wanted.pods), Decimal(self.others.pods), Decimal(self.there.pods)))
        return found

    def refuse(self) -> None:
        """Raise UsageError if the class doesn't fit."""
        if self.nodes == 0:
            raise UsageError(
                "no node accepts students' pods:\n  " + "\n  ".join(self.idle or ("no machine has joined yet",)),
                hint="follow the machines with nodisk status, and try again when they are Ready",
            )
        if self.short:
            not_counted = [f"not counted: {line}" for line in self.idle]
            raise UsageError(
                f"{self.students} students of size {self.size_name} need more than {self.nodes} nodes have:\n  "
                + "\n  ".join([*self.short, *not_counted]),
                hint="use a smaller --size, boot more machines, or pass --overcommit if not all students work at once",
            )


def _sum(unit: str, wanted: Decimal, others: Decimal, there: Decimal) -> str:
    total = f" + {others:.1f} for other classes = {wanted + others:.1f}" if others else ""
    return f"{wanted:.1f}{total} {unit}, but the nodes have {there:.1f}"


def measure(client: Client, record: Class) -> Capacity:
    """Add up nodes and quotas."""
    found = client.list("v1", "Node")
    nodes = [node for node in found if why_idle(node) is None]
    idle = tuple(f"{node['metadata']['name']} {why}" for node in found if (why := why_idle(node)) is not None)
    there = Amounts()
    for node in nodes:
        given = node.get("status", {}).get("allocatable", {})
        cores, ram = amount(str(given.get("cpu", "0"))), amount(str(given.get("memory", "0")))
        there += Amounts(cores, ram, int(amount(str(given.get("pods", "0")))))
    quotas = client.list("v1", "ResourceQuota", labels=f"{MANAGED_BY}=nodisk,{CLASS}")
    spaces = {quota["metadata"]["namespace"] for quota in quotas}
    names = {node["metadata"]["name"] for node in nodes}
    pods = client.list("v1", "Pod", fields="status.phase!=Succeeded,status.phase!=Failed")
    there -= _asked(p for p in pods if p["metadata"]["namespace"] not in spaces and p["spec"].get("nodeName") in names)
    others = _promised(q["spec"]["hard"] for q in quotas if q["metadata"]["labels"][CLASS] != record.name)
    size, count = record.size, len(record.students)
    each = Amounts(amount(size.cpu), amount(size.memory) + amount(size.ephemeral), size.pods)
    wanted = Amounts(each.cores * count, each.ram * count, each.pods * count)
    return Capacity(len(nodes), there, others, wanted, count, record.size_name, idle)


def of_terminals(record: Class) -> str | None:
    """What the terminals of a class take of the above, if every student has theirs open; None: it has none.

    They are pods within the students' quotas, which are promised whole: they need no more than was counted.
    """
    if not record.has_terminals or not record.students:
        return None
    need, count = terminal.needs(record.size), len(record.students)
    each = Amounts(amount(need.cpu), amount(need.memory) + amount(need.ephemeral), 1)
    cores, gib = each.cores * count, each.ram * count / GIB
    return f"a terminal each: {cores:.1f} cores, {gib:.1f} GiB RAM; one takes {need} of its student's quota"


def ready_nodes(client: Client) -> list[Object]:
    """The nodes that take pods now."""
    return [node for node in client.list("v1", "Node") if why_idle(node) is None]


def _promised(quotas: Iterable[Object]) -> Amounts:
    total = Amounts()
    for hard in quotas:
        # The API server writes quantities its own way (1536Mi for 1.5Gi), but always as amount() reads them.
        ram = amount(hard.get("requests.memory", "0")) + amount(hard.get("requests.ephemeral-storage", "0"))
        total += Amounts(amount(hard.get("requests.cpu", "0")), ram, int(amount(hard.get("pods", "0"))))
    return total


def _asked(pods: Iterable[Object]) -> Amounts:
    """What pods that are nobody's of a class (the system's own) have of their nodes."""
    total = Amounts()
    for pod in pods:
        total += Amounts(pods=1)
        for container in pod["spec"]["containers"]:
            requests = (container.get("resources") or {}).get("requests") or {}
            ram = amount(requests.get("memory", "0")) + amount(requests.get("ephemeral-storage", "0"))
            total += Amounts(amount(requests.get("cpu", "0")), ram)
    return total


def why_idle(node: Object) -> str | None:
    """Why a node takes no pods of students now; None: it does."""
    if not holds(node, "Ready"):
        said = condition(node, "Ready").get("message") or "its kubelet has not reported yet"
        return f"is not Ready: {said}"
    if (node.get("spec") or {}).get("unschedulable"):
        return "is cordoned; to schedule pods on it again, run nodisk kubectl uncordon"
    if closed := closing_taints(node):
        return f"has the taint {closed[0]['key']}, which keeps students' pods off"
    return None


# Whose DaemonSet in which namespace enforces NetworkPolicy.
_ENFORCERS = {
    PodNetwork.ROUTED: (("kube-system", "kube-network-policies"),),
    PodNetwork.FLANNEL: (("kube-system", "kube-network-policies"),),
    PodNetwork.CALICO: (("kube-system", "calico-node"), ("calico-system", "calico-node")),
    PodNetwork.CILIUM: (("kube-system", "cilium"),),
}


@dataclass(frozen=True, slots=True)
class Enforcer:
    """What is there to enforce NetworkPolicy. That it runs is no proof that it does: only pods that try show that."""

    name: str
    namespace: str
    image: str
    """What really runs: a manifest's version and its image's can differ. What is wanted, where no pod has said."""
    ready: int
    """On how many of ``nodes`` it is ready."""
    nodes: int
    """How many nodes take pods of students: each must have it, whatever the DaemonSet's own selector says."""

    def __str__(self) -> str:
        return f"{self.name} ({self.image})"

    @property
    def pods(self) -> str:
        """Where to look for what it does."""
        if not self.namespace:
            return "nodisk ssh NODE journalctl -u nodisk-policies"
        return f"nodisk kubectl -n {self.namespace} get pods -o wide"

    @property
    def missing(self) -> str:
        """What is wrong where it doesn't run on every node; empty: it does."""
        if self.ready >= self.nodes > 0:
            return ""
        if self.nodes == 0:
            return f"{self.name} can't be judged: no node takes students' pods now"
        if not self.namespace:
            return (
                f"{self.nodes - self.ready} of {self.nodes} nodes have not applied the server's rules in this boot: "
                "NetworkPolicy is not enforced there, until they do or reboot"
            )
        return f"{self.name} runs on {self.ready} of {self.nodes} nodes: NetworkPolicy is not enforced on the others"


def enforcer(client: Client, lab: Lab) -> Enforcer | None:
    """What is there to enforce NetworkPolicy; None: nothing, and students' pods reach each other."""
    if lab.server_enforces:
        ready = ready_nodes(client)
        noted = [(one["metadata"].get("annotations") or {}).get(APPLIED) for one in ready]
        have = [one for one, boot in zip(ready, noted, strict=True) if boot and boot == boot_id(one)]
        return Enforcer("nodisk's server", "", "rules that each machine applies", len(have), len(ready))
    there = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one for one in client.list("apps/v1", "DaemonSet")
    }
    for place in _ENFORCERS[lab.kubernetes.network]:
        if place in there:
            uid = there[place]["metadata"]["uid"]
            there_now = client.list("v1", "Pod", namespace=place[0])
            pods = [pod for pod in there_now if _owned(pod, uid) and holds(pod, "Ready")]
            nodes = {node["metadata"]["name"] for node in ready_nodes(client)}
            container = there[place]["spec"]["template"]["spec"]["containers"][0]
            image = next(_images(pods, container["name"]), str(container["image"]))
            return Enforcer(
                place[1], place[0], image, len(nodes & {pod["spec"]["nodeName"] for pod in pods}), len(nodes)
            )
    return None


def _owned(pod: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or [])


def _images(pods: Iterable[Object], container: str) -> Iterator[str]:
    """The images that the container of that name runs, as the nodes tell it."""
    for pod in pods:
        for status in pod["status"].get("containerStatuses") or []:
            if status["name"] == container and not status.get("image", "sha256:").startswith("sha256:"):
                yield str(status["image"])
