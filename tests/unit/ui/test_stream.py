"""How long somebody may listen to what is pushed."""

import pytest

from moorage.model.access import Actor
from moorage.ui.stream import seconds_for

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("expires_at", "seconds"),
    [(0, 900), (NOW + 60_000, 60), (NOW + 3_600_000, 900), (NOW, 0), (NOW - 1, 0)],
)
def test_no_longer_than_the_session(expires_at: int, seconds: float) -> None:
    actor = Actor("account", "alice", "session:1", expires_at=expires_at)
    assert seconds_for(actor, NOW) == seconds
