"""What goes into the node image: every script parses, every request is what the server signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from nodisk import node
from nodisk.pki import profiles
from nodisk.plan import ignition
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


@pytest.mark.parametrize(
    ("holder", "runs", "freed"),
    [
        ("cp1_0a1b", False, ["kube-controller-manager", "kube-scheduler"]),
        ("cp1_0a1b", True, []),
        ("cp2_0a1b", False, []),
        ("cp10_0a1b", False, []),
        ("", False, []),
    ],
)
def test_a_control_plane_frees_the_leases_of_its_own_last_boot(
    tmp_path: Path, holder: str, runs: bool, freed: list[str]
) -> None:
    for folder in ("bin", "kubernetes/later", "kubernetes/manifests", "nodisk"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "nodisk/node.env").write_text('NAME=cp1\nAPI=https://api\nPHASES="mark-control-plane"\n')
    parts = ("kube-controller-manager", "kube-scheduler")
    for part in parts:
        (tmp_path / "kubernetes" / ("manifests" if runs else "later") / f"{part}.yaml").touch()
    answer = f'{{\n  "spec": {{\n    "holderIdentity": "{holder}",\n'
    (tmp_path / "bin/curl").write_text(f"#!/bin/sh\necho \"$*\" >>{tmp_path}/asked\ncat <<'END'\n{answer}\nEND\n")
    (tmp_path / "bin/kubeadm").write_text("#!/bin/sh\n")
    for program in (tmp_path / "bin").iterdir():
        program.chmod(0o755)
    script = (node.IMAGE / "usr/lib/nodisk/control-plane").read_text(encoding="utf-8")
    script = script.replace("/etc/nodisk", f"{tmp_path}/nodisk").replace("/etc/kubernetes", f"{tmp_path}/kubernetes")
    words = ["dash", "-c", script, "control-plane", "finish"]
    subprocess.run(words, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, check=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    leases = "https://api/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    deleted = [line.split()[-1] for line in asked if "--request DELETE" in line]
    assert deleted == [f"{leases}/{part}" for part in freed]
    assert {path.stem for path in (tmp_path / "kubernetes/manifests").iterdir()} == set(parts)
    # It holds the RAM of kubeadm no longer than it needs it, and a second start has nothing to do.
    assert not (tmp_path / "bin/kubeadm").exists()
    subprocess.run(words, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == asked


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
