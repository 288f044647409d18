"""How long a failed job waits."""

from moorage.clock import MINUTE, SECOND
from moorage.jobs.queue import _backoff


def test_backoff_grows_and_is_spread() -> None:
    """Each wait is about twice the one before, up to half an hour, and no two are the same."""
    for attempt, longest in (
        (1, 5 * SECOND),
        (2, 10 * SECOND),
        (5, 80 * SECOND),
        (40, 30 * MINUTE),
    ):
        waits = {_backoff(attempt) for _ in range(50)}
        assert longest // 2 <= min(waits) <= max(waits) <= longest
        assert len(waits) > 10
