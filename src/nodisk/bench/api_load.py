"""The API under a stated load, from its own histograms; and etcd's fsync over the same period."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from nodisk import ports, run
from nodisk.bench.metrics import Scrape, parse
from nodisk.bench.result import Measurement, Series
from nodisk.bench.stage import REQUESTS, Stage
from nodisk.errors import NodiskError
from nodisk.kube.errors import ApiError
from nodisk.verify import manifests

WORKERS = 4
FEW = 20
"""A resource with fewer calls has no meaningful percentile; it is shown without a verdict."""
ENOUGH_FAILED = 20
"""Number of failed cycles after which the load is aborted."""
_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE", "APPLY"})
# Long by nature: the official SLI leaves them out.
_STREAMS = frozenset({"WATCH", "WATCHLIST", "CONNECT", "PROXY"})
_STREAMING = frozenset({"exec", "log", "proxy", "portforward", "attach"})


def api(stage: Stage) -> list[Measurement]:
    """Cycles of create, get, patch, list and delete of ConfigMaps and reads of pods and nodes, at the stated rate."""
    profile, client, space = stage.profile, stage.scene.client, stage.scene.space
    rate = profile.api_rate / stage.pace
    failed: list[ApiError] = []

    def cycle(number: int) -> None:
        try:
            calls(number)
        except ApiError as error:
            failed.append(error)

    def calls(number: int) -> None:
        name = f"load-{number}"
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifests.meta(name, space)}
        client.create(made | {"data": {"text": "x" * 1000}})
        client.get("v1", "ConfigMap", name, namespace=space)
        client.patch("v1", "ConfigMap", name, {"data": {"more": str(number)}}, namespace=space)
        client.list("v1", "Pod") if number % 2 else client.list("v1", "ConfigMap", namespace=space)
        client.get("v1", "Namespace", space)
        client.delete("v1", "ConfigMap", name, namespace=space)

    before = stage.scrape()
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        futures = []
        for number in range(profile.api_calls):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            futures.append(pool.submit(cycle, number))
            if len(failed) >= ENOUGH_FAILED:  # each may have waited long for an API that is gone
                pool.shutdown(cancel_futures=True)
                raise failed[0]
        for future in futures:
            future.result()
    seconds = time.monotonic() - began
    between = stage.scrape().since(before)
    load = f"{profile.api_calls / seconds:.1f} cycles of 6 calls a second for {seconds:.0f} s, {WORKERS} clients"
    return [
        _measurement("api_mutating_p99", between, load, len(failed)),
        _measurement("api_get_p99", between, load, 0),
        _measurement("api_list_p99", between, load, 0),
    ]


def _measurement(name: str, between: Scrape, load: str, lost: int) -> Measurement:
    series = []
    for (verb, resource, sub), histogram in sorted(between.by(REQUESTS, "verb", "resource", "subresource").items()):
        group = "api_mutating_p99" if verb in _MUTATING else {"GET": "api_get_p99", "LIST": "api_list_p99"}.get(verb)
        if group == name and resource and verb not in _STREAMS and sub not in _STREAMING:
            labels = {"verb": verb, "resource": f"{resource}/{sub}" if sub else resource}
            series.append(Series(labels, histogram=histogram))
    judged = [(one.histogram, one) for one in series if one.n >= FEW and one.histogram is not None]
    if not judged:
        return Measurement(name, None, note=f"no resource had {FEW} such calls", lost=lost)
    histogram, worst = max(judged, key=lambda one: one[0].percentile(0.99))
    low, high = histogram.bucket(0.99)
    where = f"{worst.labels['verb']} {worst.labels['resource']}, in the bucket {low:g}–{high:g} s"
    note = f"{load}; worst: {where}"
    return Measurement(name, histogram.percentile(0.99), worst.n, tuple(series), note, lost)


def etcd_scrape(stage: Stage) -> Scrape:
    """etcd's own metrics, read with the server's own client certificate."""
    context = stage.scene.context
    pki, server = context.state.pki, context.lab.network.server
    words = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "20"]
    words += ["--cacert", str(pki / "etcd-ca.crt"), "--cert", str(pki / "etcd-probe.crt")]
    words += ["--key", str(pki / "etcd-probe.key"), f"https://{server}:{ports.ETCD}/metrics"]
    return parse(run.run(words, netns=context.netns).stdout, (FSYNC,))


FSYNC = "etcd_disk_wal_fsync_duration_seconds"


def fsync(before: Scrape | None, after: Scrape | None) -> Measurement:
    """etcd's fsync between two scrapes."""
    name = "datastore_fsync_p99"
    found = None if before is None or after is None else after.since(before).histogram(FSYNC)
    if found is None:
        return Measurement(name, None, note="etcd's metrics could not be read, or it wrote nothing")
    low, high = found.bucket(0.99)
    note = f"in the bucket {low * 1000:g}–{high * 1000:g} ms; mean {found.mean * 1000:.2f} ms"
    return Measurement(name, found.percentile(0.99), found.n, (Series({}, histogram=found),), note)


def try_etcd(stage: Stage) -> Scrape | None:
    """As ``etcd_scrape``; prints a line and returns None if it can't be read."""
    try:
        return etcd_scrape(stage)
    except NodiskError as error:
        stage.say(f"etcd's metrics: {error.message.splitlines()[0]}")
        return None
