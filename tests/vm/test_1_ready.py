"""Power-on to Ready: three diskless machines become a cluster, and everything that a person then does works."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.vm.driver import Driver
from tests.vm.faults import on

from nodisk import run, virtual_record
from nodisk.assets import built
from nodisk.commands.verify import PROOF
from nodisk.plan.budget import budget
from nodisk.plan.facts import Facts

pytestmark = pytest.mark.vm
MIB = 1024**2


def test_all_nodes_are_ready_and_the_proof_passed(vm: Driver) -> None:
    said = vm.file.with_name("up.log").read_text()
    for check in PROOF:
        assert re.search(rf"✓ ok +{check} ", said), said
    assert re.search(r"^cluster works; tested in \d+ s$", said, re.M)
    nodes = {node["metadata"]["name"]: node for node in vm.kubectl("get", "nodes")["items"]}
    assert set(nodes) == {"cp1", "w1", "w2"}
    for name, node in nodes.items():
        conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
        assert conditions["Ready"] == "True", name
    assert "node-role.kubernetes.io/control-plane" in nodes["cp1"]["metadata"]["labels"]
    assert any(taint["effect"] == "NoSchedule" for taint in nodes["cp1"]["spec"]["taints"])


def test_status_tells_the_whole_way(vm: Driver) -> None:
    status = vm.status()
    assert status["counts"] == {"machines": 3, "ready": 3, "failed": 0}
    assert status["alarms"] == 0
    for machine in status["machines"].values():
        way = ["dhcp", "ipxe", "kernel", "rootfs", "config", "os", "enrolled", "joined", "ready"]
        assert list(machine["stages"]) == way
        times = list(machine["stages"].values())
        assert times == sorted(times)


def test_uefi_fetched_the_loader_by_http(vm: Driver) -> None:
    log = vm.context().state.log
    assert "/snponly.efi to 10.78.0.21" not in (log / "dnsmasq.log").read_text(errors="replace"), "not by TFTP"
    fetched = [line for line in (log / "nginx.log").read_text(errors="replace").splitlines() if "/snponly.efi" in line]
    assert fetched
    assert all('"address":"10.78.0.21","method":' in line for line in fetched), fetched


def test_secure_boot_booted_what_debian_signed(vm: Driver) -> None:
    """The chain as the machine tells it; its kernel's lockdown leaves a node what it needs, or it were not Ready."""
    assert vm.reported("w2", ["ipxe"], 0) == "by GRUB"
    told = on(vm, "w2", "cat /sys/kernel/security/lockdown /proc/cmdline")
    assert "[integrity]" in told, "the kernel itself saw that Secure Boot is on"
    assert "BOOT_IMAGE=(http,10.78.0.1)/assets/" in told


def test_machines_stay_within_their_budget(vm: Driver) -> None:
    def reported() -> bool:
        return all(row["ram"] for row in vm.status()["machines"].values())

    vm.wait(reported, "every machine has reported its RAM")
    machines = vm.status()["machines"]
    context = vm.context()
    image, cluster = built.facts(context.state.state, context.lab)
    assert image.rootfs.size <= 110 * MIB
    assert image.initramfs.size <= 5_000_000
    for name in ("w1", "w2"):
        assert machines[name]["ram"]["available"] >= 500, machines[name]["ram"]
        assert sum(machines[name]["loaded"].values()) <= 180 * MIB, machines[name]["loaded"]
    facts = Facts("", image, cluster)
    for machine in context.lab.machines:
        found, measured = budget(context.lab, machine, facts), machines[str(machine.name)]["ram"]
        assert abs(found.free - measured["available"]) <= found.total / 20, (machine.name, found.free, measured)
    for row in machines.values():
        assert row["loaded"]["root.squashfs"] >= image.rootfs.size


def test_ssh_by_name_with_a_checked_host_key(vm: Driver) -> None:
    assert vm("ssh", "w1", "hostname").stdout.strip() == "w1"
    assert vm("ssh", "w2", "exit", "7", check=False).returncode == 7
    assert vm("ssh", "w1", "sudo", "-n", "id", "-u").stdout.strip() == "0"
    nobody = vm("ssh", "printer", check=False)
    assert nobody.returncode == 2
    assert "it has cp1, w1, w2" in nobody.stderr
    # A machine that shows another key than the one that it enrolled with is refused.
    state = vm.context().state
    known = (state.run / "ssh" / "w1.known_hosts").read_text().split()
    other = known[2][:-4] + ("AAAA" if not known[2].endswith("AAAA") else "BBBB")
    words = ["ssh", "-i", str(state.ssh / "id_ed25519"), "-o", f"UserKnownHostsFile={vm.file}.hosts"]
    Path(f"{vm.file}.hosts").write_text(f"w1 {known[1]} {other}\n")
    words += ["-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=w1", "admin@10.78.0.21", "true"]
    assert run.run(words, netns=vm.context().netns, check=False).returncode == 255


