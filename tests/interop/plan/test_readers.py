"""What nodisk writes for Kubernetes' programs, shells and SSH, read by these very programs: every name is what it was.

Names come by the dozen to each process: the names that some reader takes for a number, a date or a truth value, and as
many that chance makes of the same letters.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.api.apiserver import binaries

from nodisk import node, run, yamltext
from nodisk.kube import goyaml, kubeconfig
from nodisk.machines import ssh
from nodisk.plan import ignition, kubelet
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.load import parse
from nodisk.spec.model import Lab, Machine
from nodisk.values import KubeVersion, Name

pytestmark = pytest.mark.interop

ODD = [
    *("112", "08", "0", "018", "2026", "1e3", "0e0", "0x1f", "0b1", "0o17", "0b", "12h", "7d", "1-30", "2026-01-01"),
    *("y", "n", "no", "yes", "on", "off", "true", "false", "null", "nan", "inf", "deadbeef", "infinite", "8-8-8-8"),
]
LABELS = ("1e3", "08", "yes", "null", "1.10", "1_0", "0.1", "1.2.3", "Yes", "NULL", "1E3", "0X1F", "1e3.0", "a_b.c-d")
VERSION = KubeVersion(1, 20, 2)

_REGEXES = [
    *(r"[0-9]{1,20}", r"0[xob][0-9a-f]{1,6}", r"[0-9]{1,3}e[0-9]{1,3}", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    *(r"[0-9]{1,4}[smhdw]", r"[0-9a-f]{2}(-[0-9a-f]{2}){5}", r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
]
NAMES = st.one_of(*(st.from_regex(regex, fullmatch=True) for regex in _REGEXES))
MANY = st.lists(NAMES, min_size=12, max_size=12, unique=True)
Words = list[str | Path]
real = settings(
    max_examples=2,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a process for each name: to search for a smaller failure takes minutes
)


@pytest.fixture(scope="module")
def release_bin() -> Path:
    return binaries()


def asset(name: str) -> AssetRef:
    return AssetRef(name, "0" * 64, 1 << 20)


FACTS = Facts(
    ca_pem="",
    image=ImageFacts(asset("vmlinuz"), asset("initramfs"), asset("root"), "6.12", 420 << 20, "1.7.24"),
    cluster=ReleaseFacts(
        VERSION,
        "debian",
        tuple(
            ContainerImage.of(f"k8s.gcr.io/{name}:{tag}", 1)
            for name, tag in (("kube-apiserver", "v1.20.2"), ("pause", "3.2"))
        ),
        asset("kubeadm"),
    ),
)


def lab_of(names: Sequence[str], *, name: str = "") -> Lab:
    """A lab of these machines, the names written as bare as lab.yaml takes them."""
    lines = [f"name: {yamltext.scalar(name or names[0])}", "network: {subnet: 10.77.0.0/24, server: 10.77.0.1}"]
    lines += ["machines:"]
    for number, each in enumerate(names):
        value = LABELS[number % len(LABELS)]
        lines += [
            "- name: " + ('"null"' if each == "null" else each),
            f"  mac: 525400000{number:03x}",
            f"  address: 10.77.0.{number + 11}",
            "  role: control-plane",
            f"  taints: [{{key: example.org/{value}, value: '{value}', effect: NoSchedule}}]",
        ]
    return parse("\n".join(lines) + "\n", file="lab.yaml")


def files_of(lab: Lab, machine: Machine) -> dict[str, str]:
    """Every file that Ignition writes, by its path."""
    found = ignition.config(lab, FACTS, machine)["storage"]["files"]
    return {one["path"]: unquote(one["contents"]["source"].removeprefix("data:,")) for one in found}


def call(*words: str | Path) -> str:
    """What a program prints; its exit status is 0."""
    return run.run(list(words), timeout=60).stdout


def each(names: Sequence[str], work: Any) -> None:
    """``work(index)`` for every name, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(len(names))))


def readers_of_one(bin_dir: Path, names: Sequence[str], folder: Path) -> None:
    def kubeadm_reads(index: int) -> None:
        lab = lab_of(names, name=names[index])
        machine = lab.machines[index]
        file = folder / f"{index}.kubeadm.yaml"
        file.write_text(files_of(lab, machine)["/etc/kubernetes/kubeadm.yaml"])
        migrated = call(bin_dir / "kubeadm", "config", "migrate", "--old-config", file)
        init, cluster = yaml.load_all(migrated, Loader=yaml.BaseLoader)  # Go's own writer has its own bare words
        assert (init["nodeRegistration"]["name"], cluster["clusterName"]) == (str(machine.name), str(lab.name))
        taints = kubelet.as_objects(kubelet.taints(machine, VERSION))
        assert init["nodeRegistration"]["taints"] == taints
        assert cluster["kubernetesVersion"] == "v1.20.2"
        for part in ("apiServer", "controllerManager", "scheduler"):
            assert cluster[part]["extraArgs"]["profiling"] == "false"

    def kube_proxy_reads(index: int) -> None:
        lab = lab_of(names)
        file, back = folder / f"{index}.proxy.yaml", folder / f"{index}.proxy.out"
        file.write_text(files_of(lab, lab.machines[index])["/etc/kubernetes/kube-proxy.yaml"])
        call(bin_dir / "kube-proxy", "--config", file, "--write-config-to", back)
        (read,) = yaml.load_all(back.read_text(), Loader=yaml.BaseLoader)
        assert read["hostnameOverride"] == str(lab.machines[index].name)
        assert (read["clusterCIDR"], read["bindAddress"]) == ("10.244.0.0/16", "0.0.0.0")

    each(names, kubeadm_reads)
    each(names, kube_proxy_reads)


