"""What a person sees of a message."""

from nodisk.butane import pretty, translate

HEAD = b"variant: fcos\nversion: 1.5.0\nstorage:\n"


def marked(text: bytes) -> str:
    source = HEAD + text
    shown = pretty.text(translate(source).report, "x", source)
    return next(line for line in shown.splitlines() if "path not absolute" in line)


def test_the_word_is_underlined() -> None:
    assert marked(b"  files: [{path: rel}]\n").endswith(" ^^^^^ path not absolute")


def test_before_it_characters_are_counted_and_bytes_cut() -> None:
    # As Butane does it: a letter of two bytes moves the cut onto the space.
    assert "^" not in marked('  files: [{user: {name: "ü"}, path: rel}]\n'.encode())
