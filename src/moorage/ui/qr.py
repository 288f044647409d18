"""Texts as QR codes (ISO/IEC 18004), which devices read from a screen.

Bytes at level M, which is read with a seventh of it spoilt; up to version 10, more than the address
of any second factor has. Nothing else of the standard is here.
"""

from collections.abc import Iterator

from markupsafe import Markup

# By version: all codewords, those of a block that correct errors, how many blocks there are.
_VERSIONS = (
    (26, 10, 1),
    (44, 16, 1),
    (70, 26, 1),
    (100, 18, 2),
    (134, 24, 2),
    (172, 16, 4),
    (196, 18, 4),
    (242, 22, 4),
    (292, 22, 5),
    (346, 26, 5),
)
# Where the middles of the small squares are, by version, but for the first place, which is 6.
_ALIGNED: tuple[tuple[int, ...], ...] = (
    (),
    (18,),
    (22,),
    (26,),
    (30,),
    (34,),
    (22, 38),
    (24, 42),
    (26, 46),
    (28, 50),
)
_BYTES, _LEVEL = 4, 0
_PADDING = b"\xec\x11"
_FIELD, _GOLAY, _BCH = 0x11D, 0x1F25, 0x537
_FORMAT_MASK = 0x5412
_QUIET = 4
_MASKS = 8
_FINDER = (True, False, True, True, True, False, True)

Modules = list[list[bool]]


def draw(text: str, told: str) -> Markup:
    """Return the code as an image that says `told` to whoever does not see it.

    Raises:
        ValueError: the text is longer than 213 bytes.
    """
    rows = modules(text.encode())
    size = len(rows) + 2 * _QUIET
    runs = "".join(
        f"M{x + _QUIET} {y + _QUIET}h{length}v1h-{length}z"
        for y, row in enumerate(rows)
        for x, length in _runs(row)
    )
    return Markup(
        '<svg class="qr" viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="{}"/></svg>'
    ).format(size, size, told, runs)


def modules(data: bytes, mask: int | None = None) -> Modules:
    """Return the rows of the code, true where it is dark; with the mask that reads best, or this.

    Raises:
        ValueError: there is too much of it.
    """
    version = _version_for(len(data))
    codewords = _interleaved(_padded(data, version), version)
    made = [_masked(codewords, version, each) for each in range(_MASKS) if mask in (None, each)]
    return min(made, key=_penalty)


def _runs(row: list[bool]) -> Iterator[tuple[int, int]]:
    start = 0
    for x in range(1, len(row) + 1):
        if x == len(row) or row[x] != row[start]:
            if row[start]:
                yield start, x - start
            start = x


def _version_for(length: int) -> int:
    for version in range(1, len(_VERSIONS) + 1):
        if _header(version) + 8 * length <= 8 * _capacity(version):
            return version
    raise ValueError("too long for a code")


def _header(version: int) -> int:
    """Return the bits of the mode and of the length."""
    return 4 + (8 if version < 10 else 16)


def _capacity(version: int) -> int:
    total, correcting, blocks = _VERSIONS[version - 1]
    return total - correcting * blocks


def _padded(data: bytes, version: int) -> bytes:
    bits = f"{_BYTES:04b}{len(data):0{_header(version) - 4}b}"
    bits += "".join(f"{each:08b}" for each in data)
    capacity = _capacity(version)
    bits += "0" * min(4, 8 * capacity - len(bits))
    bits += "0" * (-len(bits) % 8)
    found = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return (found + _PADDING * capacity)[:capacity]


def _interleaved(data: bytes, version: int) -> bytes:
    """Return the blocks' codewords in turn, those of data before those that correct errors."""
    total, correcting, count = _VERSIONS[version - 1]
    short = total // count - correcting
    longer = total % count
    blocks, at = [], 0
    for number in range(count):
        length = short + (number >= count - longer)
        blocks.append(data[at : at + length])
        at += length
    tails = [_remainder(each, correcting) for each in blocks]
    heads = bytes(each[n] for n in range(short + 1) for each in blocks if n < len(each))
    return heads + bytes(each[n] for n in range(correcting) for each in tails)


def _times(one: int, other: int) -> int:
    """Multiply in the field of 256 elements."""
    product = 0
    for bit in range(7, -1, -1):
        product = product << 1 ^ (product >> 7) * _FIELD
        product ^= (other >> bit & 1) * one
    return product


def _remainder(block: bytes, count: int) -> bytes:
    """Return the codewords that correct errors: what a division by the generator leaves."""
    generator, root = [1], 1
    for _ in range(count):
        generator = [
            _times(high, root) ^ low
            for high, low in zip([0, *generator], [*generator, 0], strict=True)
        ]
        root = _times(root, 2)
    left = [*block, *bytes(count)]
    for at in range(len(block)):
        factor = left[at]
        for n, each in enumerate(generator):
            left[at + n] ^= _times(each, factor)
    return bytes(left[len(block) :])


