"""The network measured with iperf3 and ping, between nodes and between pods; each node's NIC and MTU."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from nodisk.assets.bench_image import BENCH
from nodisk.bench.result import Measurement, Series
from nodisk.bench.stage import Stage
from nodisk.bench.stats import percentile
from nodisk.errors import CommandFailed, NodiskError, TimedOut
from nodisk.kube.client import Object
from nodisk.verify import manifests

IMAGE_ASKED = f"is {BENCH} in the registry, and this nodisk's? (nodisk build, then restart the server)"
PORT = 15201
"""Not iperf3's default: that port may be in use on the host's network."""
WARM_UP = 1
"""Seconds."""
NODE, POD, SERVICE, SAME = "node–node", "pod–pod", "pod–Service", "same node"
_TIME = re.compile(r"time=([\d.]+) ms")


def _server(stage: Stage, *, host: bool) -> Object:
    main = manifests.container(["sh", "-c", f"while :; do iperf3 -s -p {PORT}; sleep 1; done"], image=BENCH)
    # ping needs a raw socket, which root in a container has by default.
    main["securityContext"] = {"runAsUser": 0}
    main["resources"] = {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "128Mi"}}
    return stage.pod_spec(main, everywhere=True, hostNetwork=host)


def net(stage: Stage) -> list[Measurement]:
    """Ring of neighbours in ``full`` (every node sends to the next), one pair in ``quick``."""
    try:
        hosts = stage.on_all_nodes("net-host", _server(stage, host=True))
        pods = stage.on_all_nodes("net-pod", _server(stage, host=False))
    except TimedOut as error:
        raise TimedOut(f"{error.message}; {IMAGE_ASKED}") from error
    facts = {node: _facts(stage, pod) for node, pod in hosts.items()}
    ring = sorted(hosts)
    if len(ring) < 2:
        names = ("net_tcp", "net_rtt", "pod_network_share")
        return [Measurement(name, None, note="one node: there is no other to speak to") for name in names]
    workers = [node for node in stage.scene.workers() if node in hosts]
    pairs = list(zip(ring, ring[1:] + ring[:1], strict=True))
    if stage.profile.name == "quick":
        pairs = [(workers[0], workers[1])] if len(workers) > 1 else pairs[:1]
    mtu = ", ".join(sorted({f"{one.get('driver', '?')}, MTU {one.get('mtu', '?')}" for one in facts.values()}))
    tcp, share = _tcp(stage, hosts, pods, pairs)
    return [tcp_measure(tcp, f"iperf3; {mtu}; {len(pairs)} pairs"), share, _rtt(stage, hosts, pods, pairs)]


def tcp_measure(rates: Mapping[tuple[str, str], list[float]], note: str) -> Measurement:
    """From (path, streams) → Mbit/s. The value is one stream between pods. Pure."""
    series = tuple(
        Series({"path": path, "streams": streams}, tuple(values)) for (path, streams), values in rates.items() if values
    )
    pod = rates.get((POD, "1")) or []
    if not pod:
        return Measurement("net_tcp", None, series=series, note=f"no stream between pods came through; {note}")
    return Measurement("net_tcp", percentile(pod, 0.5), len(pod), series, note)


def _tcp(
    stage: Stage, hosts: Mapping[str, Object], pods: Mapping[str, Object], pairs: list[tuple[str, str]]
) -> tuple[dict[tuple[str, str], list[float]], Measurement]:
    rates: dict[tuple[str, str], list[float]] = {}
    lost = 0
    services = {to: _service(stage, pods[to], place) for place, (_, to) in enumerate(pairs)}
    for streams in ("1", "4"):
        for source, to in pairs * stage.profile.net_repeats:
            ways = (
                (NODE, hosts[source], stage.scene.address(to)),
                (POD, pods[source], pods[to]["status"]["podIP"]),
                (SERVICE, pods[source], services[to]),
                (SAME, hosts[source], pods[source]["status"]["podIP"]),
            )
            for path, pod, address in ways:
                rate = _iperf(stage, pod, address, streams)
                lost += rate is None
                if rate is not None:
                    rates.setdefault((path, streams), []).append(rate)
    by_node, by_pod = rates.get((NODE, "1")), rates.get((POD, "1"))
    if not by_node or not by_pod:
        return rates, Measurement("pod_network_share", None, note="a path gave no figure", lost=lost)
    share = 100 * percentile(by_pod, 0.5) / percentile(by_node, 0.5)
    return rates, Measurement("pod_network_share", share, len(by_pod), (Series({}, value=share),), "medians", lost)


def _service(stage: Stage, pod: Object, place: int) -> str:
    """A Service for that very pod."""
    name, space, client = f"net-{place}", stage.scene.space, stage.scene.client
    client.patch("v1", "Pod", pod["metadata"]["name"], {"metadata": {"labels": {"net": name}}}, namespace=space)
    made = manifests.service(name, space, app=None, port=PORT)
    made["spec"] |= {"selector": {"net": name}, "ports": [{"port": PORT, "targetPort": PORT, "protocol": "TCP"}]}
    return str(client.apply(made)["spec"]["clusterIP"])


def _iperf(stage: Stage, pod: Object, address: str, streams: str) -> float | None:
    """Mbit/s received; None if there is no connection after three tries (a Service may not be programmed yet).

    The first second is excluded: it is TCP's slow start, and on emulated processors the translation of the program.
    """
    seconds = stage.profile.net_seconds
    name = pod["metadata"]["name"]
    script = f"iperf3 -c {address} -p {PORT} -t {seconds} -O {WARM_UP} -P {streams} -J --connect-timeout 5000"
    for _ in range(3):
        stage.scene.clock.start(WARM_UP + seconds + 15 * stage.pace)
        try:
            return rate_of(stage.scene.exec(name, script))
        except (CommandFailed, TimedOut):
            stage.scene.clock.sleep(1)
    return None


def rate_of(output: str) -> float:
    """Mbit/s from iperf3's JSON, as counted by the receiver. Raises NodiskError if there is none."""
    try:
        return float(json.loads(output)["end"]["sum_received"]["bits_per_second"]) / 1e6
    except (ValueError, KeyError, TypeError) as error:
        raise NodiskError(f"iperf3 gave no result: {output.strip()[-200:]!r}") from error