def test_kubeadm_and_kube_proxy_read_the_odd_names(release_bin: Path, tmp_path: Path) -> None:
    readers_of_one(release_bin, ODD, tmp_path)


@given(MANY)
@real
def test_kubeadm_and_kube_proxy_read_any_name(release_bin: Path, tmp_path: Path, names: list[str]) -> None:
    readers_of_one(release_bin, names, tmp_path)


def enrolled(folder: Path, name: str) -> Path:
    """A machine's kubeconfig as the image's script writes it in a lab of that name; its certificate is none."""
    script = (node.IMAGE / "usr/lib/nodisk/enrol").read_text(encoding="utf-8")
    start = script.index("kubeconfig() {")
    function = script[start : script.index("\n}\n", start) + 3].replace("/etc/kubernetes", str(folder))
    lab = lab_of([name])
    (folder / "node.env").write_text(files_of(lab, lab.machines[0])["/etc/nodisk/node.env"])
    for suffix in ("crt", "key"):
        (folder / f"kubelet-client.{suffix}").write_text("none")
    body = f'. {folder}/node.env\npki={folder} ca=\n{function}kubeconfig {name}.conf kubelet-client "$API"\n'
    subprocess.run(["dash", "-eu", "-c", body], check=True)
    return folder / f"{name}.conf"


ENDPOINT = kubeconfig.Endpoint("https://10.77.0.1:6443", "ca", token="1e3")


def kubectl_reads(bin_dir: Path, names: Sequence[str], folder: Path) -> None:
    """One kubectl merges them all; an entry that it took for something else would be missing, or an error."""
    written = []
    for name in names:
        written.append(folder / f"{name}.kubeconfig")
        written[-1].write_text(kubeconfig.render(ENDPOINT, cluster=f"{name}", user=name, namespaces={name: name}))
    words: Words = [bin_dir / "kubectl", "config", "view", "--raw", "--output", "json"]
    env = {"KUBECONFIG": ":".join(map(str, written))}
    read = json.loads(run.run(words, env=env, timeout=60).stdout)
    assert read["current-context"] == names[0]
    context = {one["name"]: one["context"] for one in read["contexts"]}
    assert context == {name: {"cluster": name, "user": name, "namespace": name} for name in names}
    assert {one["name"] for one in read["clusters"]} == set(names)
    assert {one["name"]: one["user"] for one in read["users"]} == {name: {"token": "1e3"} for name in names}


def test_kubectl_reads_the_odd_names(release_bin: Path, tmp_path: Path) -> None:
    kubectl_reads(release_bin, ODD, tmp_path)


@given(MANY)
@real
def test_kubectl_reads_any_name(release_bin: Path, tmp_path: Path, names: list[str]) -> None:
    kubectl_reads(release_bin, names, tmp_path)


def test_kubectl_reads_what_the_enrolment_writes(release_bin: Path, tmp_path: Path) -> None:
    files = [enrolled(tmp_path, name) for name in ODD]
    words: Words = [release_bin / "kubectl", "config", "view", "--raw", "--output", "json"]
    read = json.loads(run.run(words, env={"KUBECONFIG": ":".join(map(str, files))}, timeout=60).stdout)
    assert {one["name"]: one["context"]["cluster"] for one in read["contexts"]} == {name: name for name in ODD}
    assert read["current-context"] == ODD[0]


@pytest.mark.parametrize("name", ["112", "1e3", "no", "w1"])
def test_kubelet_reads_its_files(release_bin: Path, tmp_path: Path, name: str) -> None:
    """It gets past both, flags too, and stops at a certificate that is none: before it touches anything of the host."""
    lab = lab_of([name, "08"])
    config = tmp_path / "kubelet.yaml"
    text = files_of(lab, lab.machines[1])["/etc/kubernetes/kubelet.yaml"]
    config.write_text(text.replace(kubelet.PKI, str(tmp_path)))
    call(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-noenc",
        "-subj",
        "/CN=ca",
        *("-keyout", tmp_path / "ca.key"),
        *("-out", tmp_path / "ca.crt"),
    )
    emulated = replace(FACTS, emulated=True)  # with all flags that there are
    flags = [flag for flag in kubelet.kubelet_flags(emulated, lab.machines[1]) if "config=" not in flag]
    flags += [f"--config={config}", f"--kubeconfig={enrolled(tmp_path, name)}", f"--root-dir={tmp_path}/kubelet"]
    words: Words = [release_bin / "kubelet", *flags, f"--cert-dir={tmp_path}/kubelet/pki"]
    done = run.run(words, check=False, timeout=60)
    fatal = re.search(r"^F.*?\] (.*)$", done.stderr, re.MULTILINE)
    assert fatal is not None, done.stderr
    assert "failed to initialize kubelet client: tls: failed to find any PEM data" in fatal[1]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(TEXTS | st.sampled_from([*ODD, *LABELS]), min_size=60, max_size=60))
