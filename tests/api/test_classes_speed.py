"""A class beside the thesis' loop of kubectl calls, on the same API server in the same run."""

from tests.api.apiserver import ControlPlane

from nodisk.classes import bench
from nodisk.cluster.client import Client


def test_faster_than_the_thesis(plane: ControlPlane, client: Client) -> None:
    # A ratio, well below what was measured, and no seconds: it is to hold on a busy host as well.
    figures = bench.measure(client, 15, kubectl=plane.bin / "kubectl", config=plane.kubeconfig)
    assert figures.faster is not None
    assert figures.faster >= 4, figures
    assert figures.list < 1
