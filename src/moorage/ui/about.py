"""`/r/NAME/-/about`: what a repository is about; its README is shown, and does nothing."""

from moorage.auth.policy import require
from moorage.model.access import Action, RepositoryTarget
from moorage.registry import about, rights
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit, go, when
from moorage.ui.references import repository_place
from moorage.ui.repository import opened
from moorage.web.response import Response


async def show(s: Services, visit: Visit) -> View:
    """Show the description and the README, and to maintainers the form for both."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    told = await about.find_about(s, actor, name)
    facts = {
        **place.facts(),
        "description": told.description,
        "shown": told.shown,
        "readme": told.readme,
        "version": told.version,
        "changed_at": when(told.changed_at),
    }
    crumbs = place.crumbs(("About", ""))
    return View("about.html", f"About {name}", facts, "images", "about", crumbs)


async def change(s: Services, visit: Visit) -> Response:
    """Replace both, if nobody has changed them since the form was shown."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    description = visit.line("description")
    # Browsers send the lines of a form with the ends that mail has.
    readme = visit.field("readme").replace("\r\n", "\n")
    by, expected = change_by(actor, visit.request), visit.field_number("version")
    await about.set_about(s, actor, name, description, readme, by, expected=expected)
    return go(repository_place(name, "about"), "about")


PAGES = (
    Page(
        name="about",
        path="/r/{repository}/-/about",
        action=Action.PULL,
        show=show,
        acts={"change": change},
    ),
)
