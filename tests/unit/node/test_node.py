"""What goes into the node image: every script parses, every request is what the server signs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from nodisk import node
from nodisk.pki import profiles
from nodisk.plan import ignition, kubeadm
from nodisk.spec.model import Lab, Machine

SCRIPTS = [
    *(path for path in sorted((node.IMAGE / "usr/lib/nodisk").rglob("*")) if path.is_file()),
    node.DRACUT / "init",
]
UNITS = sorted((node.IMAGE / "usr/lib/systemd/system").glob("*.service"))
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [
            {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"},
            {"name": "w1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21"},
        ],
    }
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    first = script.read_text(encoding="utf-8").splitlines()[0]
    assert first in ("#!/bin/sh", "#!/bin/busybox sh")
    subprocess.run(["dash", "-n", script], check=True)


def test_units_start_what_the_image_has() -> None:
    outside = {"/usr/bin/kubelet", "/usr/bin/kube-proxy", "/usr/bin/ssh-keygen"}
    for unit in UNITS:
        for line in unit.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.startswith("Exec"):
                program = value.split()[0]
                assert program in outside or (node.IMAGE / program.lstrip("/")).is_file(), unit.name


def test_what_a_node_needs_reports_that_it_failed() -> None:
    needed = {"nodisk-enrol", "nodisk-manifests", "nodisk-control-plane"}
    assert (UNITS[0].parent / "nodisk-failed@.service").is_file()
    for name in needed:
        text = (UNITS[0].parent / f"{name}.service").read_text(encoding="utf-8")
        assert "OnFailure=nodisk-failed@%n.service\n" in text
        assert "Restart=on-failure\n" in text
        assert "StartLimitBurst=" in text


@pytest.mark.parametrize(
    ("status", "line", "told"),
    [
        ("2", "tar: No space left on device", "event failed nodisk-enrol: tar: No space left on device\n"),
        ("", "", "event failed nodisk-enrol: oom-kill\n"),
        ("3", "FAILED at enrolled: refused", ""),
    ],
)
def test_a_failed_unit_is_told_once(tmp_path: Path, status: str, line: str, told: str) -> None:
    for program in ("say", "event", "journalctl"):
        says = f"echo '{line}'" if program == "journalctl" else f'echo "{program} $*" >>{tmp_path}/said'
        (tmp_path / program).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / program).chmod(0o755)
    script = (node.IMAGE / "usr/lib/nodisk/unit-failed").read_text(encoding="utf-8")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MONITOR_EXIT_STATUS": status, "MONITOR_SERVICE_RESULT": "oom-kill"}
    words = ["dash", "-c", script.replace("/usr/lib/nodisk", str(tmp_path)), "unit-failed", "nodisk-enrol.service"]
    subprocess.run(words, env=env, check=True)
    said = tmp_path / "said"
    assert ("".join(said.read_text().splitlines(keepends=True)[1:]) if said.exists() else "") == told


class Machine1:
    """The script ``controllers`` on cp1: files below ``folder``, an API of files, and ``sleep`` makes time pass."""

    LEASES = "apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    PARTS = ("kube-controller-manager", "kube-scheduler")

    def __init__(self, folder: Path, *, alone: bool = True, emulated: bool = False) -> None:
        self.folder = folder
        for name in ("bin", "kubernetes/later", "kubernetes/manifests", "nodisk", "api"):
            (folder / name).mkdir(parents=True)
        words = kubeadm.ALONE.words() if alone else ""
        (folder / "nodisk/node.env").write_text(
            f'NAME=cp1\nAPI=https://api\nELECTION_ALONE="{words}"\nELECTION_EMULATED="{kubeadm.EMULATED.words()}"\n'
        )
        election = "".join(
            f"    - --{key.replace('_', '-')}={value}\n" for key, value in kubeadm.SEVERAL.args().items()
        )
        for part in self.PARTS:
            (folder / f"kubernetes/later/{part}.yaml").write_text(f"    - {part}\n{election}    image: x\n")
        (folder / "uptime").write_text("0\n")
        # An answer is a file called as what is asked for, with / as +; NAME.N is the one after N seconds.
        self.program(
            "curl",
            f"""for url; do :; done
            echo "$(cat {folder}/uptime) $*" >>{folder}/asked
            name=$(echo "${{url#https://api/}}" | tr / +)
            for after in $(seq "$(cat {folder}/uptime)" -1 0) ''; do
                if [ -e "{folder}/api/$name${{after:+.$after}}" ]; then
                    cat "{folder}/api/$name${{after:+.$after}}"
                    case $* in *http_code*) printf '\\n200' ;; esac
                    exit 0
                fi
            done
            case $* in *http_code*) printf '\\n404' ;; esac
            exit 22""",
        )
        clock = f"{folder}/uptime"
        self.program(
            "sleep",
            f"""exec 9>{folder}/lock; flock 9
            now=$(cat {clock}); [ "$now" -lt 1000 ] || kill $PPID
            echo $((now + $1)) >{clock}.new; mv {clock}.new {clock}""",
        )
        self.program("systemd-detect-virt", f"echo {'qemu' if emulated else 'none; exit 1'}")
        self.pods("cp1")

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def pods(self, *nodes: str) -> None:
        """Whose controller managers the API knows."""
        name = "api+v1+namespaces+kube-system+pods?labelSelector=component%3Dkube-controller-manager"
        items = [{"spec": {"nodeName": node, "priority": 1}} for node in nodes]
        (self.folder / "api" / name).write_text(json.dumps({"items": items}, indent=2))

    def lease(self, part: str, holder: str, *, seconds: int, renewed: str = "", after: int | None = None) -> None:
        """What the API says of a lease."""
        name = f"{self.LEASES}/{part}".replace("/", "+") + ("" if after is None else f".{after}")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": renewed}
        (self.folder / "api" / name).write_text(json.dumps({"spec": spec}, indent=2))

    def run(self) -> None:
        script = (node.IMAGE / "usr/lib/nodisk/controllers").read_text(encoding="utf-8")
        for real, here in (
            ("/etc/nodisk", "nodisk"),
            ("/etc/kubernetes", "kubernetes"),
            ("/proc/uptime", "uptime"),
        ):
            script = script.replace(real, str(self.folder / here))
        env = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        subprocess.run(["dash", "-c", script, "controllers"], env=env, check=True, timeout=60)
        assert {path.stem for path in (self.folder / "kubernetes/manifests").iterdir()} == set(self.PARTS)

    def election(self, part: str) -> str:
        """Its values, as it was started."""
        text = (self.folder / f"kubernetes/manifests/{part}.yaml").read_text()
        assert text.startswith(f"    - {part}\n    - --leader-elect=true\n")
        return " ".join(re.findall(r"(?m)^    - --leader-elect-.*=(\d+)s$", text))

    def deleted(self) -> set[str]:
        lines = (self.folder / "asked").read_text().splitlines()
        return {line.rpartition("/")[2] for line in lines if "--request DELETE" in line}

    def time(self) -> int:
        return int((self.folder / "uptime").read_text())


@pytest.mark.parametrize(
    ("holder", "freed"),
    [("cp1_0a1b", True), ("cp2_0a1b", False), ("cp10_0a1b", False), ("", False)],
)
def test_a_control_plane_frees_the_leases_of_its_own_last_boot(tmp_path: Path, holder: str, freed: bool) -> None:
    machine = Machine1(tmp_path, alone=False)
    for part in machine.PARTS:
        machine.lease(part, holder, seconds=kubeadm.SEVERAL.lease)
    machine.run()
    assert machine.deleted() == (set(machine.PARTS) if freed else set())
    asked = (tmp_path / "asked").read_text()
    machine.run()  # they run: their leases are their own
    assert (tmp_path / "asked").read_text() == asked
    assert machine.time() == 0


@pytest.mark.parametrize(
    ("alone", "emulated", "others", "election"),
    [
        (True, False, (), kubeadm.ALONE),
        (True, True, (), kubeadm.ALONE),
        (True, False, ("cp2",), kubeadm.SEVERAL),  # taken out of lab.yaml, but perhaps still on
        (True, True, ("cp10",), kubeadm.EMULATED),
        (False, False, (), kubeadm.SEVERAL),
        (False, True, ("cp2",), kubeadm.EMULATED),
    ],
)
def test_the_election_suits_the_room(
    tmp_path: Path, alone: bool, emulated: bool, others: tuple[str, ...], election: kubeadm.Election
) -> None:
    machine = Machine1(tmp_path, alone=alone, emulated=emulated)
    machine.pods("cp1", *others)
    machine.run()
    assert {machine.election(part) for part in machine.PARTS} == {election.words()}


def test_nobody_starts_beside_a_leader_with_other_values(tmp_path: Path) -> None:
    """cp2 was alone, is patient, and leads: until it boots anew, or gives up."""
    machine = Machine1(tmp_path, alone=False)
    manager, scheduler = machine.PARTS
    machine.lease(manager, "cp2_1", seconds=60, renewed="10:00:00")
    machine.lease(manager, "cp2_1", seconds=60, renewed="10:00:50", after=50)
    machine.lease(manager, "cp2_2", seconds=kubeadm.SEVERAL.lease, renewed="10:01:40", after=100)
    machine.lease(scheduler, "cp2_1", seconds=60, renewed="10:00:00")
    machine.lease(scheduler, "cp2_1", seconds=60, renewed="10:00:30", after=30)
    machine.run()
    assert machine.deleted() == set()
    # The scheduler's was renewed last after 30 seconds at the earliest.
    assert machine.time() >= 30 + 60


def test_every_leader_ends_before_any_other_takes_its_lease() -> None:
    for election in (kubeadm.SEVERAL, kubeadm.EMULATED, kubeadm.ALONE):
        assert 1.2 * election.retry < election.renew < election.lease  # what the components demand
    # Who waits sees a renewal late by one attempt, and the end of the lease by another.
    assert kubeadm.SEVERAL.lease + 2 * 2.2 * kubeadm.SEVERAL.retry < 20


def test_the_control_plane_is_finished_once(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "nodisk").mkdir()
    (tmp_path / "nodisk/node.env").write_text(
        'NAME=cp1\nAPI=https://api\nPHASES="mark-control-plane"\nELECTION_ALONE="180 150 5"\n'
    )
    for program in ("kubeadm", "curl", "controllers"):
        (tmp_path / "bin" / program).write_text(f'#!/bin/sh\necho "{program} $1" >>{tmp_path}/done\n')
        (tmp_path / "bin" / program).chmod(0o755)
    script = (node.IMAGE / "usr/lib/nodisk/control-plane").read_text(encoding="utf-8")
    script = script.replace("/etc/nodisk", f"{tmp_path}/nodisk").replace("/usr/lib/nodisk", f"{tmp_path}/bin")
    for _ in range(2):
        words = ["dash", "-c", script, "control-plane", "finish"]
        subprocess.run(words, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, check=True)
    done = sorted((tmp_path / "done").read_text().splitlines())
    assert done == ["controllers ", "curl --silent", "kubeadm init"]
    # It holds the RAM of kubeadm no longer than it needs it.
    assert not (tmp_path / "bin/kubeadm").exists()


def test_packages_have_reasons() -> None:
    lines = (node.HERE / "packages.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split(maxsplit=1) for line in lines if line and not line.startswith(("#", "["))]
    assert all(len(parts) == 2 for parts in found)
    cluster, plain = node.packages(), node.packages(plain=True)
    assert {*cluster, *plain} == {parts[0] for parts in found}
    assert len(set(cluster)) == len(cluster)
    assert ("containerd" in cluster, "python3" in cluster) == (True, False)
    assert ("containerd" in plain, "python3" in plain, "openssh-server" in plain) == (False, True, True)


@pytest.mark.parametrize(
    ("profiles_", "listening", "ready"), [("", "0", True), ("", "3", False), ("x|/CN=x|", "0", False)]
)
def test_a_machine_without_a_cluster_is_ready_once_it_takes_logins(
    profiles_: str, listening: str, ready: bool, tmp_path: Path
) -> None:
    """The question of the script ``report``: with profiles the API is asked, which isn't there."""
    (tmp_path / "profiles").write_text(profiles_)
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\nexit {listening}\n")
    (tmp_path / "systemctl").chmod(0o755)
    script = (node.IMAGE / "usr/lib/nodisk/report").read_text(encoding="utf-8")
    function = script[script.index("ready() {") : script.index("}\n", script.index("ready() {")) + 2]
    words = function.replace("/etc/nodisk", str(tmp_path)) + "\nnode() { return 1; }\nready"
    done = subprocess.run(["dash", "-uc", words], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) is ready


