"""The page behind a one-time link: `/setup` for the first account, `/link` for all others.

The secret of a link stands behind the `#` of its address, so it never reaches this server but in
the request that spends it: the page is the same for every link.
"""

from moorage.registry.services import Services
from moorage.ui.page import Page, View, Visit


async def show(_s: Services, _visit: Visit) -> View:
    """Show the page, which asks by itself what the link is for."""
    return View("link.html", "A link that is good once", {})


PAGES = (
    Page(name="set-up", path="/setup", action=None, show=show, twin=False, is_private=True),
    Page(name="link", path="/link", action=None, show=show, twin=False, is_private=True),
)
