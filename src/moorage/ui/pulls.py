"""`/r/NAME/-/usage`: how often a repository was pulled from, by day and by tag."""

from datetime import UTC, datetime

from moorage.auth.policy import require
from moorage.clock import DAY
from moorage.model.access import Action, RepositoryTarget
from moorage.registry import pulls, rights
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, more, when
from moorage.ui.repository import opened

_DAYS = 30
# A chart is drawn on so many units.
_HIGH = 100


async def show(s: Services, visit: Visit) -> View:
    """Show the pulls of the last 30 days, and when each tag was last pulled."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    counted = await pulls.find_pulls(s, actor, name, _DAYS)
    rows, is_more = cut(
        await pulls.list_tag_pulls(s, actor, name, visit.parameter("after"), ROWS + 1)
    )
    by_day = {each.day: each.pulls for each in counted.days}
    today = s.clock.now() // DAY
    most = max(by_day.values(), default=0)
    facts = {
        **place.facts(),
        "pulls": sum(by_day.values()),
        "most": most,
        "last_pulled_at": when(counted.last_at),
        "days": [
            {
                "day": datetime.fromtimestamp(day * DAY / 1000, UTC).date(),
                "pulls": by_day.get(day, 0),
                "height": round(_HIGH * by_day.get(day, 0) / most, 1) if most else 0,
            }
            for day in range(today - _DAYS + 1, today + 1)
        ],
        "tags": [
            {"name": each.name, "pulls": each.pulls, "last_pulled_at": when(each.last_at)}
            for each in rows
        ],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = place.crumbs(("Usage", ""))
    return View("pulls.html", f"Usage of {name}", facts, "images", "usage", crumbs)


PAGES = (Page(name="usage", path="/r/{repository}/-/usage", action=Action.PULL, show=show),)
