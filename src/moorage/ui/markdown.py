"""A README as part of a page: CommonMark with tables, of which nothing runs and nothing loads.

HTML in it is text. Images are their descriptions: one from elsewhere would tell its owner who reads
what. Links go to web pages and places in the text, and to nothing that runs.
"""

import re
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

LONGEST = 64 << 10
_LINK = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE | re.ASCII)
_DEEPEST = 6
# Each bracket may look through all that is behind it, and a table's rows have all its columns: of
# more, 64 KiB would take seconds.
_MOST_BRACKETS = 4_000
_MOST_STARS = 16_000
_MOST_CELLS = 20_000


class _Renderer(RendererHTML):
    """Renders headings one level lower, since the page has one of its own, and images as text."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return the description of an image."""
        said = self.renderInlineAsText(tokens[idx].children or [], options, env)
        return str(Markup("<em>{}</em>").format(said or "image"))

    def heading_open(self, tokens: Sequence[Token], idx: int, *_: object) -> str:
        """Return the beginning of a heading."""
        return f"<h{_level(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, *_: object) -> str:
        """Return the end of a heading."""
        return f"</h{_level(tokens[idx])}>\n"

    def link_open(self, tokens: Sequence[Token], idx: int, *_: object) -> str:
        """Return the beginning of a link, whose page learns nothing of ours."""
        href = str(tokens[idx].attrs.get("href", ""))
        return str(Markup('<a href="{}" rel="nofollow noopener noreferrer">').format(href))


def render(text: str) -> Markup:
    """Return the HTML of a README; safe, whatever it says."""
    text = text[:LONGEST]
    if _is_dear(text):
        return Markup("<pre>{}</pre>").format(text)
    return Markup(_parser().render(text))  # noqa: S704 - html is off, the rest is escaped


def _is_dear(text: str) -> bool:
    columns = max((line.count("|") for line in text.splitlines()), default=0)
    return (
        text.count("[") > _MOST_BRACKETS
        or text.count("*") + text.count("_") > _MOST_STARS
        or columns * text.count("\n") > _MOST_CELLS
    )


@cache
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    made.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    return made


def _level(token: Token) -> int:
    return min(int(token.tag[1:]) + 1, _DEEPEST)
