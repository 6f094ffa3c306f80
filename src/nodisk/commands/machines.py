"""``nodisk lab``: up, down, status, console, ssh, power, bench."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from nodisk import ui, virtual_record
from nodisk.assets import build
from nodisk.commands.cluster import ssh
from nodisk.commands.lab_bench import lab_bench
from nodisk.commands.verify import prove
from nodisk.context import LabContext, LabOptions, SeveralLabs, lab_options, output_option
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.machines import console as console_
from nodisk.machines import qemu
from nodisk.machines.power import everywhere
from nodisk.machines.remains import Remains, named, need_root
from nodisk.machines.segment import tap_name
from nodisk.machines.virtual import Virtual
from nodisk.machines.watch import WAY, Row, rows, summary, wait_ready
from nodisk.records import running
from nodisk.records.database import Database

READY_WITHIN = 1200.0
"""Seconds. Without KVM, booting on two processors takes minutes; this is about twice the usual time."""
FIRST_CLASS = "first --students anna,jan,ola,piotr --size tiny --days 7"
"""Arguments of ``nodisk class create`` for a class that fits machines with 1 GB of RAM."""


@click.group()
def lab() -> None:
    """Run a virtual lab: QEMU machines in a network namespace.

    It uses the same server and configuration as a real room, and leaves this host's network alone.
    """


@lab.command(epilog="Example: nodisk lab up --lab examples/virtual.yaml")
@lab_options
@click.option("--detach", is_flag=True, help="Return once the machines are on; follow progress with nodisk status.")
@click.option("--no-proof", is_flag=True, help="Stop once all nodes are Ready; skip the test of the cluster.")
@click.option("--offline", is_flag=True, help="Download nothing; fail if something is missing.")
@click.option(
    "--within", type=float, default=READY_WITHIN, show_default=True, help="Seconds to wait for all nodes to be Ready."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
def up(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, detach: bool, no_proof: bool, offline: bool, within: float, dry_run: bool
) -> None:
    """Build, start the server, power on the machines, and test the cluster.

    Without a cluster (kubernetes.engine: none), a machine is ready once it has enrolled and takes logins by SSH. The
    lab keeps running. If `lab up` was interrupted, run it again to continue.
    """

    virtual = _virtual(options)
    virtual.check()
    virtual.remains.need_virtual()
    if dry_run:
        _dry_run(virtual)
        return
    with virtual.remains.alone():
        build.build(virtual.lab, options.state, offline=offline)
        record = virtual.start(ui.say)
        virtual = _virtual(options)  # again: the lab may have got an SSH key of its own
        on = [name for name, was_off in everywhere(virtual.power.on, virtual.lab.machines).items() if was_off]
        if on:
            ui.say(f"powered on: {', '.join(on)}")
        if detach:
            return
        _arrive(virtual, within=within, proof=not no_proof)
    _try_next(options, virtual, record.http_port, record.api_port)


def _arrive(virtual: Virtual, *, within: float, proof: bool) -> None:
    with Database(virtual.state.database) as database:
        rows = wait_ready(virtual.power, database, seconds=within, alive=virtual.services.check_server)
        _show_times(rows)
    if proof and virtual.lab.has_cluster:
        prove(LabContext(virtual.lab, virtual.file, virtual.state, virtual.segment.netns))


def _show_times(rows: list[Row]) -> None:
    table = []
    for row in rows:
        seconds = [row.seconds(stage) for stage in WAY]
        table.append([row.machine.name, row.machine.role, *("" if at is None else f"{at:.0f}" for at in seconds)])
    ui.print_table(["MACHINE", "ROLE", *(stage.upper() for stage in WAY)], table, title="Seconds since power-on")


def _try_next(options: LabOptions, virtual: Virtual, http_port: int, api_port: int) -> None:
    program = Path(sys.argv[0])
    name = str(program.relative_to(Path.cwd())) if program.is_relative_to(Path.cwd()) else program.name
    if program.name == "__main__.py":  # python -m nodisk
        name = "nodisk"
    state = "" if options.state.root == type(options.state)().root else f" --state {options.state.root}"
    cluster = virtual.lab.has_cluster
    api = f"   API: https://127.0.0.1:{api_port}" if cluster else ""
    click.echo(
        f"\nLab {virtual.lab.name} is running. Server: http://127.0.0.1:{http_port}{api}\n"
        "Try next:\n"
        + (f"  {name} kubectl{state} get nodes -o wide\n" if cluster else "")
        + f"  {name} status{state}\n"
        f"  {name} ssh{state} {virtual.lab.machines[-1].name}\n"
        + (f"  {name} class create{state} {FIRST_CLASS}\n" if cluster else f"  {name} inventory{state} --list\n")
        + f"  {name} lab power{state} --all cut     then: on\n"
        f"  {name} lab down{state}"
    )


def _dry_run(virtual: Virtual) -> None:
    click.echo("would build missing assets (nodisk build)")
    click.echo(f"would create network namespace {virtual.segment.netns}, with {virtual.segment.server} on a bridge")
    click.echo("would run nodisk serve in it, and forward its API and HTTP ports to 127.0.0.1")
    for machine in virtual.lab.machines:
        tap = tap_name(machine.mac)
        words = qemu.arguments(virtual.state, virtual.lab, machine, tap=tap, accel=qemu.accelerator())
        click.echo(f"would run: {shlex.join(words)}")


@lab.command(epilog="Examples: nodisk lab down --purge; where lab.yaml is gone: nodisk lab down --name room")
@lab_options
@click.option("--name", metavar="NAME", help="The lab's name instead of its file, which may be gone.")
@click.option("--purge", is_flag=True, help="Also remove the lab's state: etcd, PKI, registry, logs, classes.")
@click.option("--dry-run", is_flag=True, help="Show what would be stopped; change nothing.")
def down(options: LabOptions, name: str | None, purge: bool, dry_run: bool) -> None:
    """Power off everything and clean up the running lab.

    The cluster's data stays in the state directory, so the next `lab up` brings back the same cluster. --purge
    removes it.
    """
    if name is not None and options.lab is not None:
        raise UsageError("--lab and --name are two ways to say which lab: give one", hint="nodisk lab down --name room")
    try:
        found: Virtual | Remains = _virtual(options) if name is None else named(options.state, name)
    except SeveralLabs as several:
        raise UsageError(several.message, hint=f"choose one: nodisk lab down --name {several.names[0]}") from None
    remains = found.remains if isinstance(found, Virtual) else found
    need_root()
    remains.need_virtual(remove=purge)
    if dry_run:
        if isinstance(found, Virtual):
            for machine in found.lab.machines:
                pid = found.power.pid(machine)
                click.echo(f"{machine.name}: {'is off' if pid is None else f'would stop QEMU (pid {pid})'}")
        _dry_run_down(remains, purge=purge)
        return
    with remains.alone():
        there = found.down(ui.say, purge=purge)
    ui.say(f"the lab {remains.state.name} is down" if there else f"the lab {remains.state.name} was not up")


def _dry_run_down(remains: Remains, *, purge: bool) -> None:
    pid, namespace = running.process(remains.state), remains.namespace
    click.echo(f"server: {'not running' if pid is None else f'would stop it (pid {pid})'}")
    what = "would go, with all that runs in it" if namespace.exists() else "is not there"
    click.echo(f"namespace {namespace.netns}: {what}")
    click.echo(f"state {remains.state.root}: {'would be removed' if purge else 'would be kept'}")


@lab.command(name="status", epilog="Example: nodisk lab status --output json")
@lab_options
@output_option
def lab_status(options: LabOptions, output: str) -> None:
    """Show the lab's server, ports, and machines with their boot stages."""
    virtual = _virtual(options)
    found, pid = virtual_record.read(virtual.state), running.process(virtual.state)
    machines: list[Row] = []
    if virtual.state.database.exists():
        with Database(virtual.state.database, reading=True) as database:
            machines = rows(virtual.power, database)
    if output == "json":
        listed = [
            {
                "name": str(row.machine.name),
                "on": row.on is not None,
                "pid": virtual.power.pid(row.machine),
                "stage": str(row.progress.stage) if row.progress.stage else None,
                "memory_mib": qemu.memory_mib(row.machine),
            }
            for row in machines
        ]
        record_ = None if found is None else asdict(found)
        ui.print_json({"lab": str(virtual.lab.name), "server_pid": pid, "record": record_, "machines": listed})
        return
    if found is None:
        click.echo(f"lab {virtual.lab.name} is not up")
    else:
        click.echo(
            f"namespace {found.netns}   server {'pid ' + str(pid) if pid else 'not running'}   "
            f"http://127.0.0.1:{found.http_port}"
            + (f"   https://127.0.0.1:{found.api_port}" if virtual.lab.has_cluster else "")
        )
    table = []
    for row in machines:
        stage, since, reason = summary(row, time.time())
        table.append([row.machine.name, row.machine.role, f"{qemu.memory_mib(row.machine)} MiB", stage, since, reason])
    ui.print_table(["MACHINE", "ROLE", "MEMORY", "STAGE", "SINCE POWER-ON", ""], table)


