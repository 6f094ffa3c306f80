"""Whether students' pods are kept apart, judged by what two students' pods experience on every node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from nodisk.assets import built
from nodisk.assets.container_images import ECHO_PORT
from nodisk.classes import capacity, reach
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import Finding, Tester
from nodisk.errors import NodiskError
from nodisk.kube.client import Object
from nodisk.parallel import in_parallel
from nodisk.records import isolation
from nodisk.verify import manifests, ring
from nodisk.verify.checks.rights import students_of
from nodisk.verify.core import Failed, Skip, Warn
from nodisk.verify.diagnose import pod_trouble
from nodisk.verify.ring import Answers, Way
from nodisk.verify.scene import Scene
from nodisk.verify.temporary_class import temporary_class
from nodisk.waiting import Deadline

APP = "apart"
ASKING = 50.0
"""Seconds on PCs that the pods of a ring need at most to try each other once they run."""
AT_ONCE = 16
"""Pods that are asked at the same time: each takes a kubectl on the server."""
# Whom the pod may reach comes first: what lets it through has learnt of the pod by then. The others are tried at once.
# busybox's nc has no -z: once it is connected it becomes `true`.
SCRIPT = """\
limit={limit}
reach() {{ n=0; until timeout $limit nc $2 {port} -e true; do n=$((n + 1)); [ $n -lt $1 ] || return 1; sleep 1; done; }}
reach 5 {own} && echo own
for other in {others}; do ( reach 3 ${{other#*=}} && echo ${{other%%=*}} ) & done
wait
"""


def apart(scene: Scene) -> list[str]:
    """On every node a temporary student's pod tries to reach another's, there and on the next node.

    Their namespaces have the policies of every class; their own credentials create the pods.
    """
    nodes = sorted(node["metadata"]["name"] for node in capacity.ready_nodes(scene.client))
    if not nodes:
        raise Skip("no node is ready to run pods")
    by = capacity.enforcer(scene.client, scene.context.lab)
    tried: list[Way] = []
    late: dict[str, str] = {}
    # Some more than there are at once: the quota hears of a deleted pod a moment later.
    with temporary_class(scene, 2, mark="i", pods=2 * len(nodes)) as applied:
        students = [(one, applied.record.namespace(one.account)) for one in students_of(scene, applied)]
        turns = ring.rings(nodes)
        for number, turn in enumerate(turns):
            share = Deadline(scene.clock.left / (len(turns) - number))
            tried += Turn(scene, students, ring.seats(turn), late).ways(share)
    found = reach.settled(ring.finding(students[0][0].account.label, tried, late, by), by)
    of = built.cluster(scene.context.state.state, scene.context.lab)
    isolation.save(scene.context.state, isolation.Tried(found.verdict, found.happened), of=of)
    return judged(found, by, ring.enforces_not(tried), len(nodes))


def judged(found: Finding, by: Enforcer | None, bad: Sequence[str] = (), nodes: int = 0) -> list[str]:
    """The evidence of an attempt (``reach.settled``); raises Failed, or Warn where nothing enforces policies.

    ``bad``: the nodes that don't enforce the policies, of so many ``nodes``.
    """
    happened = f"{found.who} tries to {found.tried}: {found.happened}"
    if found.verdict == "ok":
        return [happened, f"enforced by {by}"]
    if found.verdict == "unsure":
        raise Warn(
            happened,
            cause="students' pods were kept apart by something that nodisk does not know, or by chance",
            look="nodisk kubectl get daemonsets -A",
        )
    if found.verdict == "gap":
        raise Warn(
            happened,
            cause="students' pods can reach each other: this pod network enforces no NetworkPolicy by itself",
            look="nodisk kubectl get daemonsets -A",
        )
    if found.verdict == "untried" or by is None:
        raise Failed(happened, look="nodisk kubectl get events -A --sort-by=.lastTimestamp")
    if by.missing:
        raise Failed(happened, cause=by.missing, look=by.pods)
    name, look = by.name, f"nodisk kubectl -n {by.namespace} logs daemonset/{by.name} --tail=20"
    where, there = "", "its nodes"
    if 0 < len(bad) < nodes:
        where, there = f" on {', '.join(bad)}", "there"
        look = f"nodisk kubectl -n {by.namespace} get pods -o wide --field-selector=spec.nodeName={bad[0]}"
    why = f"it may not reach the API from {there}"
    if not by.namespace:
        why = "a machine's rules may be gone, or older than the policies"
        look = by.pods.replace("NODE", bad[0]) if bad else by.pods
    cause = f"{name} is there and does not keep students' pods apart{where}: {why}"
    raise Failed(happened, cause=cause, look=look)


@dataclass(frozen=True, slots=True)
class Turn:
    """One ring: a pod of each student on each seat, asked whom it reaches, and deleted."""

    scene: Scene
    students: Sequence[tuple[Tester, str]]
    """Each with the namespace; the first's pods try to reach the second's."""
    seats: Sequence[str]
    """The node of each."""
    late: dict[str, str]
    """Node → why nobody could try there: filled in."""

    def ways(self, deadline: Deadline) -> list[Way]:
        """What the pods found that ran within the deadline, less the time that the asking takes."""
        with self._pods():
            keep = min(ASKING * self.scene.pace, deadline.left / 2)
            addresses = self._addresses(Deadline(deadline.left - keep))
            there = [seat for seat in range(len(self.seats)) if all((n, seat) in addresses for n in (0, 1))]
            nodes = [self.seats[seat] for seat in there]
            return ring.ways(nodes, self._answers(there, addresses))

    def _name(self, seat: int) -> str:
        return f"{APP}-{seat}-{self.seats[seat]}"

    @contextmanager
    def _pods(self) -> Iterator[None]:
        every = [(tester, space, seat) for seat in range(len(self.seats)) for tester, space in self.students]

        def create(one: tuple[Tester, str, int]) -> None:
            tester, space, seat = one
            tester.client.create(pod(self._name(seat), space, self.seats[seat]))

        def delete(one: tuple[Tester, str, int]) -> None:
            tester, space, seat = one
            tester.client.delete("v1", "Pod", self._name(seat), namespace=space, grace=0)

        try:
            for (_, _, seat), error in zip(every, in_parallel(create, every), strict=True):
                self._note(self.seats[seat], error)
            yield
        finally:
            in_parallel(delete, every)  # what fails goes with its namespace

    def _note(self, node: str, result: object) -> None:
        if isinstance(result, NodiskError):
            self.late.setdefault(node, result.message)
        elif isinstance(result, Exception):
            raise result

    def _addresses(self, deadline: Deadline) -> dict[tuple[int, int], str]:
        """(student, seat) → the address of each pod that runs in time."""
        seat_of = {self._name(seat): seat for seat in range(len(self.seats))}
        while True:
            pods = [
                ((student, seat_of[one["metadata"]["name"]]), one)
                for student, (_, space) in enumerate(self.students)
                for one in self.scene.client.list("v1", "Pod", namespace=space)
                if one["metadata"]["name"] in seat_of
            ]
            found = {key: _address(one) for key, one in pods if _address(one)}
            # Who could not be created, or has ended, is not waited for.
            missing = [(key, one) for key, one in pods if key not in found]
            waiting = any((one.get("status") or {}).get("phase") not in ("Failed", "Succeeded") for _, one in missing)
            if not waiting or not deadline.pause(0.5):
                for (_, seat), one in missing:
                    why = f"the pod does not run in the time that there is: {pod_trouble(one)}"
                    self.late.setdefault(self.seats[seat], why)
                return found

    def _answers(self, there: Sequence[int], addresses: Mapping[tuple[int, int], str]) -> list[Answers | None]:
        # A machine that is slow to connect must not pass for one that keeps pods apart.
        limit = round(min(20.0, 4 + self.scene.pace))
        after = {seat: there[(number + 1) % len(there)] for number, seat in enumerate(there)}

        def ask(key: tuple[int, int]) -> set[str]:
            student, seat = key
            others = f"here={addresses[1, seat]} across={addresses[1, after[seat]]}" if student == 0 else ""
            own = addresses[student, after[seat]]
            script = SCRIPT.format(port=ECHO_PORT, own=own, others=others, limit=limit)
            space, within = self.students[student][1], ASKING * self.scene.pace
            return set(self.scene.exec(self._name(seat), script, space=space, timeout=within).split())

        # The second student's answer at once, the first's pods try for a while.
        keys = [(student, seat) for student in (1, 0) for seat in there]
        said = dict(zip(keys, in_parallel(ask, keys, workers=AT_ONCE), strict=True))
        for (_, seat), result in said.items():
            self._note(self.seats[seat], result)
        return [_told(said[0, seat], said[1, seat]) for seat in there]


def _told(first: set[str] | Exception, second: set[str] | Exception) -> Answers | None:
    if isinstance(first, Exception) or isinstance(second, Exception):
        return None
    return Answers(mine="own" in first, theirs="own" in second, here="here" in first, across="across" in first)


def _address(pod: Object) -> str:
    status = pod.get("status") or {}
    return str(status.get("podIP") or "") if status.get("phase") == "Running" else ""


def pod(name: str, space: str, node: str) -> Object:
    """An echo server that the scheduler puts on that node, as far as the node takes pods."""
    main = manifests.container()
    # To the policies kubelet can be a stranger: the address that it asks from is in the pods' range.
    del main["readinessProbe"]
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    there = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]}}
    return manifests.pod(name, space, manifests.pod_spec(main, affinity={"nodeAffinity": there}), {"app": APP})