@pytest.mark.parametrize("machine", LAB.machines, ids=lambda machine: machine.name.value)
def test_the_requests_are_signed(machine: Machine, tmp_path: Path) -> None:
    """The very openssl call of the script ``enrol``, with the file that the plan writes, checked by the server."""
    script = (node.IMAGE / "usr/lib/nodisk/enrol").read_text(encoding="utf-8")
    start = script.index("cat >req.cnf")
    end = script.index("wait\n", start) + len("wait\n")
    (tmp_path / "profiles").write_text(ignition.requests(LAB, machine), encoding="utf-8")
    body = script[start:end].replace("/etc/nodisk/profiles", str(tmp_path / "profiles"))
    subprocess.run(["dash", "-eu", "-c", body], cwd=tmp_path, check=True)
    wanted = profiles.allowed(machine.role)
    assert {path.stem for path in tmp_path.glob("*.csr")} == {profile.name for profile in wanted}
    for profile in wanted:
        profiles.check(profile, LAB, machine, (tmp_path / f"{profile.name}.csr").read_text(encoding="ascii"))


def test_a_kubeconfig_s_values_are_texts(tmp_path: Path) -> None:
    """The function of the script ``enrol``: nothing that it is given can be read as a number."""
    script = (node.IMAGE / "usr/lib/nodisk/enrol").read_text(encoding="utf-8")
    start = script.index("kubeconfig() {")
    function = script[start : script.index("\n}\n", start) + 3]
    for suffix in ("crt", "key"):
        (tmp_path / f"admin.{suffix}").write_text(suffix)
    head = f"pki={tmp_path} LAB=112 ca=MTIz\n"
    body = (
        head
        + function.replace("/etc/kubernetes", str(tmp_path))
        + "kubeconfig admin.conf admin https://10.77.0.1:6443\n"
    )
    subprocess.run(["dash", "-eu", "-c", body], check=True)
    text = (tmp_path / "admin.conf").read_text()
    events = [event for event in yaml.parse(text, Loader=yaml.SafeLoader) if isinstance(event, yaml.ScalarEvent)]
    assert {event.value for event in events if event.style} >= {
        "112",
        "MTIz",
        "Y3J0",
        "admin",
        "https://10.77.0.1:6443",
    }
    read = yaml.safe_load(text)
    assert (read["clusters"][0]["name"], read["contexts"][0]["context"]["cluster"]) == ("112", "112")
    assert (read["current-context"], read["contexts"][0]["name"]) == ("112", "112")
    assert {event.value for event in events if not event.style} == {
        *("apiVersion", "kind", "clusters", "name", "cluster", "server", "certificate-authority-data", "users", "user"),
        *("client-certificate-data", "client-key-data", "contexts", "context", "current-context"),
    }
