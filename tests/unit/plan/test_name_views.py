"""Whose names a pod may ask for: what the views say, and what the gate makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.plan.name_views import Judge, Verdict, Views, labels_of, parse, render

JUDGE = Judge(
    labels_of("cluster.local"),
    frozenset(labels_of(zone) for zone in ("96.10.in-addr.arpa", "244.10.in-addr.arpa")),
    IPv4Network("10.244.0.0/16"),
    frozenset({"127.0.0.1", "10.77.0.1"}),
)
ANA, BEN, ADDON, NOBODY, MACHINE, SERVER = (
    "10.244.21.5",
    "10.244.21.6",
    "10.244.21.7",
    "10.244.21.8",
    "10.77.0.21",
    "10.77.0.1",
)
VIEWS = Views(frozenset({"default", "kube-system"}), {ANA: "demo-ana", BEN: "demo-ben", ADDON: "kube-system"})
PASS, HIDE, WAIT = Verdict.PASS, Verdict.HIDE, Verdict.WAIT
NAMESPACE = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
LABEL = st.binary(min_size=1, max_size=20).map(bytes.lower)


@given(st.sets(NAMESPACE, max_size=5), st.dictionaries(st.ip_addresses(v=4), NAMESPACE, max_size=8))
def test_what_is_written_is_read(common: set[str], pods: dict[IPv4Address, str]) -> None:
    assert parse(render(common, pods)) == Views(frozenset(common), {str(at): space for at, space in pods.items()})


@given(st.sets(st.text(max_size=20), max_size=5), st.dictionaries(st.ip_addresses(v=4), st.text(max_size=20)))
def test_whatever_a_namespace_is_called_it_adds_no_line(common: set[str], pods: dict[IPv4Address, str]) -> None:
    read = parse(render(common, pods))
    assert read.common <= common
    assert set((read.pods or {}).items()) <= {(str(at), space) for at, space in pods.items()}


@pytest.mark.parametrize(
    "text", ["common", "common Shop", "common a b", "pod 10.244.1.300 shop", "pod 10.244.1.3", "open shop", "\x00", ""]
)
def test_anything_else_is_no_view(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(f"common default\n{text}\npod {ANA} demo-ana\n")


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [
        # (ana, ben, an add-on, a pod that is not known, a machine, the server)
        ("web.demo-ana.svc.cluster.local", (PASS, HIDE, PASS, WAIT, HIDE, PASS)),
        ("demo-ana.svc.cluster.local", (PASS, HIDE, PASS, WAIT, HIDE, PASS)),
        ("_http._tcp.web.demo-ana.svc.cluster.local", (PASS, HIDE, PASS, WAIT, HIDE, PASS)),
        ("10-244-21-5.demo-ana.pod.cluster.local", (PASS, HIDE, PASS, WAIT, HIDE, PASS)),
        ("nobody.no-such-space.svc.cluster.local", (HIDE, HIDE, PASS, WAIT, HIDE, PASS)),
        ("kubernetes.default.svc.cluster.local", (PASS,) * 6),
        ("kube-dns.kube-system.svc.cluster.local", (PASS,) * 6),
        ("dns-version.cluster.local", (PASS,) * 6),
        ("svc.cluster.local", (PASS,) * 6),
        ("cluster.local", (PASS,) * 6),
        ("www.example.com", (PASS,) * 6),
        ("server.room.internal", (PASS,) * 6),
        ("web.demo-ana.svc.example.com", (PASS,) * 6),
        ("21.0.77.10.in-addr.arpa", (PASS,) * 6),
        ("3.2.96.10.in-addr.arpa", (PASS, PASS, PASS, WAIT, PASS, PASS)),
        ("5.21.244.10.in-addr.arpa", (PASS, PASS, PASS, WAIT, PASS, PASS)),
    ],
)
def test_questions(name: str, verdicts: tuple[Verdict, ...]) -> None:
    found = [JUDGE.question(VIEWS, who, labels_of(name)) for who in (ANA, BEN, ADDON, NOBODY, MACHINE, SERVER)]
    assert tuple(found) == verdicts


def answered(who: str, name: str, names: Iterable[str], *, empty: bool = False) -> bool:
    return JUDGE.answer(VIEWS, who, labels_of(name), map(labels_of, names), empty=empty)


def test_an_address_is_told_to_whose_it_is() -> None:
    name, target = "3.2.96.10.in-addr.arpa", "web.demo-ana.svc.cluster.local"
    told = {who: answered(who, name, [name, target]) for who in (ANA, BEN, ADDON, NOBODY, MACHINE, SERVER)}
    assert told == {ANA: True, BEN: False, ADDON: True, NOBODY: False, MACHINE: False, SERVER: True}
    assert answered(BEN, name, [name, "kubernetes.default.svc.cluster.local"])


def test_an_empty_answer_for_an_address_is_none() -> None:
    """Otherwise a question of another type would tell which addresses have names."""
    assert not answered(ANA, "3.2.96.10.in-addr.arpa", [], empty=True)
    assert answered(SERVER, "3.2.96.10.in-addr.arpa", [], empty=True)
    assert answered(ANA, "web.demo-ana.svc.cluster.local", [], empty=True)
    assert answered(ANA, "21.0.77.10.in-addr.arpa", [], empty=True)


@pytest.mark.parametrize(
    "name", ["alias.demo-ben.svc.cluster.local", "www.example.com", "alias.default.svc.cluster.local"]
)
def test_no_alias_leads_into_anothers_namespace(name: str) -> None:
    assert not answered(BEN, name, [name, "web.demo-ana.svc.cluster.local"])
    assert answered(BEN, name, [name, "web.demo-ben.svc.cluster.local", "www.example.org"])
    assert answered(ADDON, name, [name, "web.demo-ana.svc.cluster.local"])


def test_no_alias_leads_to_an_address() -> None:
    """Whether anything comes back would tell whether the address has a name."""
    for answer in (["3.2.96.10.in-addr.arpa"], ["3.2.96.10.in-addr.arpa", "kubernetes.default.svc.cluster.local"]):
        assert not answered(BEN, "www.example.com", ["www.example.com", *answer])
        assert not answered(MACHINE, "www.example.com", answer)
        assert answered(ADDON, "www.example.com", answer)
    assert answered(BEN, "www.example.com", ["21.0.77.10.in-addr.arpa"]), "a machine's"


@pytest.mark.parametrize(
    ("target", "own", "common"),
    [
        ("web.demo-ana.svc.cluster.local", False, True),
        ("web.demo-ben.svc.cluster.local", True, True),
        ("10-244-21-5.demo-ana.pod.cluster.local", False, True),
        ("kubernetes.default.svc.cluster.local", True, True),
        ("3.2.96.10.in-addr.arpa", False, True),
        ("www.example.com", True, True),
    ],
)
def test_what_a_service_may_be_an_alias_of(target: str, own: bool, common: bool) -> None:
    may = [JUDGE.may_alias(VIEWS.common, space, labels_of(target)) for space in ("demo-ben", "kube-system")]
    assert may == [own, common]


def test_without_views_everything_of_the_cluster_is_closed() -> None:
    none = Views()
    for name in ("kubernetes.default.svc.cluster.local", "web.demo-ana.svc.cluster.local"):
        assert JUDGE.question(none, ANA, labels_of(name)) is WAIT
        assert JUDGE.question(none, MACHINE, labels_of(name)) is HIDE
    assert JUDGE.question(none, ANA, labels_of("www.example.com")) is PASS


@given(st.lists(LABEL, max_size=8).map(tuple), st.sampled_from([ANA, BEN]))
def test_labels_of_any_bytes(labels: tuple[bytes, ...], who: str) -> None:
    """A dot in a label is no border, and no byte makes another's name one's own."""
    own = "demo-ana" if who == ANA else "demo-ben"
    name = (*labels, b"svc", b"cluster", b"local")
    seen = not labels or labels[-1] in (own.encode(), b"default", b"kube-system")
    inside = labels[-2:] in ((b"svc",), (b"pod",))
    assert inside or (JUDGE.question(VIEWS, who, name) is PASS) is seen
    assert JUDGE.question(VIEWS, who, (b"web", b"demo-ana.demo-ben", b"svc", b"cluster", b"local")) is HIDE
