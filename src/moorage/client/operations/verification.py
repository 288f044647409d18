"""Whether all is there and right, and what is kept that is not.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Run(TypedDict):
    """A run; `found` minus `repaired` is what is wrong still. `step` is empty at the end."""

    id: int
    kind: str
    repair: bool
    state: str
    reason: str
    started_at: str | None
    ended_at: str | None
    step: str
    steps_done: int
    steps: int
    looked: int
    objects: int
    bytes: int
    found: int
    repaired: int


class State(TypedDict):
    """How much is lost, up to 1,000, and since when some blob's bytes were not read."""

    lost: int
    oldest_at: str | None
    last: Run | None
    last_scrub: Run | None


class NewRun(TypedDict):
    """Whether bytes are read too (`full`), and whether what can be mended safely is."""

    kind: NotRequired[Literal["fast", "full"]]
    repair: NotRequired[bool]


class Finding(TypedDict):
    """What breaks a rule, what is wrong with it, and what was done; empty if nothing."""

    rule: str
    subject: str
    problem: str
    repair: str


class Damage(TypedDict):
    """An object that is damaged; `ended_at` is null while its blob is lost.

    It stays in the store until somebody lets it go.
    """

    id: int
    digest: str
    location: str
    size: int
    why: str
    found_by: str
    found_at: str | None
    ending: str
    ended_at: str | None


def get_verification(api: Api) -> State:
    """Ask `GET /api/v1/verification`.

    How much is lost, and how verification stands.
    """
    return cast("State", api.get("verification"))


def list_verification_runs(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Run]:
    """Ask `GET /api/v1/verification/runs`.

    Checks and scrubs, newest first.
    """
    return cast("Iterator[Run]", api.items("verification", "runs", after=after, limit=limit))


def start_verification(api: Api, document: NewRun) -> Run:
    """Ask `POST /api/v1/verification/runs`.

    Check that all is there and right.
    """
    return cast("Run", api.send("POST", "verification", "runs", document=document))


def get_verification_run(api: Api, run: str) -> Run:
    """Ask `GET /api/v1/verification/runs/{run}`.

    One check, and how far it is.
    """
    return cast("Run", api.get("verification", "runs", run))


def list_findings(api: Api, run: str, *, after: str = "", limit: int = 0) -> Iterator[Finding]:
    """Ask `GET /api/v1/verification/runs/{run}/findings`.

    What a check found.
    """
    return cast(
        "Iterator[Finding]",
        api.items("verification", "runs", run, "findings", after=after, limit=limit),
    )


def list_damage(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Damage]:
    """Ask `GET /api/v1/verification/damage`.

    What is damaged, and what is kept because of it.
    """
    return cast("Iterator[Damage]", api.items("verification", "damage", after=after, limit=limit))


def discard_damage(api: Api, damage: str) -> None:
    """Ask `DELETE /api/v1/verification/damage/{damage}`.

    Delete a damaged object whose blob is whole again.
    """
    api.send("DELETE", "verification", "damage", damage)