@real
def test_kubectl_reads_what_a_class_exports(release_bin: Path, tmp_path: Path, texts: list[str]) -> None:
    """Texts of students, whatever is in them; keys that are numbers to YAML among them."""
    objects = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"c{number}", "labels": {"1e3": "08", "yes": "no"}},
            "data": {"08": text, "key": text, "1.10": "1.10"},
        }
        for number, text in enumerate(texts)
    ]
    file = tmp_path / "export.yaml"
    file.write_text(yamltext.dump_all(objects), encoding="utf-8")
    words: Words = ["annotate", "--local", "--overwrite", "--filename", file, "--output", "json", "x=y"]
    decoder, printed, read = json.JSONDecoder(), call(release_bin / "kubectl", *words), list[Any]()
    while printed := printed.lstrip():
        value, end = decoder.raw_decode(printed)
        read.append(value)
        printed = printed[end:]
    assert [one["data"] for one in read] == [one["data"] for one in objects]
    assert {json.dumps(one["metadata"]["labels"]) for one in read} == {'{"1e3": "08", "yes": "no"}'}


BARE = [
    *("y", "n", "Y", "yes", "No", "on", "OFF", "TRUE", "true", "tRue", "~", "null", "NULL", "nUll", "=", "<<", ".inf-"),
    *("08", "018", "09.5", "0777", "0o17", "0o8", "0b11", "0b2", "0x1F", "-0x10", "0x", "0", "-0", "+1", "-_1", "_1"),
    *("1_000", "1__0", "1_", "0_7", "1:30", "2026-01-01", "2026-13-99", "2026-01-01T00:00:00Z", "1.10", "1.0", "1.e3"),
    *(".5", "1.", "1e3", "1e-7", "12e03", "1.5e+3", "1e400", "9223372036854775808", "18446744073709551616", "1" * 30),
]


@given(st.lists(st.sampled_from(BARE) | st.from_regex(r"[-+]?[0-9._xobe:-]{1,8}[0-9]", fullmatch=True), min_size=100))
@real
def test_nodisk_reads_bare_words_as_kubectl_does(release_bin: Path, tmp_path: Path, words: list[str]) -> None:
    text = "apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {name: a, annotations: {x: z}}\nrevision: 1\n"
    text += "data:\n" + "".join(f"- {word}\n- a: '{word}'\n" for word in [*BARE, *words] if word != "---")
    (tmp_path / "words.yaml").write_text(text)
    command = ["annotate", "--local", "--overwrite", "--output", "json", "x=z", "--filename"]
    printed = call(release_bin / "kubectl", *command, tmp_path / "words.yaml")

    def number(digits: str) -> int | float:
        return int(digits) if -(2**63) <= int(digits) < 2**63 else float(digits)

    assert goyaml.documents(text) == [json.loads(printed, parse_int=number)]


def test_a_shell_reads_a_machine_s_variables(tmp_path: Path) -> None:
    lab, script = lab_of(ODD), ""
    for machine in lab.machines:
        (tmp_path / f"{machine.name}.env").write_text(files_of(lab, machine)["/etc/nodisk/node.env"])
        script += f'(. {tmp_path}/{machine.name}.env; echo "$LAB $NAME $ADDRESS $ROLE")\n'
    said = subprocess.run(["dash", "-eu", "-c", script], check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == [f"{lab.name} {m.name} {m.address} {m.role}" for m in lab.machines]


def test_ssh_finds_each_machine_s_key(tmp_path: Path) -> None:
    lab, key = lab_of(ODD), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    file = tmp_path / "known_hosts"
    file.write_text("".join(ssh.known_hosts(machine, (key,)) for machine in lab.machines))
    for machine in lab.machines:
        found = call("ssh-keygen", "-F", str(machine.name), "-f", file).splitlines()
        assert found[1:] == [f"{machine.name} {key}"]


def test_the_c_library_reads_etc_hosts(tmp_path: Path) -> None:
    """But for those that it takes for an address, as the page on lab.yaml says: numbers, also in base 8 or 16."""
    lab = lab_of(ODD)
    (tmp_path / "hosts").write_text(files_of(lab, lab.machines[0])["/etc/hosts"])
    names = [name for name in ODD if not re.fullmatch(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*", name)]
    script = f"mount --bind {tmp_path}/hosts /etc/hosts && exec getent -s hosts:files ahostsv4 {' '.join(names)}"
    said = call("unshare", "--mount", "sh", "-c", script)
    wanted = [[str(machine.address), name] for name in names if (machine := lab.machine(name))]
    assert [[line.split()[0], line.split()[2]] for line in said.splitlines() if "STREAM" in line] == wanted


def test_all_of_these_are_names() -> None:
    assert [str(Name.parse(name)) for name in ODD] == ODD
