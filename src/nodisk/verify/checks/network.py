"""Who reaches whom: pods across nodes, the Service's address, the port on every node, names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from nodisk.assets import built
from nodisk.assets.container_images import ECHO_PORT
from nodisk.errors import CommandFailed, NodiskError, TimedOut
from nodisk.kube.client import Object
from nodisk.kube.errors import NotFound
from nodisk.plan import network as plan
from nodisk.plan.daemons_dnsmasq import domain
from nodisk.verify.checks.pods import APP, echoes, echoes_everywhere
from nodisk.verify.core import Failed, Skip
from nodisk.verify.scene import Scene
from nodisk.waiting import Deadline

log = logging.getLogger(__name__)


def _script(targets: Mapping[str, str], timeout: int) -> str:
    """Ask all targets at once; each prints a line ``KEY|the pod that answered``, or ``KEY|!|wget's message``.

    ``timeout`` ends wget from outside: its own ``-T`` crashes in Debian 12's busybox-static.
    """
    who = "sed -n 's/^pod: //p'"
    asks = [
        f"( said=$(timeout {timeout} wget -q -O - http://{url}/ 2>&1) "
        f'&& echo "{key}|$(echo "$said" | {who})" || echo "{key}|!|${{said:-no answer within {timeout} s}}" ) &'
        for key, url in targets.items()
    ]
    return "\n".join((*asks, "wait"))


def _ask(scene: Scene, pod: str, targets: Mapping[str, str]) -> dict[str, tuple[bool, str]]:
    """Target → (whether it answered, the pod that did or the error).

    An exec that fails, or hangs, is tried twice more: a kubelet that heard nothing from the API for a while drops the
    connections that it has, and with them whatever it executes.
    """
    timeout = round(min(15.0, 3 + scene.pace))
    tries, deadline = 3, Deadline(scene.clock.left)
    while True:
        try:
            printed = scene.exec(pod, _script(targets, timeout), timeout=timeout + 10 * scene.pace)
            break
        except (CommandFailed, TimedOut) as error:
            tries -= 1
            if tries == 0 or not deadline.pause(2):
                raise
            log.info("%s; tried again", error.message)
    found = {}
    for line in printed.splitlines():
        key, bar, answer = line.partition("|")
        if bar and key in targets:
            found[key] = (False, answer[2:]) if answer.startswith("!|") else (bool(answer), answer or "another answer")
    return {key: found.get(key, (False, "no answer")) for key in targets}


def pods(scene: Scene) -> list[str]:
    """The matrix of requests from the pod on each node to the pod on each node."""
    found = echoes_everywhere(scene)
    urls = {node: f"{pod['status']['podIP']}:{ECHO_PORT}" for node, pod in found.items()}
    expected = {node: pod["metadata"]["name"] for node, pod in found.items()}
    matrix: dict[str, dict[str, tuple[bool, str]]] = {}
    rest = set(found)

    def attempt() -> str | None:
        matrix.update(scene.in_parallel(lambda node: _ask(scene, expected[node], urls), sorted(rest)))
        bad = list(_broken(matrix, expected))
        rest.clear()
        rest.update(source for source, _, _ in bad)
        return "; ".join(f"{a} → {b}" for a, b, _ in bad) or None

    try:
        # One retry tells a packet that was lost from a way that isn't there; more would only take time.
        scene.clock.until(attempt, every=1, keep=scene.clock.left * 0.6)
    except TimedOut as error:
        bad = list(_broken(matrix, expected))
        raise Failed(
            *(f"{source} → {target}: {words}" for source, target, words in bad),
            **_blame(scene, [(source, target) for source, target, _ in bad], set(found)),
        ) from error
    rows = [f"{source} → {', '.join(sorted(row))}" for source, row in sorted(matrix.items())]
    return [f"{len(found) ** 2} of {len(found) ** 2} pairs answer", *rows]


def _broken(
    matrix: Mapping[str, Mapping[str, tuple[bool, str]]], expected: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for source, row in sorted(matrix.items()):
        for target, (good, words) in sorted(row.items()):
            if not good:
                yield source, target, words
            elif words != expected[target]:
                yield source, target, f"answered by {words} instead of {expected[target]}"


def _blame(scene: Scene, pairs: list[tuple[str, str]], nodes: set[str]) -> dict[str, str]:
    """Which machine's route or bridge is broken. A lost route breaks the way there and the answers' way back."""
    inside = {a for a, b in pairs if a == b}
    if inside:
        node = min(inside)
        why = f"the bridge or the pods of {node} don't answer even on {node} itself"
        return {"cause": why, "look": f"nodisk ssh {node} ip -brief address show cni0"}
    counts = {node: sum(node in pair for pair in pairs) for node in nodes}
    worst = max(sorted(counts), key=lambda node: counts[node])
    others = sorted({b if a == worst else a for a, b in pairs if worst in (a, b)})
    other = others[0] if others else worst
    machine = scene.context.lab.machine(other)
    range_ = plan.pod_range(scene.context.lab, machine) if machine else "its pods"
    if len(others) == 1:
        why = f"{worst} or {other} has no route to the other's pods"
        mine = scene.context.lab.machine(worst)
        back = plan.pod_range(scene.context.lab, mine) if mine else "its pods"
        look = f"nodisk ssh {worst} ip route get {_first(range_)}; nodisk ssh {other} ip route get {_first(back)}"
        return {"cause": why, "look": look}
    why = f"{worst} lost its routes to other machines' pods, or a firewall on it drops what it forwards"
    return {"cause": why, "look": f"nodisk ssh {worst} 'ip route; sudo nft list ruleset'"}


def _first(range_: object) -> str:
    return str(range_).split("/", 1)[0].rsplit(".", 1)[0] + ".2"


def _service(scene: Scene) -> Object:
    try:
        return scene.client.get("v1", "Service", APP, namespace=scene.space)
    except NotFound as error:
        raise Skip("there is no Service of the echo pods: see the check pods") from error


def service(scene: Scene) -> list[str]:
    """The Service's address from a pod on every node."""
    found = echoes(scene)
    address = _service(scene)["spec"]["clusterIP"]
    names = {node: pod["metadata"]["name"] for node, pod in found.items()}
    # Several asks a node: an endpoint that doesn't answer is met by chance only.
    targets = {str(place): address for place in range(min(12, 3 * len(found)))}
    answers: dict[str, dict[str, tuple[bool, str]]] = {}

    def attempt() -> str | None:
        late = [node for node in names if not all(good for good, _ in answers.get(node, {"": (False, "")}).values())]
        answers.update(scene.in_parallel(lambda node: _ask(scene, names[node], targets), late))
        bad = [node for node in names if not all(good for good, _ in answers[node].values())]
        return f"{address} does not always answer from {', '.join(bad)}" if bad else None

    try:
        scene.clock.until(attempt, every=1, keep=scene.clock.left / 3)
    except TimedOut as error:
        lines = []
        for node, row in sorted(answers.items()):
            lost = [words for good, words in row.values() if not good]
            if lost:
                lines.append(f"{node}: {len(lost)} of {len(row)} asks of {address} failed ({lost[0]})")
        node = lines[0].split(":", 1)[0] if lines else "NODE"
        raise Failed(
            *(lines or [error.message]),
            cause=f"kube-proxy on {node} hasn't its rules, or an endpoint behind the Service can't be reached",
            look=f"nodisk ssh {node} systemctl status kube-proxy; nodisk kubectl get endpoints -A",
        ) from error
    reached = {words for row in answers.values() for _, words in row.values()}
    return [f"{address} answers from {len(answers)} nodes; {len(reached)} of {len(found)} pods were met"]


