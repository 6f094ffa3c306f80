"""The release's own kubectl, and kubeconfigs of the administrator for use on this host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nodisk.assets import built
from nodisk.context import LabContext
from nodisk.errors import CommandFailed
from nodisk.kube import kubeconfig


def kubectl_program(context: LabContext) -> Path:
    """The kubectl of the lab's release; raises EnvironmentProblem if it isn't built."""
    return built.release_bin(context.state.state, context.lab) / "kubectl"


def unanswered(error: CommandFailed) -> bool:
    """Whether kubectl failed because it reached no API server, so that nothing has been done.

    Its first requests (discovery) fail in this way; an exec that breaks off later has another message.
    """
    said = error.output.strip().splitlines()
    return bool(said) and said[-1].startswith(("Unable to connect to the server", "The connection to the server"))


def for_this_host(context: LabContext, *, api_port: int | None) -> str:
    """The administrator's kubeconfig, self-contained; ``api_port``: a virtual lab's port on 127.0.0.1."""
    endpoint = kubeconfig.load(kubeconfig.of_admin(context.state))
    if api_port is not None:
        endpoint = replace(endpoint, server=f"https://127.0.0.1:{api_port}")
    return kubeconfig.render(endpoint, cluster=str(context.lab.name), user="kubernetes-admin")
