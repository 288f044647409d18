"""Guessing is slowed down, at the door of every request, and nobody is locked out by it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import PASSWORD
from process import Server
from registry import Answer, Registry

pytestmark = pytest.mark.metadata

GUESSES = 30


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a server of one process, which is what counts."""
    place: Path = tmp_path_factory.mktemp("attempts")
    secret = place / "password"
    secret.write_text(PASSWORD)
    env = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
    with Server(place / "data", env=env, workers=1) as server:
        yield server.url


def ask(url: str, user: str, password: str) -> Answer:
    """Return what the registry says to a user and password."""
    registry = Registry(url, (user, password))
    # Twenty hashes one after the other, on a machine that may have other things to do.
    with registry.wire(55) as wire:
        wire.send(registry.head_of("GET", "/v2/"))
        return wire.answer()


@pytest.mark.requirement("S-36")
def test_unknown_and_known_look_alike(url: str) -> None:
    known, unknown = ask(url, "admin", "wrong"), ask(url, "someone", "wrong")
    assert (known.status, known.body) == (401, unknown.body)
    assert known["WWW-Authenticate"] == unknown["WWW-Authenticate"]
    assert unknown.status == 401


@pytest.mark.requirement("S-36", "S-104")
def test_slowed_down_and_not_locked_out(url: str) -> None:
    """Many at once: they are counted as they come, before any of them has been looked at."""
    assert ask(url, "admin", PASSWORD).status == 200
    with ThreadPoolExecutor(GUESSES) as pool:
        answers = list(
            pool.map(lambda number: ask(url, "admin", f"wrong {number}"), range(GUESSES))
        )
    assert {answer.status for answer in answers} == {401, 429}
    refused = [answer for answer in answers if answer.status == 429]
    assert refused[0].codes == ["TOOMANYREQUESTS"]
    assert int(refused[0]["Retry-After"]) >= 1
    assert ask(url, "admin", PASSWORD).status == 200
