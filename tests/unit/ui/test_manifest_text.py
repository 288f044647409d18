"""The text of a manifest with its digests as links."""

from __future__ import annotations

import pytest

from moorage.ui.manifest_text import Piece, pieces

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def test_digests_of_what_is_here_lead_there() -> None:
    raw = f'{{"b":"{DIGEST}","a":["{OTHER}"]}}'.encode()
    found = pieces(raw, {DIGEST: "/there"})
    assert "".join(each.text for each in found) == (
        f'{{\n  "b": "{DIGEST}",\n  "a": [\n    "{OTHER}"\n  ]\n}}'
    )
    assert [each for each in found if each.place] == [Piece(DIGEST, "/there")]


@pytest.mark.parametrize("raw", [b"", b"{", b'"\xff"', b" " * (64 << 10) + b"{}"])
def test_what_is_no_text_to_read_is_shown_as_it_is(raw: bytes) -> None:
    assert pieces(raw, {}) == []
