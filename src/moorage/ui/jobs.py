"""`/jobs`: the work that no request waits for, for administrators."""

from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.registry import jobs, rights
from moorage.registry.jobs import STATES
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.web.response import Response


async def show(s: Services, visit: Visit) -> View:
    """Show a page of jobs, of one state if that is asked for."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    state = visit.parameter("state")
    if state and state not in STATES:
        raise Invalid(f"a state is one of {', '.join(STATES)}")
    rows, is_more = cut(await jobs.list_jobs(s, actor, state, visit.number("before"), ROWS + 1))
    facts = {
        "state": state,
        "states": list(STATES),
        "jobs": [
            {
                "id": each.id,
                "name": each.name,
                "key": each.key,
                "state": each.state,
                "due": when(each.run_at),
                "tries": each.attempts,
                "most_tries": each.max_attempts,
                "error": each.error,
                "finished_at": when(each.finished_at),
            }
            for each in rows
        ],
        "is_first": not visit.number("before"),
        "next": more(visit, rows[-1].id if is_more else None, "before"),
    }
    return View("jobs.html", "Jobs", facts, "jobs", crumbs=(("Jobs", ""),))


async def retry(s: Services, visit: Visit) -> Response:
    """Have a job run now."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    await jobs.retry_job(s, actor, visit.field_number("job"), change_by(actor, visit.request))
    return go("/jobs", "retried")


async def cancel(s: Services, visit: Visit) -> Response:
    """Give up a job."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    await jobs.cancel_job(s, actor, visit.field_number("job"), change_by(actor, visit.request))
    return go("/jobs", "cancelled")


PAGES = (
    Page(
        name="jobs",
        path="/jobs",
        action=Action.ADMINISTER,
        show=show,
        acts={"retry": retry, "cancel": cancel},
    ),
)
