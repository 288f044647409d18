"""`/api/v1/jobs`: the work that no request waits for, for administrators."""

from datetime import datetime
from typing import Any

import msgspec

from moorage.api.call import Call, Route, cut, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.db.jobs import Job as Record
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.registry import jobs, rights
from moorage.registry.jobs import STATES
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class Job(msgspec.Struct, frozen=True):
    """A job; `error` is why its last try failed, `finished_at` null while it may yet run."""

    id: int
    name: str
    key: str
    state: str
    due: datetime | None
    tries: int
    most_tries: int
    error: str
    finished_at: datetime | None


class Jobs(msgspec.Struct, frozen=True):
    """A page of jobs, newest first."""

    items: list[Job]


class JobDetails(Job, frozen=True):
    """A job with what it was given to do."""

    payload: Any
    lease_until: datetime | None


async def list_jobs(s: Services, call: Call) -> Response:
    """Answer with a page of jobs, of one state if that is asked for."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    state = call.parameter("state")
    if state and state not in STATES:
        raise Invalid(f"a state is one of {', '.join(STATES)}")
    rows = await jobs.list_jobs(s, actor, state, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].id if more else None)


async def get_job(s: Services, call: Call) -> Response:
    """Answer with one job."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    return told_one(call, _details(await jobs.find_job(s, actor, call.number("job"))))


async def retry_job(s: Services, call: Call) -> Response:
    """Have a job run now."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    by = change_by(actor, call.request)
    return told(200, _details(await jobs.retry_job(s, actor, call.number("job"), by)))


async def cancel_job(s: Services, call: Call) -> Response:
    """Give up a job."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    by = change_by(actor, call.request)
    return told(200, _details(await jobs.cancel_job(s, actor, call.number("job"), by)))


def _shown(job: Record) -> Job:
    return Job(
        job.id,
        job.name,
        job.key,
        job.state,
        when(job.run_at),
        job.attempts,
        job.max_attempts,
        job.error,
        when(job.finished_at),
    )


def _details(job: Record) -> JobDetails:
    payload = msgspec.json.decode(job.payload) if job.payload else None
    return JobDetails(
        **msgspec.structs.asdict(_shown(job)), payload=payload, lease_until=when(job.lease_until)
    )


def _route(name: str, method: str, rest: str, summary: str, handler: Any) -> Route:
    return Route(
        method=method,
        path="/jobs/{job}" + rest,
        name=name,
        summary=summary,
        action=Action.ADMINISTER,
        handler=handler,
        gives=JobDetails,
        clashes=method != "GET",
    )


ROUTES = (
    Route(
        method="GET",
        path="/jobs",
        name="list-jobs",
        summary="The work that no request waits for, newest first",
        action=Action.ADMINISTER,
        handler=list_jobs,
        gives=Jobs,
        pages=True,
        query=("state",),
    ),
    _route("get-job", "GET", "", "One job", get_job),
    _route("retry-job", "POST", "/retry", "Have a job run now", retry_job),
    _route("cancel-job", "POST", "/cancel", "Give up a job", cancel_job),
)
