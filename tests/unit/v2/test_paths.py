"""Raw paths to routes, by the tables beside."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.load import cases, table
from moorage.errors import NameInvalid, RouteUnknown
from moorage.v2.paths import Route, split

WORDS = ["blobs", "uploads", "manifests", "tags", "list", "referrers", "v2", "a", "b-c", "_oci"]


@pytest.mark.parametrize(("path", "route"), table("paths", "routes").items())
def test_route(path: str, route: dict[str, Any]) -> None:
    assert split(path) == Route(**route)


@pytest.mark.parametrize("path", cases("paths", "unknown"))
def test_unknown(path: str) -> None:
    with pytest.raises(RouteUnknown):
        split(path)


@pytest.mark.parametrize("path", cases("paths", "escaped"))
def test_escaped(path: str) -> None:
    with pytest.raises(NameInvalid):
        split(path)


@given(st.lists(st.sampled_from(WORDS[:-1]), min_size=1, max_size=6).map("/".join))
def test_names_of_our_own_words(name: str) -> None:
    """Whatever a repository is called, its own addresses are its own."""
    assert split(f"/v2/{name}/manifests/latest") == Route("manifest", name, "latest")
    assert split(f"/v2/{name}/manifests/list") == Route("manifest", name, "list")
    assert split(f"/v2/{name}/blobs/sha256:ab") == Route("blob", name, "sha256:ab")
    assert split(f"/v2/{name}/referrers/sha256:ab") == Route("referrers", name, "sha256:ab")
    assert split(f"/v2/{name}/tags/list") == Route("tags", name)
    assert split(f"/v2/{name}/blobs/uploads/") == Route("uploads", name)
    assert split(f"/v2/{name}/blobs/uploads") == Route("uploads", name)
    assert split(f"/v2/{name}/blobs/uploads/0123") == Route("upload", name, "0123")
    assert split(f"/v2/{name}/_oci/ext/discover") == Route("discover", name)


@given(st.text(max_size=60))
def test_any_path(text: str) -> None:
    try:
        route = split(f"/v2/{text}")
    except (NameInvalid, RouteUnknown):
        return
    assert "%" not in route.name + route.reference
