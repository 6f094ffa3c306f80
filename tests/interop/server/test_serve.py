"""The server's life: start, files, deaths and restarts, ports that are taken, and nothing left at the end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room, make_store
from tests.support.waits import until

from nodisk import run
from nodisk.records.events import Kind
from nodisk.values import Stage

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"
PROGRAMS = ("etcd ", "docker-registry ", "nginx: master", "nginx: worker", "dnsmasq ", "chronyd ", "unbound ")


def said(room: Room, kind: Kind, *, after: int = 0) -> list[str]:
    with room.database() as database:
        return [event.detail for event in database.events(after=after, kinds=(kind,))]


def test_all_daemons_run_and_only_on_the_lab_s_address(room: Room) -> None:
    running = room.daemons().values()
    for program in PROGRAMS:
        assert any(program in words for words in running), program
    listening = run.run(["ss", "-Hlntu"], netns=room.name).stdout.splitlines()
    addresses = {re.split(r"\s+", line)[4] for line in listening}
    # DHCP alone listens on every address of the card (its clients have none yet); dnsmasq on its link-local one too.
    other = {address for address in addresses if SERVER not in address and not address.startswith("[fe80::")}
    assert other == {"0.0.0.0%lan:67", "127.0.0.1:2380", "127.0.0.1:6445"}


def test_nginx_works_unprivileged(room: Room) -> None:
    for pid, words in room.daemons().items():
        try:
            uid = Path(f"/proc/{pid}").stat().st_uid
        except FileNotFoundError:  # One that ran for a moment only.
            continue
        own = ("dnsmasq ", "unbound ")
        assert (uid != 0) == ("nginx: worker" in words or words.startswith(own)) or "chronyd" in words


def test_what_a_machine_booted_with_is_remembered_whole(room: Room) -> None:
    w1, mac = f"{room.name}-w1", room.machine("w1").mac
    room.curl(w1, f"http://{SERVER}/boot/{mac.hyphened}.ipxe")
    room.curl(w1, f"http://{SERVER}/ignition/{mac.hyphened}")
    with room.database() as database:
        served = database.served(mac)
    assert set(served) >= {
        *("script", "ignition", "dnsmasq.conf", "nginx.conf", "etcd.yaml", "registry.yaml", "chrony.conf"),
    }
    assert served["dnsmasq.conf"] == (room.state.conf / "dnsmasq.conf").read_text()
    assert room.nodisk("render", "w1", "--diff").stdout == "No changes since w1 last booted.\n"


def test_a_machine_fetches_its_files(room: Room) -> None:
    w1 = f"{room.name}-w1"
    assert f"chain --replace --autofree http://{SERVER}/boot/" in room.curl(w1, f"http://{SERVER}/boot.ipxe")
    script = room.curl(w1, f"http://{SERVER}/boot/52-54-00-99-00-21.ipxe")
    url = re.search(r"nodisk.rootfs=(\S+)", script)
    assert url is not None
    whole = room.folder / "whole"
    room.curl(w1, "-o", str(whole), url[1])
    assert run.run(["sha256sum", whole]).stdout.split()[0] in url[1]
    part = room.folder / "part"
    headers = room.curl(w1, "-D", "-", "-r", "1000000-", "-o", str(part), url[1])
    assert "206 Partial Content" in headers
    assert "immutable" in headers
    assert part.read_bytes() == whole.read_bytes()[1_000_000:]
    with room.database() as database:
        until(lambda: database.traffic(room.machine("w1").mac).get("root.squashfs") == 5_000_000)
        assert database.events(mac=room.machine("w1").mac, kinds=(Kind.STAGE,))[-1].stage is Stage.IPXE
        assert "nodisk.nonce" not in database.served(room.machine("w1").mac)["script"]


def test_the_nic_that_a_machine_boots_from_is_remembered(room: Room) -> None:
    w1, machine = f"{room.name}-w1", room.machine("w1")
    assert ".ipxe?busid=${netX/busid}&" in room.curl(w1, f"http://{SERVER}/boot.ipxe")
    for busid in ("01:10:ec:81:68", "", "$(reboot)"):
        room.curl(w1, "-G", "--data-urlencode", f"busid={busid}", f"http://{SERVER}/boot/{machine.mac.hyphened}.ipxe")
    with room.database() as database:
        assert database.nics() == {machine.mac: "pci:10ec:8168"}


def test_an_ignition_config_is_served_and_remembered(room: Room) -> None:
    text = room.curl(f"{room.name}-w1", f"http://{SERVER}/ignition/52-54-00-99-00-21")
    assert json.loads(text)["ignition"]["version"].startswith("3.")
    with room.database() as database:
        assert database.served(room.machine("w1").mac)["ignition"] == text
    for secret in ("PRIVATE KEY", "nodisk.nonce"):
        assert secret not in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/boot/52-54-00-99-00-2.ipxe", "400"),
        ("/boot/53-54-00-99-00-21.ipxe", "400"),
        ("/boot/..%2f..%2fpki%2fsa.key.ipxe", "400"),
        ("/boot/%00.ipxe", "400"),
        ("/boot/52-54-00-99-00-21", "404"),
        ("/ignition/52-54-00-99-00-66", "404"),
        ("/ignition/x", "400"),
        ("/assets/../nodisk.db", "404"),
        ("/assets/..%2f..%2flabs/test/pki/sa.key", "400"),
        ("/ipxe/../../pki/sa.key", "400"),
        ("/assets/", "403"),
        ("/nodisk.db", "404"),
        ("/event", "405"),
        ("/boot/" + "a" * 9000, "414"),
    ],
)
def test_hostile_paths(room: Room, path: str, status: str) -> None:
    words = ["--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", f"http://{SERVER}{path}"]
    assert room.curl(f"{room.name}-w1", *words) == status


def test_an_unknown_machine_gets_its_menu_and_is_noted(room: Room) -> None:
    stranger = f"{room.name}-stranger"
    script = room.curl(stranger, f"http://{SERVER}/boot/52-54-00-99-00-66.ipxe")
    assert "does not know this machine (52:54:00:99:00:66)" in script
    assert "kernel " not in script
    room.curl(stranger, f"http://{SERVER}/boot/52-54-00-99-00-66.ipxe?serial=A%0A1&manufacturer=ACME")
    with room.database() as database:
        found = database.events(kinds=(Kind.UNKNOWN,))[-1]
    assert (str(found.mac), found.detail) == (
        "52:54:00:99:00:66",
        "manufacturer ACME, serial A?1; to add it: nodisk machines adopt 52:54:00:99:00:66",
    )


def post(room: Room, namespace: str, *fields: str) -> str:
    data = [word for field in fields for word in ("--data-urlencode", field)]
    return room.curl(
        f"{room.name}-{namespace}", *data, "-o", "/dev/null", "-w", "%{http_code}", f"http://{SERVER}/event"
    )


def test_events_are_believed_from_the_machine_itself_only(room: Room) -> None:
    mac, boot = "mac=52-54-00-99-00-11", "boot_id=01234567-89ab-cdef-0123-456789abcdef"
    assert post(room, "cp1", mac, boot, "stage=os", "detail=zażółć", 'ram={"total": 2000, "available": 900}') == "200"
    assert post(room, "w1", mac, boot, "stage=ready") == "403"
    assert post(room, "cp1", mac, "stage=nonsense") == "400"
    assert post(room, "cp1", mac, "stage=os", 'ram={"total": "many"}') == "400"
    assert post(room, "cp1", mac, "stage=os", "boot_id=1") == "400"
    assert post(room, "cp1", "stage=os") == "400"
    assert post(room, "cp1", mac, "stage=os", "detail=" + "x" * 20000) == "413"
    cp1 = room.machine("cp1").mac
    with room.database() as database:
        last = database.events(mac=cp1, kinds=(Kind.STAGE,))[-1]
        assert (last.stage, last.detail, last.machine) == (Stage.OS, "zażółć", "cp1")
        assert database.ram(cp1) == {"total": 2000, "available": 900}
    assert any("reports an event of cp1" in text for text in said(room, Kind.ALARM))


def test_a_flood_of_events_is_cut(room: Room) -> None:
    url = f"http://{SERVER}/event"
    words = ["-d", "mac=52-54-00-99-00-21&stage=os", "-o", "/dev/null", "-w", "%{http_code}\n"]
    began = time.monotonic()
    statuses = room.curl(
        f"{room.name}-w1", *(word for _ in range(60) for word in (*words, url, "--next")), "-o", "/dev/null", url
    )
    taken = statuses.split().count("200")
    assert set(statuses.split()) <= {"200", "429"}
    assert 1 <= taken <= 31 + (time.monotonic() - began), "thirty at once, and then one in each second"
    with room.database() as database:
        told = [event for event in database.events(mac=room.machine("w1").mac) if event.stage is Stage.OS]
    assert len(told) == taken


def test_only_the_server_may_push_to_the_registry(room: Room) -> None:
    until(lambda: any("images added" in text for text in said(room, Kind.DAEMON)))
    ca = str(room.state.pki / "server-ca.crt")
    status = ["--cacert", ca, "-o", "/dev/null", "-w", "%{http_code}"]
    base = f"https://{SERVER}:5000/v2/pause"
    accept = "Accept: application/vnd.oci.image.manifest.v1+json"
    assert room.curl(f"{room.name}-w1", *status, "-H", accept, f"{base}/manifests/3.2") == "200"
    assert room.curl(f"{room.name}-w1", *status, "-X", "POST", f"{base}/blobs/uploads/") == "403"
    assert room.curl(f"{room.name}-w1", *status, "-X", "DELETE", f"{base}/manifests/3.2") == "403"
    assert room.curl(room.name, *status, "-X", "POST", f"{base}/blobs/uploads/") == "202"


def test_an_image_that_changed_under_its_tag_is_pushed_again(empty_room: Room) -> None:
    """``source: path`` with another archive of the same name; and what has not changed is left alone."""
    accept = ["-D", "-", "-o", "/dev/null", "-H", "Accept: application/vnd.oci.image.manifest.v1+json"]
    ca = str(empty_room.state.pki / "server-ca.crt")

    def serve_once(*, pushes: int) -> str:
        with empty_room.database() as database:
            last = max((event.id for event in database.events()), default=0)

        def pushed() -> list[str]:
            return [line for line in said(empty_room, Kind.DAEMON, after=last) if "images added" in line]

        empty_room.start()
        until(lambda: len(pushed()) == pushes)
        answer = empty_room.curl(
            empty_room.name, "--cacert", ca, *accept, f"https://{SERVER}:5000/v2/pause/manifests/3.2"
        )
        assert empty_room.stop() == 0
        assert len(pushed()) == pushes
        found = re.search(r"docker-content-digest: (\S+)", answer, re.IGNORECASE)
        assert found is not None
        return found[1]

    first = serve_once(pushes=1)
    make_store(empty_room.state.state, empty_room.lab)  # the same once more
    assert serve_once(pushes=0) == first
    make_store(empty_room.state.state, empty_room.lab, pause=b"another")
    assert serve_once(pushes=1) != first


def test_names_of_the_lab(room: Room) -> None:
    def ask(name: str) -> list[str]:
        done = run.run(["busybox", "nslookup", name, SERVER], netns=f"{room.name}-w1", check=False)
        return re.findall(r"Address: (10\.99\S+)$", done.stdout, re.MULTILINE)

    assert ask("cp1.test.internal") == ["10.99.0.11"]
    assert ask("server.test.internal") == [SERVER]
    assert ask("nobody.test.internal") == []


def test_the_status_while_no_api_answers(room: Room) -> None:
    value = json.loads(room.nodisk("status", "--output", "json").stdout)
    assert (value["server"], value["api"]) == ("running", "unknown")
    assert [(row["name"], row["node"]) for row in value["machines"]] == [("cp1", "unknown"), ("w1", "unknown")]
    assert "API does not answer" in room.nodisk("status").stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_daemon_that_dies_is_started_again(room: Room, program: str) -> None:
    victims = {
        pid
        for pid, words in room.daemons().items()
        if program in words and not words.startswith("setpriv") and "unshare" not in words
    }
    assert victims
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # a worker of the nginx before
            os.kill(pid, signal.SIGKILL)
    until(
        lambda: any(
            program in words for pid, words in room.daemons().items() if pid not in victims and "unshare" not in words
        )
    )
    if "worker" not in program:
        name = program.split(maxsplit=1)[0].rstrip(":")
        until(lambda: any(text.startswith(f"{name} is running again") for text in said(room, Kind.DAEMON)))
    assert room.curl(f"{room.name}-w1", "--retry", "5", "--retry-all-errors", f"http://{SERVER}/boot.ipxe")


def test_a_second_instance_is_refused(room: Room) -> None:
    second = room.nodisk("serve", check=False)
    assert second.returncode == 5
    assert "the server of test is in use by process" in second.stderr


def test_sigterm_leaves_nothing(empty_room: Room) -> None:
    empty_room.start()
    began = time.monotonic()
    assert empty_room.stop() == 0
    assert time.monotonic() - began < 30
    assert empty_room.daemons() == {}
    assert [path.name for path in empty_room.state.run.iterdir() if path.is_socket()] == []
    assert not (empty_room.state.run / "ready.json").exists()


def test_ctrl_c_while_it_starts(empty_room: Room) -> None:
    server = empty_room.start(wait=False)
    until(lambda: any("etcd" in words for words in empty_room.daemons().values()))
    server.send_signal(signal.SIGINT)
    server.wait(120)
    until(lambda: empty_room.daemons() == {})


def test_ctrl_c_at_any_moment(empty_room: Room) -> None:
    """Also amid an import, where Python may lose it, and amid a daemon's start, which then must leave nothing."""
    for delay in (0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.3, 1.8):
        server = empty_room.start(wait=False)
        time.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        server.send_signal(signal.SIGINT)
        server.wait(120)
        until(lambda: empty_room.daemons() == {})


