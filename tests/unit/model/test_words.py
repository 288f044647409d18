"""The pieces of a text have those of every word that it is to be found by."""

import pytest

from moorage.model.words import (
    ABOUT,
    DIGEST,
    LABEL,
    REPOSITORY,
    TAG,
    fold,
    parse_words,
    pieces_of,
    probes_of,
)

HEX = "9f86d081884c7d659a2feaa0c55ad015"
FOUND = [
    (REPOSITORY, "web/shop", "shop"),
    (REPOSITORY, "web/shop", "hop"),
    (REPOSITORY, "web/shop", "eb/sh"),
    (REPOSITORY, "web/shop", "sh"),
    (REPOSITORY, "web/shop", "we shop"),
    (TAG, "V1.2-alpine", "alp"),
    (TAG, "V1.2-alpine", "v1"),
    (TAG, "V1.2-alpine", "ALPINE 1.2"),
    (ABOUT, "The shop's front end, größer", "GRÖSSER shop"),
    (LABEL, "org.opencontainers.image.revision=1a2b3c4d5e", "1a2b3c4"),
    (LABEL, "org.opencontainers.image.revision=1a2b3c4d5e", "revision"),
    (LABEL, "org.opencontainers.image.revision=1a2b3c4d5e", "rev"),
    (LABEL, "org.opencontainers.image.revision=1a2b3c4d5e", "image.revision=1a2b"),
    (LABEL, "maintainer=alice@example.com", "alice@example.com"),
    (DIGEST, HEX, HEX[:6]),
    (DIGEST, HEX, f"sha256:{HEX[:12]}"),
]


@pytest.mark.parametrize(("kind", "text", "asked"), FOUND)
def test_what_is_there_is_found(kind: int, text: str, asked: str) -> None:
    probes = probes_of(kind, parse_words(asked))
    assert probes
    assert set(probes) <= pieces_of(kind, fold(text))


@pytest.mark.parametrize(
    ("kind", "asked"),
    [(TAG, "a"), (DIGEST, "9f86d"), (DIGEST, "shop"), (DIGEST, "9f86d0 shop"), (LABEL, "ab =")],
)
def test_what_says_too_little_finds_nothing(kind: int, asked: str) -> None:
    assert probes_of(kind, parse_words(asked)) == []


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\x00"])
def test_nothing_has_no_words(text: str) -> None:
    assert parse_words(text).words == ()


def test_texts_are_cut() -> None:
    assert len(parse_words("a " * 5_000).words) == 1
    assert len(parse_words(" ".join(map(str, range(100)))).words) == 8
    assert len(fold("x" * 10_000)) == 1_500


def test_labels_have_few_pieces() -> None:
    """Of what is of one image alone, a few rows each."""
    text = fold("org.opencontainers.image.created=2026-11-27T16:00:00.123456789Z")
    assert len(pieces_of(LABEL, text)) <= 20
