import pytest

from moorage.blobs.s3state import MOST_PARTS, Part, Remainder, State, part_bytes
from moorage.blobs.store import SessionLost

MIB = 1 << 20


def test_a_state_comes_back_as_it_was() -> None:
    state = State("a" * 32, 16 * MIB, 5, "upload", 9, [Part(1, "e1"), Part(8, "e2")])
    state.remainders.append(Remainder("uploads/x", 7))
    again = State.decode(state.encode())
    assert again == state
    assert again.size == 2 * 16 * MIB + 7
    copy = state.copy()
    copy.drop_remainders()
    assert (copy.stale, copy.remaining, state.remaining) == (["uploads/x"], 0, 7)


@pytest.mark.parametrize("raw", [b"", b"1f0123", b"2", b"2\xff", b"3\x90", b"2\xa1x"])
def test_what_is_no_state_is_lost(raw: bytes) -> None:
    with pytest.raises(SessionLost):
        State.decode(raw)


@pytest.mark.parametrize(
    ("least", "declared", "expected"),
    [
        (16 * MIB, None, 16 * MIB),
        (16 * MIB, 0, 16 * MIB),
        (16 * MIB, 9_000 * 16 * MIB, 16 * MIB),
        (16 * MIB, 9_000 * 16 * MIB + 1, 17 * MIB),
        (5 * MIB, 1 << 40, 117 * MIB),
    ],
)
def test_parts_suffice(least: int, declared: int | None, expected: int) -> None:
    size = part_bytes(least, declared)
    assert size == expected
    assert -(-(declared or 0) // size) < MOST_PARTS
