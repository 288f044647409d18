"""The table of pages: what each is called, where it is, and what it needs."""

from moorage.ui import links, provider_sign_in, sessions
from moorage.ui.page import Page

PAGES: tuple[Page, ...] = (
    *links.PAGES,
    *sessions.PAGES,
    *provider_sign_in.PAGES,
)
