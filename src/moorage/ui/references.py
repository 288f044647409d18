"""References as people paste them behind the registry's address: `/web/shop:1.2.3`."""

from urllib.parse import quote

from moorage.errors import RegistryError
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.ui.page import TWIN
from moorage.web.paths import MAX_PATH, decoded

# What stands between the two sides in the address of a comparison.
BETWEEN = "..."


def place_of(path: str) -> str:
    """Return the address of the page that a reference means, empty if the path is none."""
    if len(path) > MAX_PATH:
        return ""
    try:
        name, at, digest = decoded(path.removeprefix("/")).partition("@")
        name, colon, tag = name.partition(":")
        repository = RepositoryName.parse(name)
        if at:
            return image_place(repository, Digest.parse(digest))
        return tag_place(repository, Tag.parse(tag)) if colon else repository_place(repository)
    except (ValueError, RegistryError):
        return ""


def name_of(path: str) -> str:
    """Return the repository that a path names, and nothing of it; empty if it does not."""
    if len(path) > MAX_PATH:
        return ""
    try:
        return RepositoryName.parse(decoded(path.removeprefix("/")))
    except (ValueError, RegistryError):
        return ""


def with_own_end(place: str) -> str:
    """Return the address so that an end like a twin's is its page's own: names may have one."""
    return f"{place.removesuffix(TWIN)}%2Ejson" if place.endswith(TWIN) else place


def namespace_place(name: str, rest: str = "") -> str:
    """Return the address of a namespace's page, or of one of those behind it."""
    return with_own_end(f"/n/{quote(name)}{f'/-/{quote(rest)}' if rest else ''}")


def repository_place(name: str, rest: str = "") -> str:
    """Return the address of a repository's page, or of one of those behind it."""
    return f"/r/{quote(name)}{f'/-/{rest}' if rest else ''}"


def compare_place(name: str, a: str, b: str) -> str:
    """Return the address of the comparison of an image with another one, also of elsewhere."""
    pair = f"{quote(a, safe=':')}{BETWEEN}{quote(b, safe=':@')}"
    return with_own_end(repository_place(name, f"compare/{pair}"))


def tag_place(name: str, tag: str) -> str:
    """Return the address that leads to what a tag names now."""
    return repository_place(name, f"t/{quote(tag)}")


def image_place(name: str, digest: str, tab: str = "") -> str:
    """Return the address of an image's page, or of one of its tabs."""
    return repository_place(name, f"d/{quote(digest, safe=':')}{f'/{tab}' if tab else ''}")
