"""Whether a file mode was probably meant as octal and written as decimal: ``mode: 644``."""

from __future__ import annotations


def looks_decimal(mode: int, *, directory: bool) -> bool:
    """Whether ``mode`` makes no sense, but its decimal digits read as octal would."""
    digits = str(mode)
    if mode < 0 or mode > 7777 or "8" in digits or "9" in digits:
        return False
    return not is_usual(mode, directory=directory) and is_usual(int(digits, 8), directory=directory)


def is_usual(mode: int, *, directory: bool) -> bool:
    """Whether somebody would set ``mode`` on purpose."""
    if mode == 0:
        return True
    had_r = had_w = had_x = False
    for shift in (0, 3, 6):  # others, group, owner: each may do at least what the one before may
        r, w, x = (bool(mode >> shift & bit) for bit in (4, 2, 1))
        if (had_r and not r) or (had_w and not w) or (had_x and not x):
            return False
        if (x and had_r and not had_x) or ((w or x) and not r):
            return False
        had_r, had_w, had_x = had_r or r, had_w or w, had_x or x
    if not had_r:
        return False
    if directory:
        return had_x and not mode & 0o4000 and (not mode & 0o3000 or had_w)
    return not mode & 0o1000 and (not mode & 0o6000 or (had_x and not mode & 2))
