"""Which APIs a release no longer serves, and who is seen to use them."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import NodiskError
from nodisk.kube import removals
from nodisk.kube.removals import METRIC, Requested
from nodisk.spec import skew
from nodisk.values import KubeVersion

TEXT = f"""\
# HELP {METRIC} [STABLE] Gauge of deprecated APIs that have been requested
# TYPE {METRIC} gauge
{METRIC}{{group="policy",removed_release="1.25",resource="podsecuritypolicies",subresource="x",version="v1beta1"}} 1
{METRIC}{{group="extensions",removed_release="1.22",resource="ingresses",subresource="",version="v1beta1"}} 1
{METRIC}{{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"}} 1
# TYPE apiserver_request_total counter
apiserver_request_total{{code="200"}} 12
"""


def test_the_metric() -> None:
    assert removals.requested(TEXT) == [
        Requested("extensions/v1beta1", "ingresses", (1, 22)),
        Requested("policy/v1beta1", "podsecuritypolicies/x", (1, 25)),
    ]
    assert removals.requested("") == []


@pytest.mark.parametrize("labels", ['group="a"', 'version="v1",removed_release="x",resource="y"', "{", 'version="v1'])
def test_broken_metrics(labels: str) -> None:
    with pytest.raises(NodiskError, match="metrics can't be read"):
        removals.requested(f'{METRIC}{{removed_release="1.25",{labels}}} 1\n')


@given(st.text(), st.text(alphabet='{}="\\,\n 1#ab'))
def test_any_text_is_read_or_refused(one: str, other: str) -> None:
    for text in (one, METRIC + other, f"{METRIC}{{{other}}} 1"):
        with contextlib.suppress(NodiskError):
            removals.requested(text)


def test_the_way_from_1_31_to_1_36() -> None:
    """One API version goes on the way, in the step to 1.32."""
    running, wanted = KubeVersion(1, 31, 4), KubeVersion(1, 36, 1)
    steps = [running, *skew.path(running, wanted)]
    gone = [
        (str(to), [one.api_version for one in removals.between(here, to)]) for here, to in itertools.pairwise(steps)
    ]
    assert gone == [
        ("1.32", ["flowcontrol.apiserver.k8s.io/v1beta3"]),
        *((version, []) for version in ("1.33", "1.34", "1.35", "1.36.1")),
    ]


def test_the_table_is_in_order_and_whole() -> None:
    assert [one.release for one in removals.TABLE] == sorted(one.release for one in removals.TABLE)
    for one in removals.TABLE:
        assert one.instead != one.api_version
        assert one.kinds


@given(*(st.integers(20, 40) for _ in range(3)))
def test_steps_lose_what_the_whole_way_loses(first: int, second: int, third: int) -> None:
    a, b, c = (KubeVersion(1, minor) for minor in sorted((first, second, third)))
    assert removals.between(a, b) + removals.between(b, c) == removals.between(a, c)
