"""Media types without what surrounds them."""

import pytest

from moorage.oci import media_types


@pytest.mark.parametrize(
    ("text", "essence"),
    [
        ("", ""),
        ("a/b", "a/b"),
        ("A/B", "a/b"),
        (" a/b ", "a/b"),
        ("a/b;c=d", "a/b"),
        ("a/b ; c=d;e", "a/b"),
        (";c=d", ""),
    ],
)
def test_essence(text: str, essence: str) -> None:
    assert media_types.essence(text) == essence


def test_every_manifest_is_an_image_or_an_index() -> None:
    assert not media_types.IMAGES & media_types.INDEXES
    assert media_types.MANIFESTS == media_types.IMAGES | media_types.INDEXES
    assert not media_types.MANIFESTS & (media_types.SCHEMA_1 | media_types.GENERIC)
