"""Conditions in all the forms that clients send."""

import time

import pytest

from moorage.oci.digest import digest_of
from moorage.web.conditions import etags, is_unmodified, range_holds

DIGEST = digest_of(b"{}")
OTHER = digest_of(b"[]")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("*", ["*"]),
        ('"*"', ["*"]),
        (DIGEST, [DIGEST]),
        (f'"{DIGEST}"', [DIGEST]),
        (f'W/"{DIGEST}"', [DIGEST]),
        (f' "{DIGEST}" ', [DIGEST]),
        (f'"{DIGEST}", "{OTHER}"', [DIGEST, OTHER]),
        (f'"{DIGEST}",,W/"{OTHER}",', [DIGEST, OTHER]),
        (f'"{DIGEST}","*"', [DIGEST, "*"]),
        ('""', []),
        ('"a b"', []),
        ("a b", []),
    ],
)
def test_etags(header: str, found: list[str]) -> None:
    assert etags(header) == found


@pytest.mark.parametrize(
    ("header", "unmodified"),
    [
        (None, False),
        ("", False),
        ("*", True),
        (f'"{DIGEST}"', True),
        (DIGEST, True),
        (f'W/"{DIGEST}"', True),
        (f'"{OTHER}"', False),
        (f'"{OTHER}", "{DIGEST}"', True),
        (f'"{DIGEST[:-1]}"', False),
        (f'"{DIGEST.upper()}"', False),
    ],
)
def test_is_unmodified(header: str | None, unmodified: bool) -> None:
    assert is_unmodified(header, DIGEST) is unmodified


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        (None, True),
        (f'"{DIGEST}"', True),
        (DIGEST, True),
        (f' "{DIGEST}" ', True),
        (f'W/"{DIGEST}"', False),
        (f'"{OTHER}"', False),
        ("*", False),
        ("", False),
        ("Tue, 24 Nov 2026 00:00:00 GMT", False),
    ],
)
def test_range_holds(header: str | None, holds: bool) -> None:
    """A weak tag never does: parts of two contents would be put together."""
    assert range_holds(header, DIGEST) is holds


@pytest.mark.parametrize("header", [" " * 60_000, '"' * 60_000, "," * 60_000, "W/" * 30_000])
def test_long_headers_cost_little(header: str) -> None:
    began = time.process_time()
    etags(header)
    assert time.process_time() - began < 0.1
