"""``nodisk butane``: Butane's own command line, and ``ct``'s behind ``--from clc``."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Any

import click

from nodisk import __version__
from nodisk.butane import pretty
from nodisk.butane.clc import translate as translate_clc
from nodisk.butane.localfiles import words
from nodisk.butane.translation import STRICT, Result, translate
from nodisk.butane.yamltree import MAX_BYTES

_TARGETS = ("2.1.0", "2.2.0", "2.3.0")


_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


class Translator(click.Command):
    """A command that reads its words as Butane does, and whose complaints about them are Butane's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises click.UsageError, which ends with status 2."""
        try:
            return super().parse_args(ctx, self._plain(ctx, args))
        except click.NoSuchOption as error:
            name = error.option_name
            raise click.UsageError(f"unknown flag: {name}", ctx) from error
        except click.BadOptionUsage as error:
            name = error.option_name
            if "requires an argument" in error.message:
                shown = name if name.startswith("--") else f"'{name.lstrip('-')}' in {name}"
                raise click.UsageError(f"flag needs an argument: {shown}", ctx) from error
            raise

    def _plain(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``args`` without what only Butane's parser knows: flags with a value, colours without one."""
        options = {name: one for one in self.get_params(ctx) if isinstance(one, click.Option) for name in one.opts}
        out: list[str] = []
        words = deque(args)
        while words:
            word = words.popleft()
            if len(word) > 2 and word[0] == "-" != word[1] and word[:2] in options:
                first, *rest = _unpacked(options[word[:2]], word)
                words.extendleft(reversed(rest))
                word = first
            name, equals, value = word.partition("=")
            option = options.get(name)
            if word == "--":
                out += [word, *words]
                break
            if word[:3] in ("---", "--="):
                raise click.UsageError(f"bad flag syntax: {word}", ctx)
            if option is None and len(word) > 1 and word[0] == "-" != word[1]:
                raise click.UsageError(f"unknown shorthand flag: '{word[1]}' in {word}", ctx)
            if option is not None and option.is_flag and equals:
                if value not in _BOOLEANS:
                    flag = ", ".join(option.opts)
                    problem = f'strconv.ParseBool: parsing "{value}": invalid syntax'
                    raise click.UsageError(f'invalid argument "{value}" for "{flag}" flag: {problem}', ctx)
                # The last one counts.
                out = [given for given in out if given not in option.opts] + [name] * _BOOLEANS[value]
            elif option is not None and option.name == "color":
                out.append(word if equals else word + "=always")
            else:
                out.append(word)
                if option is not None and not option.is_flag and not equals:
                    out += [words.popleft()] if words else []
        return out


def _unpacked(option: click.Option, word: str) -> list[str]:
    """``-pd=DIR`` one step further apart: ``-p``, ``-d=DIR``; and that: ``-d``, ``DIR``."""
    name, rest = word[:2], word[2:]
    if option.is_flag:
        return [word] if rest[0] == "=" else [name, "-" + rest]
    return [name, rest[1:] if rest[0] == "=" and len(rest) > 1 else rest]


@click.command(
    cls=Translator,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: nodisk butane --pretty --strict machine.bu -o machine.ign · "
    "nodisk butane --from clc --to 2.1.0 coreos.yml",
)
@click.argument("files", nargs=-1, metavar="[FILE]", type=click.Path())
@click.option("-c", "--check", is_flag=True, help="Check the config without writing anything.")
@click.option("-d", "--files-dir", type=click.Path(), help="Embed local files from this folder.", metavar="DIR")
@click.option("-o", "--output", type=click.Path(), help="Write to this file instead of stdout.", metavar="FILE")
@click.option("-p", "--pretty", "indent", is_flag=True, help="Write indented JSON.")
@click.option(
    "-r", "--raw", is_flag=True, help="Accepted for compatibility with Butane; has no effect for these variants."
)
@click.option("-s", "--strict", is_flag=True, help="Fail on any warning.")
@click.option("--raw-errors", is_flag=True, help="Show messages without the source lines they refer to.")
@click.option(
    "--color",
    "--colour",
    default="auto",
    metavar="[=auto|always|never]",
    help="Colour messages (default: on a terminal, unless $NO_COLOR is set).",
)
@click.option("--input", "input_", hidden=True, type=click.Path())
@click.option("-D", "--debug", is_flag=True, hidden=True)
@click.option("-V", "--version", is_flag=True, help="Print the version and exit.")
@click.option(
    "--from",
    "dialect",
    type=click.Choice(["butane", "clc"]),
    default="butane",
    show_default=True,
    help="Input format: Butane or Container Linux Config.",
)
@click.option("--to", type=click.Choice(_TARGETS), help="Ignition version for --from clc (default: 2.3.0).")
@click.option("--platform", default="", help="Platform of a Container Linux Config with dynamic data.", metavar="NAME")
@click.pass_context
def butane(ctx: click.Context, /, files: tuple[str, ...], **options: Any) -> None:
    """Translate Butane or Container Linux Config to Ignition.

    Reads FILE, or stdin. Exits with 0 on success, 1 if the config can't be translated (or has warnings, with
    --strict), and 2 for invalid arguments.
    """
    name = options["input_"] or (files[0] if files else "")
    if len(files) > 1 or (files and options["input_"]):
        raise click.UsageError("only one input file is allowed", ctx)
    if options["dialect"] == "butane" and (options["to"] or options["platform"]):
        raise click.UsageError("--to and --platform need --from clc", ctx)
    if options["version"]:
        click.echo(f"nodisk {__version__}")
        return
    if options["input_"] is not None:
        click.echo("Flag --input has been deprecated, specify filename directly on command line", err=True)
    source = _read(ctx, name)
    result = _translate(source, options)
    colour = options["color"] in ("always", "yes") or (
        options["color"] == "auto" and "NO_COLOR" not in os.environ and sys.stderr.isatty()
    )
    report = result.report
    messages = pretty.text(report, name or "<stdin>", source, colour=colour, raw=options["raw_errors"])
    click.echo(messages, nl=False, err=True, color=colour or None)
    if report.failure is not None:
        prefix = "" if report.failure == STRICT or options["dialect"] == "clc" else "Error translating config: "
        if report.failure:
            click.echo(prefix + report.failure, err=True)
        ctx.exit(1)
    if not options["check"]:
        newline = "\n" if options["dialect"] == "butane" or options["indent"] else ""
        _write(ctx, options["output"], (result.json(pretty=options["indent"]) + newline).encode())


def _translate(source: bytes, options: dict[str, Any]) -> Result:
    if options["dialect"] == "butane":
        return translate(source, files_dir=options["files_dir"], strict=options["strict"])

    return translate_clc(
        source,
        to=options["to"] or "2.3.0",
        platform=options["platform"],
        files_dir=options["files_dir"],
        strict=options["strict"],
    )


def _read(ctx: click.Context, name: str) -> bytes:
    """The whole input, up to a byte more than what would be refused anyway; "" is stdin."""
    try:
        if not name:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(name, "rb") as file:  # noqa: PTH123 - the message names the file as it was given
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        # Go opens a folder, and only reading it fails.
        verb = "read" if isinstance(error, IsADirectoryError) else "open"
        name = name or "<stdin>"
        click.echo(f"failed to {verb} {name}: {verb} {name}: {words(error)}", err=True)
        ctx.exit(1)


def _write(ctx: click.Context, name: str | None, data: bytes) -> None:
    if not name:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        with open(name, "wb") as file:  # noqa: PTH123
            file.write(data)
    except OSError as error:
        click.echo(f"failed to open {name}: open {name}: {words(error)}", err=True)
        ctx.exit(1)
