"""``nodisk machines drain``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.commands import switching
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, TimedOut
from nodisk.kube import drain as drain_
from nodisk.kube.client import connect
from nodisk.kube.patience import COMMAND
from nodisk.machines import emptying
from nodisk.machines.buttons.button import Outcome, stop_if_interrupted


@click.command(epilog="Example: nodisk machines drain w3; then: nodisk machines drain w3 --back")
@lab_options
@output_option
@switching.chosen_machines
@click.option("--back", is_flag=True, help="Open the machines to new pods again.")
@click.option(
    "--within",
    type=click.FloatRange(min=1, max=3600),
    default=switching.DRAIN_WITHIN,
    show_default=True,
    help="Seconds to wait for pods to terminate.",
)
@click.option("--dry-run", is_flag=True, help="Show which pods would be moved; change nothing.")
def drain(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, chosen: switching.Chosen, back: bool, within: float, dry_run: bool
) -> None:
    """Close machines to new pods and move their pods away; the machines stay on.

    Pods are evicted through the API, which respects PodDisruptionBudgets. Only pods that a controller recreates
    elsewhere are evicted. The machines stay closed until --back, even after a reboot. The answer for each machine is
    confirmed (it is empty), asked (some pods were not gone in time) or unknown (with the reason).
    """
    context = options.load_cluster()
    names = [str(machine.name) for machine in chosen(context)]
    with connect(context, patience=COMMAND, say=ui.say) as client:
        if dry_run:
            pods = {} if back else drain_.evictable(client, names)
            for name in names:
                moved = ", ".join(pods.get(name, ())) or "no pods"
                click.echo(f"would open {name}" if back else f"would close {name}, and move away: {moved}")
            return
        if not back:
            ui.say(f"moving pods away from {', '.join(names)}")
        came = emptying.back(client, names) if back else emptying.empty(client, names, within, stop=stop_if_interrupted)
    if output == "json":
        ui.print_json({"machines": [one.to_json() for one in came]})
    else:
        ui.print_table(("MACHINE", "ANSWER", "DETAIL"), [(one.name, str(one.outcome), one.detail) for one in came])
    if unknown := [one.name for one in came if one.outcome is Outcome.UNKNOWN]:
        raise NodiskError(f"unknown: {', '.join(unknown)}", hint="the reasons are above; nodisk kubectl get nodes")
    if asked := [one.name for one in came if one.outcome is Outcome.ASKED]:
        raise TimedOut(
            f"pods are left on {', '.join(asked)}",
            hint="a PodDisruptionBudget may forbid it: nodisk kubectl get poddisruptionbudgets --all-namespaces",
        )
