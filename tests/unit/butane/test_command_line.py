"""The words after ``nodisk butane``, read as Butane's own parser reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nodisk import __version__
from nodisk.commands.butane import butane

TEXT = "variant: fcos\nversion: 1.5.0\n"
TYPO = TEXT + "a: 1\n"
PLAIN = '{"ignition":{"version":"3.4.0"}}\n'
PRETTY = '{\n  "ignition": {\n    "version": "3.4.0"\n  }\n}\n'


def run(*args: str, text: str = TEXT) -> Result:
    return CliRunner().invoke(butane, args, input=text, catch_exceptions=False)


@pytest.mark.parametrize(
    ("args", "output"),
    [
        (["--pretty=true"], PRETTY),
        (["-p=T"], PRETTY),
        (["-p", "--pretty=false"], PLAIN),
        (["--pretty=0", "-p"], PRETTY),
        (["--raw=1", "-D", "--debug=true"], PLAIN),
        (["-o", ""], PLAIN),
        (["--output=", ""], PLAIN),
        (["--input", ""], PLAIN),
        (["--color"], PLAIN),
        (["--color=foo", "--colour="], PLAIN),
        (["--version"], f"nodisk {__version__}\n"),
        (["-V"], f"nodisk {__version__}\n"),
    ],
)
def test_words(args: list[str], output: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (0, output)


def test_a_colour_takes_no_next_word(tmp_path: Path) -> None:
    (tmp_path / "a.bu").write_text(TYPO)
    for flag in ("--color", "--colour"):
        result = CliRunner().invoke(butane, [flag, str(tmp_path / "a.bu")], color=True)
        assert (result.exit_code, result.stdout) == (0, PLAIN)
        assert "\033[1;33mwarning\033[0m" in result.stderr
    for value in ("never", "no", "foo", ""):
        assert "\033" not in run(f"--color={value}", text=TYPO).stderr


def test_what_another_option_takes_is_no_flag(tmp_path: Path) -> None:
    (tmp_path / "--color").mkdir()
    text = TEXT + "storage: {files: [{path: /a, contents: {local: x}}]}\n"
    assert "open --color/x: no such file" in run("-d", "--color", text=text).stderr
    assert "open --pretty=x:" in run("--", "--pretty=x").stderr


def test_the_last_strict_counts() -> None:
    assert run("--strict", "--strict=false", text=TYPO).exit_code == 0
    assert run("-s=f", "--strict", text=TYPO).exit_code == 1


def test_no_truth_value() -> None:
    result = run("--strict=no")
    assert result.exit_code == 2
    said = 'invalid argument "no" for "-s, --strict" flag: strconv.ParseBool: parsing "no": invalid syntax'
    assert said in result.stderr


def test_a_folder_as_input() -> None:
    result = run(".")
    assert (result.exit_code, result.stderr) == (1, "failed to read .: read .: is a directory\n")


def test_the_whole_system_as_files_dir(tmp_path: Path) -> None:
    """Butane's own test of the path refuses everything there; a file below / is below /."""
    (tmp_path / "a").write_text("x")
    text = TEXT + f"storage: {{files: [{{path: /a, contents: {{local: {tmp_path}/a}}}}]}}\n"
    assert '"source":"data:,x"' in run("-d", "/", text=text).stdout


@pytest.mark.parametrize("words", [["-d=DIR"], ["-dDIR"], ["-pd=DIR"], ["-pd", "DIR"], ["-p", "-d", "DIR"]])
def test_values_behind_a_letter(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "x").write_text("y")
    text = TEXT + "storage: {files: [{path: /a, contents: {local: x}}]}\n"
    result = run(*(word.replace("DIR", str(tmp_path)) for word in words), text=text)
    assert (result.exit_code, "data:,y" in result.stdout) == (0, True), result.stderr
    assert (result.stdout.count("\n") > 1) is ("p" in words[0])


def test_output_behind_an_equals_sign(tmp_path: Path) -> None:
    assert run(f"-o={tmp_path / 'out'}").exit_code == 0
    assert (tmp_path / "out").read_text() == PLAIN


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("-x", "unknown shorthand flag: 'x' in -x"),
        ("-cx", "unknown shorthand flag: 'x' in -x"),
        ("-xc", "unknown shorthand flag: 'x' in -xc"),
        ("---x", "bad flag syntax: ---x"),
        ("--=x", "bad flag syntax: --=x"),
        ("--x", "unknown flag: --x"),
        ("-cd", "flag needs an argument: 'd' in -d"),
    ],
)
def test_no_such_words(word: str, said: str) -> None:
    result = run(word)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
