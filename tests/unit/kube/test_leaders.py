"""Who leads, by the Leases of kube-system."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.kube import leaders
from nodisk.kube.leaders import COMPONENTS

NOW = datetime(2026, 11, 28, 22, 0, 10, tzinfo=UTC).timestamp()
CONTROLLERS, SCHEDULER = COMPONENTS


def lease(name: str, **spec: Any) -> dict[str, Any]:
    good = {
        "holderIdentity": "cp1_3c6f8f4e-5a62-4d53-9d4c-2b0a1d2f3e4a",
        "leaseDurationSeconds": 15,
        "renewTime": "2026-11-28T22:00:00.123456Z",
    }
    return {"metadata": {"name": name}, "spec": good | spec}


def test_each_component_has_its_own_leader() -> None:
    found = leaders.read(
        [lease(CONTROLLERS), lease(SCHEDULER, holderIdentity="cp_2_x"), lease("kube-apiserver-x")], NOW
    )
    assert found == {CONTROLLERS: "cp1", SCHEDULER: "cp_2"}
    assert leaders.words(found) == "controllers lead on cp1, the scheduler on cp_2"


@pytest.mark.parametrize(
    "spec",
    [
        {"renewTime": "2026-11-28T21:59:50.000000Z"},
        {"holderIdentity": ""},
        {"holderIdentity": None},
        {"renewTime": None},
        {"leaseDurationSeconds": None},
    ],
    ids=["ran out", "given back", "never held", "never renewed", "without an end"],
)
def test_a_lease_that_is_not_good_is_nobodys(spec: dict[str, Any]) -> None:
    found = leaders.read([lease(CONTROLLERS, **spec), lease(SCHEDULER)], NOW)
    assert found == {CONTROLLERS: None, SCHEDULER: "cp1"}
    assert "NO NODE" in leaders.words(found)


def test_one_who_leads_all_and_none() -> None:
    assert leaders.words({CONTROLLERS: "cp1", SCHEDULER: "cp1"}) == "cp1 leads"
    assert leaders.words(leaders.read([], NOW)) == "NOBODY LEADS: no controllers, no scheduler"


@given(
    st.dictionaries(st.sampled_from(["holderIdentity", "renewTime", "leaseDurationSeconds"]), st.text() | st.integers())
)
def test_whatever_a_lease_says_is_read(spec: dict[str, Any]) -> None:
    found = leaders.read([lease(CONTROLLERS, **spec)], NOW)
    assert set(found) == set(COMPONENTS)
