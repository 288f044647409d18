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


class _Renderer(RendererHTML):
    """Renders headings one level lower, since the page has one of its own, and images as text."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return the description of an image."""
        said = self.renderInlineAsText(tokens[idx].children or [], options, env)
        return str(Markup("<em>{}</em>").format(said or "image"))

    def heading_open(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,  # noqa: ARG002
        env: EnvType,  # noqa: ARG002
    ) -> str:
        """Return the beginning of a heading."""
        return f"<h{_level(tokens[idx])}>"

    def heading_close(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,  # noqa: ARG002
        env: EnvType,  # noqa: ARG002
    ) -> str:
        """Return the end of a heading."""
        return f"</h{_level(tokens[idx])}>\n"

    def link_open(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,  # noqa: ARG002
        env: EnvType,  # noqa: ARG002
    ) -> str:
        """Return the beginning of a link, whose page learns nothing of ours."""
        href = str(tokens[idx].attrs.get("href", ""))
        return str(Markup('<a href="{}" rel="nofollow noopener noreferrer">').format(href))


def render(text: str) -> Markup:
    """Return the HTML of a README; safe, whatever it says."""
    return Markup(_parser().render(text[:LONGEST]))  # noqa: S704 - html is off, the rest is escaped


@cache
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    made.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    return made


def _level(token: Token) -> int:
    return min(int(token.tag[1:]) + 1, _DEEPEST)
