"""Ids of upload sessions: bound to caller, repository and time, and to one registry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.clock import MINUTE
from moorage.oci.names import RepositoryName
from moorage.registry.sessions import FRESH, SessionIds

NOW = 1_800_000_000_000
NAME = RepositoryName.parse("web/shop")
IDS = SessionIds(b"k" * 32)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake3"])
def test_what_it_says(algorithm: str) -> None:
    claim = IDS.read("alice", NAME, IDS.issue("alice", NAME, algorithm, NOW))
    assert claim is not None
    assert claim.algorithm == algorithm
    assert NOW + FRESH - MINUTE <= claim.expires_at <= NOW + FRESH


def test_no_two_are_the_same() -> None:
    assert len({IDS.issue("alice", NAME, "sha256", NOW) for _ in range(1_000)}) == 1_000


def test_it_needs_no_escaping() -> None:
    assert IDS.issue("alice", NAME, "sha256", NOW).isalnum()


def test_whom_it_is_good_for() -> None:
    text = IDS.issue("alice", NAME, "sha256", NOW)
    assert IDS.read("bob", NAME, text) is None
    assert IDS.read("alice", RepositoryName.parse("web"), text) is None
    assert IDS.read("alice", RepositoryName.parse("web/shop/a"), text) is None
    assert SessionIds(b"l" * 32).read("alice", NAME, text) is None


@given(st.integers(0, 72), st.text(max_size=3))
def test_any_change_is_seen(place: int, text: str) -> None:
    issued = IDS.issue("alice", NAME, "sha256", NOW)
    changed = issued[:place] + text + issued[place + 1 :]
    assert (IDS.read("alice", NAME, changed) is None) is (changed != issued)


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    assert IDS.read("alice", NAME, text) is None
