"""How long a DEFLATE stream (RFC 1951) gets, by the choices of the compressor that Butane has.

zlib chooses otherwise: it takes matches of three bytes. Where it hangs by a few bytes whether compression pays, only
the length that Butane would see can say what Butane does. One block, no bytes: just the length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

_MIN_MATCH, _MAX_MATCH = 4, 258
_END = 256
_MAX_BITS, _MAX_LENGTH_BITS = 15, 7
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_REPEAT_BITS = {16: 2, 17: 3, 18: 7}


def size(data: bytes) -> int:
    """Bytes of the stream: a block of the cheapest kind, and an empty one that is the last."""
    literals, distances, extra = _count(data)
    fixed = 3 + extra + sum(times * _fixed_bits(code) for code, times in literals.items()) + 5 * distances.total()
    best = min(fixed, _dynamic(literals, distances) + extra)
    stored = (5 + len(data)) * 8
    best = min(best, stored)
    return (best + 3 + 7) // 8 + 4


def _fixed_bits(code: int) -> int:
    return 8 if code < 144 or code > 279 else 9 if code < 256 else 7


def _tokens(data: bytes) -> Iterator[tuple[int, int]]:
    """(0, byte) or (length, distance): a match is taken unless the next byte begins a longer one."""
    places: dict[bytes, list[int]] = {}
    waiting = False
    best = distance = 0
    place = 0
    while place < len(data):
        key = data[place : place + _MIN_MATCH]
        length = away = 0
        if len(key) == _MIN_MATCH:
            length, away = _longest(data, place, places.get(key, ()))
            places.setdefault(key, []).append(place)
        if best and length <= best:
            yield best, distance
            for inside in range(place + 1, place - 1 + best):
                if inside + _MIN_MATCH <= len(data):
                    places.setdefault(data[inside : inside + _MIN_MATCH], []).append(inside)
            place += best - 1
            waiting = False
            best = 0
            continue
        if waiting:
            yield 0, data[place - 1]
        waiting = True
        best, distance = length, away
        place += 1
    if best:
        yield best, distance
    elif waiting:
        yield 0, data[-1]


def _longest(data: bytes, place: int, earlier: list[int] | tuple[()]) -> tuple[int, int]:
    """The longest match with one of the ``earlier`` places, the nearest of equal ones."""
    best = distance = 0
    limit = min(_MAX_MATCH, len(data) - place)
    for start in reversed(earlier):
        length = _MIN_MATCH
        while length < limit and data[start + length] == data[place + length]:
            length += 1
        if length > best:
            best, distance = length, place - start
    return best, distance


def _count(data: bytes) -> tuple[Counter[int], Counter[int], int]:
    """How often each code for literals and lengths, and each for distances is used; the extra bits of all."""
    literals, distances = Counter([_END]), Counter[int]()
    extra = 0
    for length, value in _tokens(data):
        if not length:
            literals[value] += 1
            continue
        code, bits = _length_code(length)
        literals[code] += 1
        extra += bits
        code, bits = _distance_code(value)
        distances[code] += 1
        extra += bits
    return literals, distances, extra


def _length_code(length: int) -> tuple[int, int]:
    """The code of a length, and its extra bits: eight codes without, then four for each number of bits."""
    if length == _MAX_MATCH:
        return 285, 0
    value = length - 3
    bits = max(value.bit_length() - 3, 0)
    return 257 + bits * 4 + (value >> bits), bits


def _distance_code(distance: int) -> tuple[int, int]:
    """The same for a distance: four codes without, then two for each number of bits."""
    value = distance - 1
    bits = max(value.bit_length() - 2, 0)
    return bits * 2 + (value >> bits), bits


def _dynamic(literals: Counter[int], distances: Counter[int]) -> int:
    """Bits of a block with codes of its own, without the extra bits."""
    if not distances:
        distances = Counter([0])
    lengths = _code_lengths(literals, _MAX_BITS)
    away = _code_lengths(distances, _MAX_BITS)
    table = [lengths.get(code, 0) for code in range(max(lengths) + 1)]
    table += [away.get(code, 0) for code in range(max(away) + 1)]
    runs = list(_runs(table))
    codes = Counter(runs)
    header = _code_lengths(codes, _MAX_LENGTH_BITS)
    listed = max(4, 1 + max(place for place, code in enumerate(_ORDER) if code in header))
    bits = 3 + 5 + 5 + 4 + 3 * listed
    bits += sum(times * (header[code] + _REPEAT_BITS.get(code, 0)) for code, times in codes.items())
    bits += sum(times * lengths[code] for code, times in literals.items())
    return bits + sum(times * away[code] for code, times in distances.items())


def _runs(table: list[int]) -> Iterator[int]:
    """The lengths of codes, with repetitions as codes of their own."""
    place = 0
    while place < len(table):
        value = table[place]
        end = place
        while end < len(table) and table[end] == value:
            end += 1
        count = end - place
        place = end
        if value:
            yield value
            count -= 1
            while count >= 3:
                yield 16
                count -= min(count, 6)
        else:
            while count >= 11:
                yield 18
                count -= min(count, 138)
            if count >= 3:
                yield 17
                count = 0
        yield from [value] * count


def _code_lengths(times: Mapping[int, int], longest: int) -> dict[int, int]:
    """The best lengths of a prefix code, none above ``longest``, by merging packages; rarer symbols get longer ones."""
    symbols = sorted(times, key=lambda symbol: (times[symbol], symbol))
    if len(symbols) <= 2:
        return dict.fromkeys(symbols, 1)
    leaves = [(times[symbol], (place,)) for place, symbol in enumerate(symbols)]
    merged: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(longest):
        pairs = [
            (merged[at][0] + merged[at + 1][0], merged[at][1] + merged[at + 1][1])
            for at in range(0, len(merged) - 1, 2)
        ]
        # Of equal weights the pair comes first.
        merged = sorted([*pairs, *leaves], key=lambda package: package[0])
    counts = Counter(place for _, places in merged[: 2 * len(symbols) - 2] for place in places)
    return {symbol: counts[place] for place, symbol in enumerate(symbols)}