def test_killed_and_started_again(empty_room: Room) -> None:
    """kill -9 takes the daemons along, at once; the next start binds every port, and etcd's data is there."""
    server = empty_room.start()
    server.kill()
    server.wait()
    until(lambda: empty_room.daemons() == {})
    assert json.loads(empty_room.nodisk("status", "--output", "json").stdout)["server"] == "stopped"
    empty_room.start()
    assert empty_room.stop() == 0


def test_lab_down_keeps_its_hands_off_a_real_room(empty_room: Room) -> None:
    """It was once enough to type it in the room's folder: the lab was disarmed, and --purge took PKI and etcd."""
    state = empty_room.state
    server = empty_room.start()
    empty_room.nodisk("arm", "--for", "always")
    for words in (["down"], ["down", "--purge"], ["up"]):
        done = empty_room.nodisk("lab", *words, check=False)
        assert done.returncode == 2, done.stderr
        assert f"the server of test (pid {server.pid}) is a real room's" in done.stderr
    assert (state.run / "ready.json").exists()
    with empty_room.database() as database:
        assert database.armed()
    assert empty_room.stop() == 0

    for words in (["down"], ["down", "--purge"], ["down", "--purge", "--dry-run"], ["up"]):
        done = empty_room.nodisk("lab", *words, check=False)
        assert done.returncode == 2, done.stderr
        assert "is a real room's: its server last ran on the network interface lan" in done.stderr
        assert "--state DIR" in done.stderr
    assert (state.pki / "ca.key").exists()
    with empty_room.database() as database:
        assert database.armed()