def test_nothing_failed_on_the_machines(vm: Driver) -> None:
    asked = (
        "systemctl --failed --no-legend --plain",
        "sudo grep -E '^(root|admin):' /etc/shadow",
        "sudo test -S /run/nri/nri.sock && echo there",
        "sudo journalctl --unit kubelet --output cat | grep -c 'Unable to read config path'; true",
    )
    for name in ("cp1", "w1"):
        # At once: an emulated machine takes seconds for each login.
        failed, shadow, nri, complaints = on(vm, name, "; echo --; ".join(asked)).split("--\n")
        assert failed.strip() == "", f"{name}: {failed}"
        # Nobody can log in without a key: no password of root or admin, no console that logs in by itself.
        assert all(line.split(":")[1][0] in "!*" for line in shadow.splitlines())
        assert len(shadow.splitlines()) == 2
        assert nri == "there\n", f"{name}: containerd's NRI is off, by which an enforcer of policies learns of new pods"
        # kubelet logged this every second; an empty folder of a control plane may be missing while kubeadm begins.
        assert int(complaints) <= 60, name


def test_every_machine_sent_what_it_printed(vm: Driver) -> None:
    for name in ("cp1", "w1", "w2"):
        printed = json.loads(vm("machines", "show", name, "--output", "json").stdout)["printed"]
        assert len(printed["lines"]) >= 5, printed


def test_no_secret_is_on_the_wire_before_enrolment(vm: Driver) -> None:
    state = vm.context().state
    keys = [path.read_text().splitlines()[1] for path in state.pki.glob("*.key")]
    assert keys
    for machine in ("52-54-00-78-00-0b", "52-54-00-78-00-15"):
        for path in (f"/ignition/{machine}", f"/boot/{machine}.ipxe"):
            text = run.run(["curl", "-s", f"http://10.78.0.1{path}"], netns=vm.context().netns).stdout
            assert text
            assert "PRIVATE KEY" not in text
            assert not any(key in text for key in keys)


def test_kubeconfig_works_from_the_host(vm: Driver, tmp_path: Path) -> None:
    out = tmp_path / "admin.kubeconfig"
    vm("kubeconfig", "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    server = yaml.safe_load(out.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")
    context = vm.context()
    program = built.release_bin(context.state.state, context.lab) / "kubectl"
    env = {**os.environ, "KUBECONFIG": str(out)}
    # In the host's own network: no namespace, the port of 127.0.0.1 alone.
    done = subprocess.run([program, "get", "nodes", "-o", "name"], env=env, text=True, capture_output=True, check=True)
    assert sorted(done.stdout.split()) == ["node/cp1", "node/w1", "node/w2"]


def test_kubectl_passes_words_and_status_through(vm: Driver) -> None:
    assert "cp1" in vm("kubectl", "-n", "kube-system", "get", "pods", "-o", "wide").stdout
    assert vm("kubectl", "get", "nothing-like-that", check=False).returncode == 1


def test_top_tells_what_machines_and_pods_use(vm: Driver) -> None:
    """By real kubelets, without an add-on; a kubelet that was too slow for the first question is there later."""

    def told() -> bool:
        done = vm("kubectl", "top", "nodes", "--no-headers", check=False)
        return sorted(row.split()[0] for row in done.stdout.splitlines() if "<unknown>" not in row) == [
            "cp1",
            "w1",
            "w2",
        ]

    vm.wait(told, "kubectl top nodes tells of every machine")
    pods = vm("kubectl", "top", "pods", "-n", "kube-system", "--no-headers").stdout
    used = {row.split()[0]: row.split()[2] for row in pods.splitlines()}
    assert 100 <= int(used["kube-apiserver-cp1"].removesuffix("Mi")) <= 1000


def test_the_hosts_network_is_as_it_was(vm: Driver) -> None:
    assert "10.78." not in run.run(["ip", "address"]).stdout
    assert "10.78." not in run.run(["ip", "route"]).stdout
    links = run.run(["ip", "-o", "link"]).stdout
    assert "lab0" not in links
    assert "tap" not in links


