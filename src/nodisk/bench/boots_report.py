"""The tables of ``nodisk lab bench``: each figure beside its target."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.bench.boots import Result
from nodisk.machines.watch import WAY
from nodisk.values import Role

MIB = 1024**2
TARGET_RATIO = 2.5
TARGET_WORKER_LOAD = 200 * MIB
TARGET_ROOTFS = 150 * MIB
TARGET_WORKER_FREE = 400  # MiB
TARGET_HELP = 0.25  # seconds


def show(result: Result) -> None:
    """Print the tables on stdout."""
    click.echo(
        f"Kubernetes {result.kubernetes}, {result.accelerator} on {result.processors} processors. "
        "Seconds since power-on:"
    )
    ui.print_table(["MACHINE", "ROLE", "FLOOR", *(stage.upper() for stage in WAY)], _stages(result))
    click.echo()
    kinds = sorted({kind for machine in result.machines for kind in machine.ram})
    ui.print_table(
        ["MACHINE", "MEMORY", *kinds, "LOADED"],
        (
            [
                machine.name,
                machine.memory_mib,
                *(machine.ram.get(kind, "") for kind in kinds),
                f"{sum(machine.loaded.values()) / MIB:.0f}",
            ]
            for machine in result.machines
        ),
        title="RAM at Ready and what was loaded, MiB",
    )
    click.echo()
    ui.print_table(["FIGURE", "MEASURED", "TARGET", ""], figures(result))


def _stages(result: Result) -> list[list[str]]:
    return [
        [
            machine.name,
            machine.role,
            f"{machine.floor:.0f}",
            *(f"{machine.stages[stage]:.0f}" if stage in machine.stages else "" for stage in WAY),
        ]
        for machine in result.machines
    ]


def figures(result: Result) -> list[tuple[str, str, str, str]]:
    """Rows of figure, measured value, target, and whether it is met."""
    workers = [machine for machine in result.machines if machine.role == Role.WORKER]
    ratio = result.ready / result.floor
    rows: list[tuple[str, str, str, bool | None]] = [
        ("power-on to login, no Kubernetes (the floor)", f"{result.floor:.0f} s", "", None),
        ("power-on to all nodes Ready", f"{result.ready:.0f} s", "", None),
        ("  as a multiple of the floor", f"{ratio:.2f}", f"at most {TARGET_RATIO}", ratio <= TARGET_RATIO),
    ]
    if result.again is not None:
        rows.append(("power-on to all nodes Ready, after a power cut", f"{result.again:.0f} s", "", None))
    rootfs = result.rootfs
    rows.append(("rootfs", f"{rootfs / MIB:.0f} MiB", f"at most {TARGET_ROOTFS // MIB} MiB", rootfs <= TARGET_ROOTFS))
    if workers:
        loaded = max(sum(machine.loaded.values()) for machine in workers)
        target = f"at most {TARGET_WORKER_LOAD // MIB} MiB"
        rows.append(("loaded by a worker", f"{loaded / MIB:.0f} MiB", target, loaded <= TARGET_WORKER_LOAD))
        free = min(machine.ram.get("available", 0) for machine in workers)
        size = max(machine.memory_mib for machine in workers)
        target = f"at least {TARGET_WORKER_FREE} MiB"
        rows.append((f"free on a worker of {size} MiB", f"{free} MiB", target, free >= TARGET_WORKER_FREE))
    rows.append(
        (
            "nodisk --help",
            f"{result.help_seconds:.2f} s",
            f"at most {TARGET_HELP} s",
            result.help_seconds <= TARGET_HELP,
        )
    )
    return [
        (what, measured, target, {None: "", True: "met", False: "MISSED"}[met]) for what, measured, target, met in rows
    ]