def test_a_port_that_is_taken_is_named_with_its_holder(empty_room: Room) -> None:
    code = f"import socket, time; s = socket.create_server(('{SERVER}', 80)); time.sleep(600)"
    words = [sys.executable, "-c", code]
    holder = run.start(words, log_file=Path("/dev/null"), netns=empty_room.name)
    try:
        until(lambda: f"{SERVER}:80" in run.run(["ss", "-Hlnt"], netns=empty_room.name).stdout)
        done = empty_room.nodisk("serve", check=False)
        assert done.returncode == 4
        assert f"{SERVER}:80/tcp (nginx: files and boot scripts) is in use by python" in done.stderr
        assert f"(process {holder.pid})" in done.stderr
        assert set(empty_room.daemons()) == {holder.pid}
    finally:
        holder.kill()
        holder.wait()


def test_an_address_that_this_host_has_not(empty_room: Room) -> None:
    run.run(["ip", "-n", empty_room.name, "address", "del", f"{SERVER}/24", "dev", "lan"])
    done = empty_room.nodisk("serve", check=False)
    assert done.returncode == 4
    assert f"no network interface of this host has the address {SERVER}" in done.stderr


def test_sighup_reads_lab_yaml_again(empty_room: Room) -> None:
    server = empty_room.start()
    text = empty_room.lab_file.read_text()
    empty_room.lab_file.write_text(text + "  - {name: w2, mac: '525400990022', address: 10.99.0.22}\n")
    server.send_signal(signal.SIGHUP)
    until(lambda: any("reloaded lab.yaml" in line for line in said(empty_room, Kind.DAEMON)))
    empty_room.wait_ready()
    w2 = empty_room.plug("w2", "52:54:00:99:00:22", "10.99.0.22")
    until(lambda: "w2 (worker" in empty_room.curl(w2, f"http://{SERVER}/boot/52-54-00-99-00-22.ipxe"))
    empty_room.lab_file.write_text("name: [")
    server.send_signal(signal.SIGHUP)
    until(lambda: any("was not loaded" in line for line in said(empty_room, Kind.DAEMON)))
    empty_room.wait_ready()
    assert empty_room.stop() == 0


