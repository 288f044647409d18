"""Digests: what is one, its key, and the hashing that makes it."""

import hashlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from cases.load import cases, table
from moorage.errors import DigestInvalid
from moorage.oci.digest import ALGORITHMS, Digest, Hasher, digest_of, parse_algorithm

HEX = {"sha256": 64, "sha512": 128, "blake3": 64}
MARKS = {"sha256": 1, "sha512": 2, "blake3": 3}


def expected(data: bytes, algorithm: str) -> str:
    """Return the digest by the libraries alone."""
    found = blake3(data) if algorithm == "blake3" else hashlib.new(algorithm, data)
    return f"{algorithm}:{found.hexdigest()}"


def test_the_algorithms() -> None:
    """Their marks are in every database: none may ever change."""
    assert {name: each.mark for name, each in ALGORITHMS.items()} == MARKS
    assert {name: each.hex_length for name, each in ALGORITHMS.items()} == HEX


@pytest.mark.parametrize("algorithm", HEX)
def test_parse(algorithm: str) -> None:
    text = f"{algorithm}:{'0123456789abcdef' * (HEX[algorithm] // 16)}"
    digest = Digest.parse(text)
    assert digest == text
    assert isinstance(digest, Digest)
    assert digest.algorithm == algorithm
    assert digest.hex == text.partition(":")[2]
    assert digest.key == bytes([MARKS[algorithm]]) + bytes.fromhex(digest.hex)
    assert Digest.from_key(digest.key) == digest
    assert isinstance(Digest.from_key(digest.key), Digest)


@pytest.mark.parametrize("text", cases("digests", "malformed"))
def test_malformed(text: str) -> None:
    with pytest.raises(DigestInvalid) as refused:
        Digest.parse(text)
    assert refused.value.message
    assert "\n" not in refused.value.message
    assert "\0" not in refused.value.message


@given(st.text(max_size=150))
def test_anything_else_is_refused_in_one_way(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except DigestInvalid:
        return
    assert Digest.from_key(digest.key) == text


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(DigestInvalid) as refused:
        Digest.parse("x" * 100_000)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("text", ["", "SHA256", "sha1", "md5", "sha256 ", "x" * 100])
def test_unknown_algorithm(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_algorithm(text)


@pytest.mark.parametrize("algorithm", HEX)
@pytest.mark.parametrize("data", [b"", b"{}", bytes(range(256)) * 1_000])
def test_digest_of(algorithm: str, data: bytes) -> None:
    assert digest_of(data, algorithm) == expected(data, algorithm)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_known_values(algorithm: str) -> None:
    assert digest_of(b"{}", algorithm).hex == table("digests", "of_empty_object")[algorithm]


@pytest.mark.parametrize("algorithm", HEX)
@given(chunks=st.lists(st.binary(max_size=50), max_size=10))
def test_hasher_is_the_same_in_pieces(algorithm: str, chunks: list[bytes]) -> None:
    hasher = Hasher(algorithm)
    for chunk in chunks:
        hasher.update(memoryview(chunk))
    whole = b"".join(chunks)
    assert hasher.digest() == expected(whole, "sha256")
    assert hasher.digest(algorithm) == expected(whole, algorithm)


def test_hasher_knows_only_what_ran() -> None:
    hasher = Hasher()
    assert hasher.digest("sha512") is None
    assert hasher.digest("blake3") is None


def test_hasher_goes_on_after_a_look() -> None:
    hasher = Hasher()
    hasher.update(b"a")
    assert hasher.digest() == expected(b"a", "sha256")
    hasher.update(b"b")
    assert hasher.digest() == expected(b"ab", "sha256")
