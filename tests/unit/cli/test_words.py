"""What people type, and what is refused of it."""

from datetime import date

import pytest

from moorage.cli.words import (
    days_of,
    digested_of,
    is_repository,
    limit_of,
    patience_of,
    principal_of,
    robot_of,
    scopes_of,
    tagged_of,
    team_of,
    time_of,
)
from moorage.errors import Refused

TODAY = date(2027, 1, 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("alice", ("account", "", "alice")),
        ("web/dev", ("team", "web", "dev")),
        ("web+ci", ("robot", "web", "ci")),
    ],
)
def test_principals(text: str, found: tuple[str, str, str]) -> None:
    assert principal_of(text) == found


@pytest.mark.parametrize("text", ["alice", "web/dev"])
def test_what_is_not_a_robot(text: str) -> None:
    with pytest.raises(Refused, match="not a robot"):
        robot_of(text)


@pytest.mark.parametrize("text", ["alice", "web+ci"])
def test_what_is_not_a_team(text: str) -> None:
    with pytest.raises(Refused, match="not a team"):
        team_of(text)


def test_places() -> None:
    assert not is_repository("web")
    assert is_repository("web/shop")


def test_scopes() -> None:
    assert scopes_of(("pull:web/**", "push:web/shop")) == [
        {"pattern": "web/**", "actions": ["pull"]},
        {"pattern": "web/shop", "actions": ["pull", "push"]},
    ]


@pytest.mark.parametrize("text", ["", "pull", "pull:", ":web", "read:web/**", "pull,admin:web"])
def test_what_is_not_a_scope(text: str) -> None:
    with pytest.raises(Refused, match="not what a token may"):
        scopes_of((text,))


@pytest.mark.parametrize(
    ("text", "days"),
    [("90d", 90), ("12w", 84), ("2y", 730), ("2027-01-31", 30), ("never", 0)],
)
def test_times(text: str, days: int) -> None:
    assert days_of(text, TODAY) == days


@pytest.mark.parametrize(
    "text",
    ["", "0d", "-1d", "90", "d", "1.5d", "99999d", "12h", "soon", "2027-01-01", "2026-12-31"],
)
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(Refused, match="is not a time"):
        days_of(text, TODAY)


def test_limits() -> None:
    assert limit_of("all") is None
    assert limit_of("7") == 7
    for text in ("0", "-1", "x", "\u0663"):
        with pytest.raises(Refused):
            limit_of(text)


def test_tags_and_manifests() -> None:
    assert tagged_of("web/shop:1.4") == ("web/shop", "1.4")
    assert digested_of("web/shop@sha256:abc") == ("web/shop", "sha256:abc")


@pytest.mark.parametrize(
    "text", ["web/shop", "web/shop:", ":1.4", "localhost:5000/web:1", "web@sha256:abc", ""]
)
def test_what_is_not_a_tag(text: str) -> None:
    with pytest.raises(Refused, match="not a tag"):
        tagged_of(text)


@pytest.mark.parametrize(
    "text", ["web/shop:1.4", "web@", "@sha256:abc", "a:1@sha256:abc", "web@abc"]
)
def test_what_is_not_a_manifest(text: str) -> None:
    with pytest.raises(Refused, match="not a manifest"):
        digested_of(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-14", "2026-09-14T00:00:00+00:00"),
        ("2026-09-14T12:30", "2026-09-14T12:30:00+00:00"),
        ("2026-09-14 12:30:05Z", "2026-09-14T12:30:05+00:00"),
        ("2026-09-14T01:30+02:00", "2026-09-13T23:30:00+00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert time_of(text) == moment


@pytest.mark.parametrize("text", ["", "soon", "14.9.2026", "2026-02-30"])
def test_what_is_not_a_moment(text: str) -> None:
    with pytest.raises(Refused, match="no time"):
        time_of(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("5s", 5), ("2m", 120), ("500ms", 0.5), ("1.5s", 1.5)]
)
def test_how_long_to_wait(text: str, seconds: float) -> None:
    assert patience_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "x", "-1", "61m", "5h", "1e3", "5 s"])
def test_how_long_nobody_waits(text: str) -> None:
    with pytest.raises(Refused, match="--timeout"):
        patience_of(text)