def test_rotating_the_pki_under_a_running_server(empty_room: Room) -> None:
    empty_room.start()
    before = (empty_room.state.pki / "ca.crt").read_text()
    etcd = [pid for pid, words in empty_room.daemons().items() if "/etcd " in words]
    listed = json.loads(empty_room.nodisk("pki", "list", "--output", "json").stdout)["items"]
    assert {item["kind"] for item in listed} == {"authority", "certificate", "key"}
    assert "Would replace" in empty_room.nodisk("pki", "rotate", "--dry-run").stdout
    assert (empty_room.state.pki / "ca.crt").read_text() == before
    assert "The server now uses the new keys" in empty_room.nodisk("pki", "rotate", "--yes").stdout
    until(lambda: any("reloaded lab.yaml" in line for line in said(empty_room, Kind.DAEMON)))
    until(lambda: set(etcd).isdisjoint(empty_room.daemons()))
    empty_room.wait_ready()
    assert (empty_room.state.pki / "ca.crt").read_text() != before
    old = list((empty_room.state.pki / "old").iterdir())
    assert [(folder / "ca.crt").read_text() for folder in old] == [before]
    # The registry answers with a certificate of the new authority.
    ca = str(empty_room.state.pki / "server-ca.crt")
    assert empty_room.curl(
        empty_room.name, "--cacert", ca, "-w", "%{http_code}", f"https://{SERVER}:5000/v2/"
    ).endswith("200")
    assert empty_room.stop() == 0


def test_whoever_starts_it_with_a_strict_umask(empty_room: Room) -> None:
    """nginx' workers enter the server's folders as another user."""
    before = os.umask(0o077)
    try:
        empty_room.start()
    finally:
        os.umask(before)
    assert empty_room.curl(empty_room.name, f"http://{SERVER}/boot.ipxe").startswith("#!ipxe")