def _masked(codewords: bytes, version: int, mask: int) -> Modules:
    size = 17 + 4 * version
    fixed = dict(_patterns(size, version)) | dict(_information(size, version, mask))
    rows = [[fixed.get((x, y), False) for x in range(size)] for y in range(size)]
    bits = iter("".join(f"{each:08b}" for each in codewords))
    for x, y in _path(size):
        if (x, y) not in fixed:
            rows[y][x] = (next(bits, "0") == "1") != _is_turned(mask, x, y)
    return rows


def _path(size: int) -> Iterator[tuple[int, int]]:
    """Yield all places from below right, in double columns that go up and down in turn."""
    is_upward = True
    for right in range(size - 1, 0, -2):
        column = right if right > 6 else right - 1
        for y in range(size - 1, -1, -1) if is_upward else range(size):
            yield column, y
            yield column - 1, y
        is_upward = not is_upward


def _is_turned(mask: int, x: int, y: int) -> bool:
    return (
        (x + y) % 2,
        y % 2,
        x % 3,
        (x + y) % 3,
        (y // 2 + x // 3) % 2,
        x * y % 2 + x * y % 3,
        (x * y % 2 + x * y % 3) % 2,
        ((x + y) % 2 + x * y % 3) % 2,
    )[mask] == 0


def _patterns(size: int, version: int) -> Iterator[tuple[tuple[int, int], bool]]:
    """Yield what is the same in all codes of a version: the squares, and the lines between."""
    for n in range(8, size - 8):
        yield (n, 6), n % 2 == 0
        yield (6, n), n % 2 == 0
    places = (6, *_ALIGNED[version - 1]) if version > 1 else ()
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    for middle in ((x, y) for x in places for y in places if (x, y) not in corners):
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                yield (middle[0] + dx, middle[1] + dy), max(abs(dx), abs(dy)) != 1
    for left, top in ((0, 0), (size - 7, 0), (0, size - 7)):
        for dx in range(-1, 8):
            for dy in range(-1, 8):
                x, y = left + dx, top + dy
                if 0 <= x < size and 0 <= y < size:
                    yield (x, y), max(abs(dx - 3), abs(dy - 3)) not in (2, 4)


def _information(size: int, version: int, mask: int) -> Iterator[tuple[tuple[int, int], bool]]:
    """Yield what says how the code is to be read: level and mask, and the version from 7 on."""
    told = _LEVEL << 3 | mask
    bits = (told << 10 | _rest(told, 10, _BCH)) ^ _FORMAT_MASK
    for n in range(15):
        is_dark = bits >> n & 1 == 1
        at = n if n < 6 else n + 1 if n < 8 else size - 15 + n
        yield (8, at), is_dark
        at = size - 1 - n if n < 8 else 7 if n == 8 else 14 - n
        yield (at, 8), is_dark
    yield (8, size - 8), True
    if version >= 7:
        bits = version << 12 | _rest(version, 12, _GOLAY)
        for n in range(18):
            at, along = size - 11 + n % 3, n // 3
            yield (at, along), bits >> n & 1 == 1
            yield (along, at), bits >> n & 1 == 1


def _rest(value: int, bits: int, generator: int) -> int:
    rest = value << bits
    while rest.bit_length() > bits:
        rest ^= generator << rest.bit_length() - bits - 1
    return rest


def _penalty(rows: Modules) -> int:
    """Return how badly a code is read: by runs, blocks, what looks like a corner, and its share."""
    size = len(rows)
    lines = [*rows, *([row[x] for row in rows] for x in range(size))]
    found = 0
    for line in lines:
        found += _penalty_of_runs(line)
        for at in range(size - 10):
            part = tuple(line[at : at + 11])
            if part in ((*_FINDER, *(False,) * 4), (*(False,) * 4, *_FINDER)):
                found += 40
    for y in range(size - 1):
        for x in range(size - 1):
            if rows[y][x] == rows[y][x + 1] == rows[y + 1][x] == rows[y + 1][x + 1]:
                found += 3
    dark = sum(map(sum, rows))
    return found + 10 * (abs(20 * dark - 10 * size * size) // (size * size))


def _penalty_of_runs(line: list[bool]) -> int:
    found, length = 0, 0
    for at, each in enumerate(line):
        length = length + 1 if at and each == line[at - 1] else 1
        if length >= 5:
            found += 3 if length == 5 else 1
    return found
