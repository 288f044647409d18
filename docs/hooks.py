"""What the site has beside the pages of this directory; MkDocs calls these functions.

Pages of the project that stand elsewhere (`PROJECT`) are put in, and links to them point there.
What Python-Markdown would show as it was typed, since it reads lists more strictly than other
readers do, is a warning, which ends a strict build.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

LOG = logging.getLogger("mkdocs.hooks.site")
ROOT = Path(__file__).parents[1]
PROJECT = {
    "bench/RESULTS.md": "project/measurements.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*=[\"']?(?:https?:)?//[^>]*>")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
# Python-Markdown knows fences at the margin only, and code in a list by eight spaces.
_NESTED = re.compile(r"^    ```[a-z]*\n(.*?)^    ```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"<pre>.*?</pre>|<code>[^\n]*?</code>", re.DOTALL)
# A list that follows its paragraph without an empty line, or a fence that is indented wrongly.
_AS_TYPED = re.compile(r"```|\n(?:- |\* |\d+\. |\| )|<code>(?:sh|console|toml|text|json|yaml)\n")


def on_config(config: Any) -> Any:
    """Add the decisions and the project's pages to the list of pages."""
    decisions = [
        f"decisions/{path.name}" for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    ]
    config.nav.append({"Decisions": ["decisions/index.md", *decisions]})
    config.nav.append({"Project": list(PROJECT.values())})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Put the project's pages in."""
    for source, place in PROJECT.items():
        text = relinked((ROOT / source).read_text(), source, place)
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links that lead out of this directory to where the site has those pages."""
    place = page.file.src_uri
    markdown = _NESTED.sub(
        lambda fence: re.sub("^(?=.)", "    ", fence[1], flags=re.MULTILINE), markdown
    )
    return markdown if place in PROJECT.values() else relinked(markdown, f"docs/{place}", place)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Look for what was meant as a list or as code and is neither."""
    text = _CODE.sub("", html)
    found = _AS_TYPED.search(text)
    if found:
        near = text[max(0, found.start() - 60) : found.end() + 40]
        LOG.warning("%s shows what was typed, near %r", page.file.src_uri, near)
    return html


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Look for what a browser would fetch from elsewhere."""
    found = _ELSEWHERE.search(output)
    if found:
        LOG.warning("%s fetches from elsewhere: %s", page.file.src_uri, found[0])
    return output


def relinked(text: str, source: str, place: str) -> str:
    """Return a file's text with its links as they are from its place on the site."""

    def point(link: re.Match[str]) -> str:
        target, mark, part = link[1].partition("#")
        if not target or ":" in target:
            return link[0]
        full = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if full in PROJECT:
            there = PROJECT[full]
        elif full.startswith("docs/"):
            there = full.removeprefix("docs/")
        else:
            return link[0]
        return f"]({posixpath.relpath(there, posixpath.dirname(place) or '.')}{mark}{part})"

    return _LINK.sub(point, text)
