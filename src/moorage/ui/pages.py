"""The table of pages: what each is called, where it is, and what it needs."""

from moorage.ui import (
    history,
    home,
    images,
    links,
    provider_sign_in,
    repository,
    sessions,
    settings,
    stream,
)
from moorage.ui.page import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *repository.PAGES,
    *history.PAGES,
    *settings.PAGES,
    *images.PAGES,
    *stream.PAGES,
    *links.PAGES,
    *sessions.PAGES,
    *provider_sign_in.PAGES,
)
