"""Canonical bytes and signatures of the audit trail."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.chain import ORIGIN, Chain, Point, PublicKey, SealKey, canonical, seal_of
from moorage.model.audit import Entry

ENTRY = Entry(
    id=7,
    place=3,
    at=1_800_000_000_000,
    actor="alice",
    credential="password",
    address="192.0.2.1",
    request_id="abc",
    action="tag.deleted",
    namespace_id=4,
    repository_id=5,
    detail=b'{"tag":"latest"}',
    seal=b"",
)
CANONICAL = "146c1245a0a560c937ab8edea44f74388b4c5ae57c8339d178717a0f6a196ef1"
SEAL = "3f33e7c79c992c4f5a54ea9a71ad4bdbb28d66108aa9c52e708512edc85bf076"
SEALED = [name for name in Entry.__struct_fields__ if name != "seal"]
KEY = SealKey(b"k" * 32)
POINT = Point(3, b"s" * 32)

numbers = st.integers(min_value=-(2**63), max_value=2**63 - 1)
entries = st.builds(
    Entry,
    id=numbers,
    place=numbers,
    at=numbers,
    actor=st.text(max_size=4),
    credential=st.text(max_size=4),
    address=st.text(max_size=4),
    request_id=st.text(max_size=4),
    action=st.text(max_size=4),
    namespace_id=numbers,
    repository_id=numbers,
    detail=st.binary(max_size=4),
    seal=st.just(b""),
)


def test_the_bytes_stay_what_they_are() -> None:
    """A release that made other bytes of an entry would find every trail broken."""
    assert hashlib.sha256(canonical(ENTRY)).hexdigest() == CANONICAL
    assert seal_of(ORIGIN.seal, ENTRY).hex() == SEAL


@given(entries, entries)
def test_two_entries_have_other_bytes(one: Entry, two: Entry) -> None:
    assert (canonical(one) == canonical(two)) == (one == two)


@pytest.mark.parametrize(("left", "right"), [("ab", ""), ("", "ab"), ("a", "b")])
def test_what_is_moved_between_fields_shows(left: str, right: str) -> None:
    def moved(actor: str, credential: str) -> bytes:
        return canonical(msgspec.structs.replace(ENTRY, actor=actor, credential=credential))

    others = [
        moved(*pair) for pair in (("ab", ""), ("", "ab"), ("a", "b")) if pair != (left, right)
    ]
    assert moved(left, right) not in others


@pytest.mark.parametrize("value", [b"alice", 5, "5", b"5"])
def test_the_kind_of_a_value_counts(value: Any) -> None:
    """SQLite keeps a number or bytes in a column of texts, if somebody puts them there."""
    values = [b"alice", 5, "5", b"5", "alice"]
    made = {canonical(msgspec.structs.replace(ENTRY, actor=each)) for each in values}
    assert len(made) == len(values)
    assert canonical(msgspec.structs.replace(ENTRY, actor=value)) in made


@pytest.mark.parametrize("name", SEALED)
def test_every_field_is_in_them(name: str) -> None:
    value = getattr(ENTRY, name)
    other = {int: 1, str: "x", bytes: b"x"}[type(value)]
    changed = msgspec.structs.replace(ENTRY, **{name: value + other})
    assert canonical(changed) != canonical(ENTRY)


def test_the_seal_before_it_counts() -> None:
    assert seal_of(bytes(32), ENTRY) != seal_of(b"1" * 32, ENTRY)
    assert seal_of(bytes(32), ENTRY) != seal_of(bytes(31), ENTRY)


def test_signatures() -> None:
    head = KEY.sign(POINT, 1)
    assert KEY.public.has_signed(head)
    assert not KEY.public.has_signed(head, Point(1, b"s" * 32))
    assert not SealKey(b"x" * 32).public.has_signed(head)
    for change in (
        {"place": 4},
        {"seal": b"t" * 32},
        {"key_id": "0" * 16},
        {"signature": bytes(64)},
        {"signature": b""},
    ):
        assert not KEY.public.has_signed(msgspec.structs.replace(head, **change))


def test_signatures_of_parts_bind_both_ends() -> None:
    begin = Point(1, b"b" * 32)
    part = KEY.sign(POINT, 1, begin)
    assert KEY.public.has_signed(part, begin)
    assert not KEY.public.has_signed(part)
    assert not KEY.public.has_signed(part, Point(2, b"b" * 32))
    assert not KEY.public.has_signed(part, Point(1, b"c" * 32))


def test_keys_as_files() -> None:
    pem = KEY.public.pem()
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    read = PublicKey.read(pem.encode())
    assert read is not None
    assert read.id == KEY.public.id
    assert read.has_signed(KEY.sign(POINT, 1))


RSA = """-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize("text", [b"", b"nonsense", b"\xff\xfe", RSA.encode()])
def test_what_is_no_key(text: bytes) -> None:
    assert PublicKey.read(text) is None


def test_a_chain_tells_each_break_once() -> None:
    seal, made = ORIGIN.seal, []
    for place in range(1, 7):
        placed = msgspec.structs.replace(ENTRY, id=place + 10, place=place)
        seal = seal_of(seal, placed)
        made.append(msgspec.structs.replace(placed, seal=seal))
    chain = Chain()
    told = [chain.follow(entry) for entry in (made[0], made[0], made[2], made[3], made[5])]
    assert told == [
        "",
        "place 1 (row 11) is there more than once",
        "place 2 is missing",
        "",
        "place 5 is missing",
    ]
