import msgspec
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


def chunked(first: int, **more: object) -> State:
    """Return a session of parts of 16 MiB, one of whose chunks came."""
    state = State("a" * 32, 16 * MIB)
    state.remainders.append(Remainder("b" * 32, first))
    return msgspec.structs.replace(state, **more)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (chunked(5 * MIB), 5 * MIB),
        (chunked(16 * MIB - 1), 16 * MIB - 1),
        (chunked(5 * MIB - 1), 16 * MIB),
        (chunked(5 * MIB, declared=5 * MIB), 5 * MIB),
        (chunked(5 * MIB, declared=5 * MIB + 1), 16 * MIB),
        (chunked(5 * MIB, upload="u", next_number=2), 16 * MIB),
        (chunked(5 * MIB, upload="u", parts=[Part(1, "e")], next_number=2), 16 * MIB),
        (chunked(5 * MIB, remainders=[Remainder("b", 5 * MIB)] * 2), 16 * MIB),
        (State("a" * 32, 16 * MIB), 16 * MIB),
    ],
)
def test_parts_are_as_long_as_chunks(state: State, expected: int) -> None:
    size = state.size
    state.follow_chunks(16 * MIB)
    assert (state.part_bytes, state.size) == (expected, size)


def test_numbers_last_for_a_large_blob_in_small_chunks() -> None:
    """From the middle of the numbers on, parts are as usual, and the bytes are counted right."""
    state = State("a" * 32, 5 * MIB, upload="u", parts=[Part(n, "e") for n in range(1, 5_000)])
    state.follow_chunks(16 * MIB)
    assert state.part_bytes == 5 * MIB
    state.parts.append(Part(5_000, "e"))
    state.remainders.append(Remainder("b", 7))
    state.follow_chunks(16 * MIB)
    assert state.part_bytes == 5 * MIB
    state.drop_remainders()
    state.follow_chunks(16 * MIB)
    assert (state.part_bytes, state.size) == (16 * MIB, 25_000 * MIB)
    state.parts.append(Part(5_001, "e"))
    again = State.decode(state.encode())
    again.follow_chunks(16 * MIB)
    assert again == state
    assert again.size == 25_016 * MIB


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
