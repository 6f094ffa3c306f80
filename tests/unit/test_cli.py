"""The command line as a whole: every command's help, the one error boundary, and what starting up costs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from nodisk import cli, errors

ROOT = Path(__file__).parents[2]
NODISK = Path(sys.executable).parent / "nodisk"
HEAVY = {
    "pydantic",
    "httpx2",
    "rich",
    "cryptography",
    "starlette",
    "uvicorn",
    "yaml",
    "jinja2",
    "matplotlib",
    "asyncio",
}
LIVING = [name for name, (target, _) in cli.COMMANDS.items() if importlib.util.find_spec(target.split(":")[0])]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run([NODISK, *words], capture_output=True, text=True, env=env, timeout=60, check=False)


def command(name: str) -> click.Command:
    module, _, attribute = cli.COMMANDS[name][0].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, click.Command)
    return found


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be called, with the words that call it."""

    def walk(words: str, found: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, found
        if isinstance(found, click.Group):
            context = click.Context(found, **cli.nodisk.context_settings)
            for name in found.list_commands(context):
                inner = found.get_command(context, name)
                assert inner is not None
                yield from walk(f"{words} {name}", inner)

    for name in LIVING:
        yield from walk(name, command(name))


@pytest.mark.parametrize("name", LIVING)
def test_the_list_says_what_the_command_says(name: str) -> None:
    assert cli.COMMANDS[name][1] == (command(name).help or "").split("\n")[0]


@pytest.mark.parametrize(("words", "found"), [pytest.param(*pair, id=pair[0]) for pair in all_commands()])
def test_every_command_explains_itself(words: str, found: click.Command) -> None:
    shown = found.get_help(click.Context(found, info_name=f"nodisk {words}", **cli.nodisk.context_settings))
    assert found.help, words
    assert found.help.split("\n")[0].endswith("."), f"{words}: the first line is a sentence"
    # A group does nothing by itself: its commands have the examples.
    assert isinstance(found, click.Group) or "Example" in shown, f"nodisk {words} --help shows no example"
    for parameter in found.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"nodisk {words}: {parameter.opts[0]} is not explained"


def test_help_lists_every_command_and_imports_none() -> None:
    code = "import sys; from nodisk import cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown, _, modules = done.stdout.rstrip().rpartition("\n")
    for name, (_, line) in cli.COMMANDS.items():
        assert re.search(rf"^  {re.escape(name)} +{re.escape(line)}$", shown, re.MULTILINE), name
    assert set(modules.split()) & HEAVY == set()


def test_only_serve_loads_the_server() -> None:
    """It costs as much as all else that a command loads."""
    modules = sorted({where.partition(":")[0] for name, (where, _) in cli.COMMANDS.items() if name != "serve"})
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"uvicorn", "starlette.applications", "nodisk.console.app"} == set()


def processor_time(*words: str | Path) -> float:
    """Seconds that a program computes. What the clock says depends on what else this machine does."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that its end isn't waited for again
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_start_up_time() -> None:
    """The list of commands costs little more than click itself: 1.2 to 1.4 times as much.

    A module that is imported too early shows: pydantic makes that 1.8, the model of lab.yaml 4.6, a command 5 and more.
    """
    bare, listed = [], []
    for _ in range(7):
        bare.append(processor_time(sys.executable, "-c", "import click"))
        listed.append(processor_time(NODISK, "--help"))
    assert min(listed) < 1.75 * min(bare)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--version"], 0, "nodisk "),
        (["frobnicate"], 2, "No such command"),
        (["init", "--nonsense"], 2, "No such option"),
        (
            ["check", "--lab", "/nonexistent/lab.yaml"],
            1,
            "No such file or directory\nhint: create one with nodisk init",
        ),
        (["check", "--lab", "/dev/null"], 1, "is not a file"),
        (["check", "--state", "/nonexistent"], 2, "no lab found: no --lab, no $NODISK_LAB"),
        (["init", "/proc/lab.yaml"], 1, "error: /proc/lab.yaml"),
    ],
)
def test_one_boundary(words: list[str], status: int, said: str, tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "NODISK_LAB"}
    done = subprocess.run([NODISK, *words], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_reported_whole(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("name: A\nmachines: 7\n")
    done = run("check", NODISK_LAB=str(tmp_path / "lab.yaml"))
    assert done.returncode == 3
    assert re.findall(r"lab\.yaml:(\d+:\d+): (\w+):", done.stderr) == [
        ("1:1", "network"),
        ("1:7", "name"),
        ("2:11", "machines"),
    ]


def test_a_reader_that_leaves_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [NODISK, "init", "--dry-run"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode in (0, 1)
    assert done.stderr == ""


def tree(kind: type[errors.NodiskError]) -> Iterator[type[errors.NodiskError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from tree(inner)


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert documented == {kind.exit_code for kind in tree(errors.NodiskError)} | {0, 129, 130, 143}
    drawn = dict(re.findall(r"(\w+) +(\d)  +\w", errors.__doc__ or ""))
    here = {
        kind.__name__: str(kind.exit_code) for kind in tree(errors.NodiskError) if kind.__module__ == errors.__name__
    }
    assert here.items() <= drawn.items()