@lab.command(epilog="Example: nodisk lab console cp1 --follow")
@lab_options
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Print the log and follow it until Ctrl-C.")
@click.option("--log", "log", is_flag=True, help="Print the log and exit, even on a terminal.")
def console(options: LabOptions, name: str, follow: bool, log: bool) -> None:
    """Attach to a machine's serial console.

    On a terminal, attaches to the console (Ctrl-] to leave). Otherwise, or with --log, prints its log so far.
    """

    virtual = _virtual(options)
    paths = qemu.Paths.of(virtual.state, virtual.machines((name,))[0])
    if not (follow or log) and sys.stdin.isatty() and sys.stdout.isatty():
        ui.say("press Ctrl-] to leave the console")
        console_.attach(paths.serial)
        return
    if not paths.console.exists():
        raise EnvironmentProblem(f"{name} was never powered on: {paths.console} doesn't exist", hint="nodisk lab up")
    for data in console_.log_text(paths.console, follow=follow):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@lab.command(
    name="ssh",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: nodisk lab ssh w1 uptime",
)
@lab_options
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def lab_ssh(ctx: click.Context, options: LabOptions, name: str, command: tuple[str, ...]) -> None:
    """Log in to a machine (same as `nodisk ssh`)."""
    ctx.invoke(ssh, lab=options.lab, state=options.state.root, name=name, command=command)


