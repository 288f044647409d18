"""What was removed and would be, why something stays; for administrators.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class Pause(TypedDict):
    """Why nothing is removed; `until` is null where somebody must say that it may go on."""

    reason: str
    since: str | None
    until: str | None


class Run(TypedDict):
    """A run: a `review` removes what nothing names, `delete` deletes objects, a `sweep` checks."""

    id: int
    kind: str
    state: str
    reason: str
    started_at: str | None
    ended_at: str | None
    looked: int
    kept: int
    repositories: int
    manifests: int
    links: int
    blobs: int
    objects: int
    bytes: int
    missed: int
    orphans: int


class State(TypedDict):
    """How collection stands, with its last run."""

    pause: Pause | None
    waiting_since: str | None
    next_delete_at: str | None
    last: Run | None


class Started(TypedDict):
    """The jobs that will run as soon as there is time."""

    jobs: list[str]


class Planned(TypedDict):
    """What would become of a candidate; `why` is why it would stay, empty if it would go."""

    kind: str
    repository: str
    digest: str
    size: int
    goes: bool
    why: str


class Plan(TypedDict):
    """The first candidates; `more` says that there are others behind them."""

    items: list[Planned]
    more: bool


class Reason(TypedDict):
    """What keeps it: `live`, `leased`, `trash`, `named` or `held`."""

    why: str
    until: str | None
    by: str
    tags: list[str]
    in_trash: bool


class Place(TypedDict):
    """Content in a repository with what keeps it there; without a reason it goes."""

    repository: str
    kind: str
    reasons: list[Reason]


class Explanation(TypedDict):
    """Where the content of a digest is, at most a hundred places of each kind."""

    digest: str
    items: list[Place]


class Resumed(TypedDict):
    """Why collection had stopped; null if it had not."""

    pause: Pause | None


def get_collection(api: Api) -> State:
    """Ask `GET /api/v1/collection`.

    How collection stands.
    """
    return cast("State", api.get("collection"))


def list_collection_runs(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Run]:
    """Ask `GET /api/v1/collection/runs`.

    What runs of collection removed, newest first.
    """
    return cast("Iterator[Run]", api.items("collection", "runs", after=after, limit=limit))


def start_collection(api: Api) -> Started:
    """Ask `POST /api/v1/collection/runs`.

    Run collection as soon as there is time.
    """
    return cast("Started", api.send("POST", "collection", "runs"))


def preview_collection(api: Api, *, limit: int = 0) -> Plan:
    """Ask `GET /api/v1/collection/preview`.

    What the next run would do, and why.
    """
    return cast("Plan", api.get("collection", "preview", limit=limit))


def explain_collection(api: Api, *, digest: str) -> Explanation:
    """Ask `GET /api/v1/collection/explanation`.

    Why content is still there.
    """
    return cast("Explanation", api.get("collection", "explanation", digest=digest))


def resume_collection(api: Api) -> Resumed:
    """Ask `POST /api/v1/collection/resume`.

    Let collection go on that had stopped.
    """
    return cast("Resumed", api.send("POST", "collection", "resume"))