@pytest.fixture(scope="module")
def probe(vm: Driver) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs a program in a pod on w1, with more time than a busy host needs for an answer."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {
            "nodeName": "w1",
            "restartPolicy": "Never",
            "containers": [{"name": "probe", "image": "nodisk/echo:1", "command": ["sleep", "3600"]}],
        },
    }
    path = vm.file.with_name("probe.json")
    path.write_text(json.dumps(manifest))
    vm("kubectl", "apply", "-f", str(path))

    def in_pod(*words: str) -> subprocess.CompletedProcess[str]:
        return vm("kubectl", "exec", "probe", "--", "timeout", "150", *words, check=False)

    try:
        vm("kubectl", "wait", "--for=condition=Ready", "pod/probe", "--timeout=580s")
        yield in_pod
    finally:
        vm("kubectl", "delete", "pod", "probe", "--grace-period=0", "--force")


def test_a_pod_finds_services_and_the_lab_by_name(
    vm: Driver, probe: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """By its own resolv.conf: the release has no CoreDNS, so the server answers behind the Service kube-dns."""
    said = probe("cat", "/etc/resolv.conf").stdout
    assert "nameserver 10.96.0.10\n" in said
    assert "default.svc.cluster.local svc.cluster.local cluster.local" in said
    assert "ndots:5" in said
    lab = vm.context().lab.name
    wanted = {"kubernetes.default.svc.cluster.local": "10.96.0.1", f"server.{lab}.internal": "10.78.0.1"}
    for name, address in wanted.items():

        def answered(name: str = name, address: str = address) -> bool:
            return f"Address: {address}\n" in probe("nslookup", name).stdout

        vm.wait(answered, f"{name} is answered")


def test_pods_cannot_reach_the_servers_private_ports(
    vm: Driver, probe: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """From a pod's network API and DNS answer; boot files, storage, etcd, registry, enrolment and TFTP don't."""
    server = "10.78.0.1"

    def statuses(*commands: str) -> list[int]:
        """Their exit statuses, all asked for at once: on an emulated machine each exec takes seconds."""
        script = "; ".join(f"timeout 20 {command} >/dev/null 2>&1; echo $?" for command in commands)
        return [int(line) for line in probe("sh", "-c", script).stdout.split()]

    def dials(*ports: int) -> list[str]:
        return [f"nc {server} {port} -e true" for port in ports]

    def rejected() -> int:
        found = re.search(r"counter packets (\d+)", on(vm, "w1", "sudo nft list chain ip nodisk server"))
        assert found
        return int(found[1])

    answers = [*dials(6443, 53, 1053), f"nslookup server.{vm.context().lab.name}.internal {server}"]
    vm.wait(lambda: statuses(*answers) == [0] * len(answers), "API and names answer a pod")

    # TFTP apart: it asks again, and one that was counted twice must not stand for one that the machine let through.
    for commands in (dials(80, 2049, 2379, 5000, 6444, 6446), [f"tftp -g -l /dev/null -r undionly.kpxe {server}"]):

        def counted(commands: list[str] = commands) -> bool:
            """Turned away by the machine, and not only closed; what did not start, as the host is busy, comes anew."""
            before, found = rejected(), statuses(*commands)
            assert 0 not in found, (commands, found)
            return len(found) == len(commands) and rejected() >= before + len(commands)

        vm.wait(counted, f"the machine rejects a pod's {commands}")


def test_machines_reach_services_from_their_own_network(vm: Driver) -> None:
    """As a pod in the host's network does: the room has no gateway, and so no other way there."""
    assert vm.context().lab.network.gateway is None
    for name in ("cp1", "w1"):
        assert on(vm, name, "timeout 20 bash -c 'exec 3<>/dev/tcp/10.96.0.1/443 && echo reached'") == "reached\n"


def test_api_certificate_is_checked_by_the_labs_own_ca(vm: Driver) -> None:
    record = virtual_record.read(vm.context().state)
    assert record is not None
    context = ssl.create_default_context()  # the host's CAs don't know it
    with (
        socket.create_connection(("127.0.0.1", record.api_port), timeout=10) as link,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(link, server_hostname="127.0.0.1")


def test_a_second_lab_up_changes_nothing(vm: Driver) -> None:
    before = vm.boot_ids()
    assert shutil.which("qemu-system-x86_64")
    done = vm("lab", "up", "--no-proof")
    assert "powered on" not in done.stderr
    assert vm.boot_ids() == before
