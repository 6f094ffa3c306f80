"""What a class is made of, without a cluster: sizes, objects, roles and policies."""

from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from nodisk.classes import expiry, handouts, manifests, plan, policy, record, sizes
from nodisk.classes.features import Features, missing
from nodisk.classes.manifests import Networks
from nodisk.classes.roster import Person
from nodisk.errors import IntegrityError, SpecError
from nodisk.state import State
from nodisk.values import KubeVersion

RULES = {
    role: [{"apiGroups": [""], "resources": ["pods", "endpoints"], "verbs": [verb]}]
    for role, verb in (("view", "get"), ("edit", "create"), ("admin", "update"))
}
OLD = Features(KubeVersion(1, 20, 2), None, pod_security=False, names_namespaces=False, rules=RULES)
NEW = Features(
    KubeVersion(1, 36, 1),
    "admissionregistration.k8s.io/v1",
    pod_security=True,
    names_namespaces=True,
    rules=RULES,
)
SERVER = IPv4Address("10.77.0.1")
NETS = Networks(IPv4Network("10.77.0.0/24"), IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16"), SERVER)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def one(**more: object) -> record.Class:
    people, size = [Person("Żółć Gęślą", id="1")], sizes.find("small")
    planned = plan.merge(None, people, name="k8s", now=NOW, size=size, role="edit", teachers=["Anna"])
    return planned.record.model_copy(update=more)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2", "2"), ("512Mi", 512 * 2**20), ("1.5Gi", 1610612736), ("1k", 1000), ("1e3", 1000)],
)
def test_amounts(text: str, value: str | int) -> None:
    assert sizes.amount(text) == Decimal(value)


def test_sizes_are_data_and_checked(tmp_path: Path) -> None:
    assert list(sizes.named()) == ["tiny", "small", "medium", "large"]
    for size in sizes.named().values():
        assert sizes.amount(size.container.memory) * size.pods <= sizes.amount(size.memory)
        assert sizes.amount(size.container.ephemeral) * size.pods <= sizes.amount(size.ephemeral)
    text = (Path(sizes.__file__).parent / "sizes.yaml").read_text()
    own = tmp_path / "lab7.yaml"
    lines = text.split("medium:")[1].split("large:")[0].splitlines()
    own.write_text("\n".join(line.removeprefix("  ") for line in lines))
    assert sizes.find(str(own)) == ("lab7", sizes.named()["medium"])
    with pytest.raises(SpecError, match="small, medium, large"):
        sizes.find("huge")