@lab.command(epilog="Example: nodisk lab power --all cut")
@lab_options
@click.argument("words", nargs=-1, required=True, metavar="[NAME]... on|off|cut")
@click.option("--all", "every", is_flag=True, help="Select every machine of the lab.")
@click.option("--dry-run", is_flag=True, help="Show which machines would be switched; change nothing.")
def power(options: LabOptions, words: tuple[str, ...], every: bool, dry_run: bool) -> None:
    """Power machines on or off, or cut their power.

    off presses the power button (ACPI) and waits for the shutdown; cut removes the power, like pulling the plug.
    """

    names, what = words[:-1], words[-1]
    if what not in ("on", "off", "cut"):
        raise UsageError(f"invalid action {what!r}: use on, off or cut", hint="nodisk lab power w1 off")
    if bool(names) == every:
        raise UsageError("name machines or pass --all, but not both", hint="nodisk lab power --all cut")
    virtual = _virtual(options)
    chosen = virtual.machines(names, every=every)
    if dry_run:
        click.echo(f"would switch {what}: {', '.join(str(machine.name) for machine in chosen)}")
        return
    need_root()
    action = {"on": virtual.power.on, "off": virtual.power.off, "cut": virtual.power.cut}[what]
    for name, changed in everywhere(action, chosen).items():
        click.echo(f"{name}: {what}{'' if changed else ' (already)'}")


lab.add_command(lab_bench)


def _virtual(options: LabOptions) -> Virtual:
    context = options.load()
    return Virtual(context.lab, context.file, context.state)