def _rtt(
    stage: Stage, hosts: Mapping[str, Object], pods: Mapping[str, Object], pairs: list[tuple[str, str]]
) -> Measurement:
    series, lost = [], 0
    for source, to in pairs:
        ways = ((NODE, hosts[source], stage.scene.address(to)), (POD, pods[source], pods[to]["status"]["podIP"]))
        for path, pod, address in ways:
            count = stage.profile.rtt
            stage.scene.clock.start(count + 15 * stage.pace)
            try:
                said = stage.scene.exec(pod["metadata"]["name"], f"ping -c {count} -i 0.2 -W 5 {address}")
            except CommandFailed as error:
                said = error.output
            except TimedOut:
                said = ""
            times = tuple(float(found) for found in _TIME.findall(said))
            lost += count - len(times)
            if times:
                series.append(Series({"node": f"{source} → {to}, {path.split('–')[0]}", "path": path}, times))
    values = [sample for one in series if one.labels["path"] == POD for sample in one.samples]
    if not values:
        return Measurement("net_rtt", None, note="no echo came back", lost=lost)
    note = f"median between pods; p99 {percentile(values, 0.99):.2f} ms"
    return Measurement("net_rtt", percentile(values, 0.5), len(values), tuple(series), note, lost)


def _facts(stage: Stage, pod: Object) -> dict[str, str]:
    """Driver and MTU of the interface that has the node's address."""
    address = stage.scene.address(pod["spec"]["nodeName"])
    script = (
        f"dev=$(ip -o -4 addr | awk '$4 ~ \"^{address}/\" {{print $2}}'); cd /sys/class/net/$dev; "
        'echo "mtu=$(cat mtu)"; echo "driver=$(basename $(readlink -f device/driver) 2>/dev/null || echo $dev)"'
    )
    stage.scene.clock.start(60 * stage.pace)
    try:
        said = stage.scene.exec(pod["metadata"]["name"], script)
    except (CommandFailed, TimedOut):
        return {}
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    stage.nics[pod["spec"]["nodeName"]] = found
    return found
