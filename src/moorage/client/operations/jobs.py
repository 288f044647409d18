"""The work that no request waits for, for administrators.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Any, TypedDict, cast

from moorage.client.api import Api


class Job(TypedDict):
    """A job; `error` is why its last try failed, `finished_at` null while it may yet run."""

    id: int
    name: str
    key: str
    state: str
    due: str | None
    tries: int
    most_tries: int
    error: str
    finished_at: str | None


class JobDetails(TypedDict):
    """A job with what it was given to do."""

    id: int
    name: str
    key: str
    state: str
    due: str | None
    tries: int
    most_tries: int
    error: str
    finished_at: str | None
    payload: Any
    lease_until: str | None


def list_jobs(api: Api, *, state: str = "", after: str = "", limit: int = 0) -> Iterator[Job]:
    """Ask `GET /api/v1/jobs`.

    The work that no request waits for, newest first.
    """
    return cast("Iterator[Job]", api.items("jobs", state=state, after=after, limit=limit))


def get_job(api: Api, job: str) -> JobDetails:
    """Ask `GET /api/v1/jobs/{job}`.

    One job.
    """
    return cast("JobDetails", api.get("jobs", job))


def retry_job(api: Api, job: str) -> JobDetails:
    """Ask `POST /api/v1/jobs/{job}/retry`.

    Have a job run now.
    """
    return cast("JobDetails", api.send("POST", "jobs", job, "retry"))


def cancel_job(api: Api, job: str) -> JobDetails:
    """Ask `POST /api/v1/jobs/{job}/cancel`.

    Give up a job.
    """
    return cast("JobDetails", api.send("POST", "jobs", job, "cancel"))