def test_objects_in_the_order_in_which_they_are_safe() -> None:
    found = one()
    made = manifests.student(found, found.students[0], NETS, NEW)
    kinds = [(o["kind"], o["metadata"]["name"]) for o in made]
    assert kinds[0] == ("Namespace", "k8s-zolc-gesla")
    assert kinds[-1] == ("RoleBinding", "nodisk-student")
    assert {o["metadata"]["labels"][manifests.CLASS] for o in made} == {"k8s"}
    accounts = [o for o in made if o["kind"] in ("ServiceAccount", "Secret")]
    assert {o["metadata"]["namespace"] for o in accounts} == {"k8s"}
    labels = made[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn-version"] == "v1.36"


def test_a_suspended_student_is_no_subject() -> None:
    found = one()
    student = found.students[0]
    right = manifests.student(found, student, NETS, NEW)[-1]
    assert right["subjects"] == [{"kind": "ServiceAccount", "name": "zolc-gesla-1", "namespace": "k8s"}]
    suspended = student.model_copy(update={"suspended": True})
    assert manifests.student(found, suspended, NETS, NEW)[-1] == right | {"subjects": []}


def test_network_policies() -> None:
    found = one()
    both = manifests.network_policy(found, found.students[0], NETS, NEW)
    assert both["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert both["spec"]["ingress"][1]["from"][0]["ipBlock"]["except"] == ["10.244.0.0/16"]
    _, dns, internet, names = both["spec"]["egress"]
    assert names["to"] == [{"ipBlock": {"cidr": f"{SERVER}/32"}}]
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 1053), ("TCP", 1053)}
    assert dns["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    closed = [IPv4Network(cidr) for cidr in internet["to"][0]["ipBlock"]["except"]]
    for network in (NETS.lab, NETS.pods, NETS.services):
        assert any(network.subnet_of(one) for one in closed)
    public = Networks(IPv4Network("150.254.30.0/24"), NETS.pods, NETS.services, SERVER)
    outgoing = manifests.network_policy(found, found.students[0], public, NEW)
    assert "150.254.30.0/24" in outgoing["spec"]["egress"][2]["to"][0]["ipBlock"]["except"]
    # Neither of the Internet nor private: networks for benchmarks and for documentation.
    odd = Networks(IPv4Network("203.0.113.0/24"), IPv4Network("198.18.0.0/16"), IPv4Network("198.19.0.0/16"), SERVER)
    outgoing = manifests.network_policy(found, found.students[0], odd, NEW)
    closed_too = outgoing["spec"]["egress"][2]["to"][0]["ipBlock"]["except"]
    assert closed_too[len(manifests.PRIVATE) :] == ["203.0.113.0/24", "198.18.0.0/16", "198.19.0.0/16"]
    private = one(size=found.size.model_copy(update={"node_ports": 0}))
    assert len(manifests.network_policy(private, found.students[0], NETS, OLD)["spec"]["ingress"]) == 1


def test_the_students_role_loses_what_breaks_isolation_and_nothing_else() -> None:
    rules = [
        {"apiGroups": [""], "resources": ["pods", "serviceaccounts"], "verbs": ["get", "create", "impersonate"]},
        {"apiGroups": ["", "discovery.k8s.io"], "resources": ["endpoints"], "verbs": ["get", "update"]},
        {
            "apiGroups": ["networking.k8s.io"],
            "resources": ["ingresses", "networkpolicies"],
            "verbs": ["create", "list"],
        },
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    ]
    assert policy.without(rules) == [
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "create"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create", "impersonate"]},
        {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["get"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpoints"], "verbs": ["get", "update"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["create", "list"]},
    ]


def test_what_a_release_lacks_is_said() -> None:
    assert missing(NEW) == []
    said = missing(OLD)
    assert len(said) == 2
    assert all("1.20.2" in line for line in said)


def test_every_policy_has_its_binding() -> None:
    objects = policy.admission_policies("admissionregistration.k8s.io/v1")
    bound = {o["spec"]["policyName"] for o in objects if o["kind"].endswith("Binding")}
    assert bound == {o["metadata"]["name"] for o in objects if not o["kind"].endswith("Binding")}


def test_no_container_may_have_a_probe_or_hook_with_a_host() -> None:
    objects = policy.admission_policies("admissionregistration.k8s.io/v1")
    found = next(o for o in objects if o["metadata"]["name"] == "nodisk-probe-hosts")
    cel = found["spec"]["validations"][0]["expression"]
    assert cel.count("(") == cel.count(")")
    ordinary, first = cel.split(" && (!has(object.spec.initContainers) || ")
    assert ordinary.startswith("object.spec.containers.all(c, ")
    assert first.startswith("object.spec.initContainers.all(c, ")
    probes = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")
    for part in (ordinary, first):
        for at in probes:
            for way in ("httpGet", "tcpSocket"):
                # CEL's has() is an error where what it looks in isn't there.
                assert f"(!has(c.{at}.{way}) || !has(c.{at}.{way}.host))" in part
            assert f"(!has(c.{at}) || (!has(c.{at}.httpGet)" in part
        assert "(!has(c.lifecycle) || (!has(c.lifecycle.postStart)" in part


def test_records_are_whole_private_and_without_tokens(tmp_path: Path) -> None:
    state = State(tmp_path).lab("room")
    record.save(state, one())
    path = state.classes / "k8s.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.classes.stat().st_mode & 0o777 == 0o700
    assert record.load(state, "k8s") == one()
    path.write_text(path.read_text()[:-20])
    with pytest.raises(IntegrityError, match="damaged"):
        record.load(state, "k8s")


@pytest.mark.parametrize(("days", "word"), [(0, "ends 20"), (115, "ends soon"), (121, "ended"), (140, "deletion due")])
def test_due(days: int, word: str) -> None:
    assert expiry.due(one(), NOW.replace(month=11) + (one().expires - NOW) / 120 * days).startswith(word)


def test_a_sheet_escapes_what_a_roster_says() -> None:
    found = one()
    evil = found.students[0].model_copy(update={"name": "<script>alert(1)</script>", "expires": NOW})
    render = handouts.renderer(found, handouts.Kubectl("http://10.77.0.1/kubectl", "0" * 64), node="10.77.0.21")
    for language in handouts.LANGUAGES:
        text = render(evil, language)
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "built-in" not in text
        assert "kubectl expose deployment echo --type=NodePort" in text
    private = found.model_copy(update={"size": found.size.model_copy(update={"node_ports": 0})})
    text = handouts.renderer(private, handouts.Kubectl("u", None), node="n")(evil, "en")
    assert "NodePort" not in text
    assert "port-forward" in text
