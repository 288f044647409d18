"""Where an image says that it comes from: its source, the commit, the image that it is built on.

Whoever pushed it has written that, and it may be anything: what is no address of a web page is a
text, and nothing of it is asked by this registry.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from moorage.oci.config import MASK

_SOURCE = "org.opencontainers.image.source"
_REVISION = "org.opencontainers.image.revision"
_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"
_LONGEST = 2_000
# What is in an address that people can read through; letters alike of other alphabets are not.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
# As `git clone` takes it.
_BY_SSH = re.compile(r"(?:ssh://)?git@([A-Za-z0-9.-]+)[:/]([A-Za-z0-9._/~-]+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)


class _Forge(msgspec.Struct, frozen=True):
    """How a forge has the pages of commits, behind the address of a project."""

    commit: str
    between: str


_GITHUB = _Forge("/commit/{}", "/compare/{}...{}")
_GITLAB = _Forge("/-/commit/{}", "/-/compare/{}...{}")
_FORGES = (
    ("github", _GITHUB),
    ("gitlab", _GITLAB),
    ("codeberg", _GITHUB),
    ("gitea", _GITHUB),
    ("forgejo", _GITHUB),
)


class Source(msgspec.Struct, frozen=True):
    """What an image says of where it comes from, empty where it says nothing.

    `page` and `commit_page` are addresses of web pages, empty where there are none to be told.
    """

    source: str = ""
    page: str = ""
    commit: str = ""
    commit_page: str = ""
    base: str = ""
    base_digest: str = ""


def source_of(told: Mapping[str, str]) -> Source:
    """Return what an image says by its labels and annotations."""
    source, commit = told.get(_SOURCE, ""), told.get(_REVISION, "")
    project = _project(source)
    forge = _forge(project)
    return Source(
        source=source,
        page=project,
        commit=commit,
        commit_page=project + forge.commit.format(commit)
        if forge is not None and _COMMIT.fullmatch(commit)
        else "",
        base=told.get(_BASE_NAME, ""),
        base_digest=told.get(_BASE_DIGEST, ""),
    )


def commits_between(a: Source, b: Source) -> str:
    """Return the page of what was committed between two images of one source, empty if none is."""
    forge = _forge(b.page)
    if forge is None or a.page != b.page or not a.commit_page or not b.commit_page:
        return ""
    return b.page + forge.between.format(a.commit, b.commit) if a.commit != b.commit else ""


def web_page(text: str) -> str:
    """Return a text that is the address of a web page and of nothing else, empty for any other.

    One with a name before its host leads elsewhere than it seems to, and what was masked is none.
    """
    if len(text) > _LONGEST or MASK in text or not _ADDRESS.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return ""
    return text if has_host else ""


def _project(source: str) -> str:
    found = _BY_SSH.fullmatch(source)
    address = f"https://{found[1]}/{found[2]}" if found else source
    return web_page(address).rstrip("/").removesuffix(".git")


def _forge(project: str) -> _Forge | None:
    """Return the forge that a project is at, by its host; None where its pages are not known."""
    if not project or "?" in project or "#" in project:
        return None
    host = urlsplit(project).hostname or ""
    return next((forge for name, forge in _FORGES if name in host), None)