def node_port(scene: Scene) -> list[str]:
    """The Service's port on every node's address, from the server's side of the wire."""
    echoes(scene)
    port = _service(scene)["spec"]["ports"][0]["nodePort"]
    machines = {str(one.name): str(one.address) for one in scene.context.lab.machines}
    answers: dict[str, dict[str, object]] = {name: {"ok": False, "error": "not asked"} for name in machines}

    def attempt() -> str | None:
        late = [name for name in machines if not answers[name]["ok"]]
        timeout = min(10.0, 2 + scene.pace)
        wishes = [{"kind": "http", "host": machines[name], "port": port, "timeout": timeout} for name in late]
        answers.update(zip(late, scene.probe(wishes), strict=True))
        bad = [name for name in machines if not answers[name]["ok"]]
        return f"{port} does not answer on {', '.join(bad)}" if bad else None

    try:
        # As in ``pods``: a few tries tell a lost packet from a port that is blocked; more would only take time.
        scene.clock.until(attempt, every=1, keep=scene.clock.left * 0.6)
    except TimedOut as error:
        bad = [name for name in machines if not answers[name]["ok"]]
        lines = [f"http://{machines[name]}:{port}/ ({name}) from outside: {answers[name]['error']}" for name in bad]
        raise Failed(
            *lines,
            cause=f"something blocks port {port} on {bad[0]} (a firewall rule), or its kube-proxy doesn't run",
            look=f"nodisk ssh {bad[0]} 'sudo nft list ruleset; systemctl status kube-proxy'",
        ) from error
    return [f"{name}:{port} → {_pod(str(answer['body']))}" for name, answer in answers.items()]


def _pod(body: str) -> str:
    return next((line.removeprefix("pod: ") for line in body.splitlines() if line.startswith("pod: ")), "?")


def dns(scene: Scene) -> list[str]:
    """The names of two Services and of the lab's server, from a pod on every node."""
    _service(scene)
    wanted = (
        "kubernetes.default.svc.cluster.local",
        f"{APP}.{scene.space}.svc.cluster.local",
        f"server.{domain(scene.context.lab)}",
    )
    names = {node: pod["metadata"]["name"] for node, pod in echoes(scene).items()}
    script = " && ".join(f"nslookup {name} >/dev/null" for name in wanted)
    bad: dict[str, str] = {}

    def ask(node: str) -> str:
        try:
            scene.exec(names[node], script, timeout=scene.clock.left)
        except NodiskError as error:
            bad[node] = error.message.splitlines()[-1]
        return node

    scene.in_parallel(ask, names)
    if bad:
        if built.release_facts(scene.context.state.state, scene.context.lab).has_dns:
            cause = "CoreDNS doesn't run or can't be reached from there"
            look = "nodisk kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide"
        else:
            cause = "the server's unbound doesn't run or can't be reached from there"
            look = "nodisk kubectl -n kube-system get service,endpoints kube-dns; nodisk events"
        raise Failed(
            *(f"{node}: {words}" for node, words in sorted(bad.items())),
            cause=cause,
            look=look,
        )
    return [f"{', '.join(wanted)} from {len(names)} nodes"]
