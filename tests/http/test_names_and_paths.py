"""Names of repositories, raw paths, methods and queries."""

from __future__ import annotations

import pytest

from registry import (
    Registry,
    absent_digest,
    digest_of,
    requirement,
    unique,
    with_query,
)

ZERO = absent_digest()
SESSION = "0b9ce1b2-5ea5-4a6c-9f5c-1f6f5a2f1a11"
INVALID_NAMES = [
    "UPPER",
    "a/Upper/b",
    "-a",
    "_a",
    ".a",
    "a-",
    "a_",
    "a.",
    "a..b",
    "a___b",
    "a._b",
    "a.-b",
    "a/-b",
    "a+b",
    "a~b",
    "a@b",
    "a:b",
    "a" * 256,
    "/".join(["component"] * 40),
]
ENCODED_NAMES = [
    "a%00b",
    "a%0ab",
    "a%ffb",
    "a%EF%BC%8Eb",
    "%C4%B1",
    "a%20b",
    "%61",
    "a%5cb",
    "a%3fb",
]
VALID_NAMES = [
    "{u}",
    "{u}/a/b/c/d/e/f",
    "{u}.b_c__d---e/f0",
    "{u}--a",
    "{u}/0",
    "{u}/con",
    "{u}/" + "x" * 180,
]
RESERVED_NAMES = [
    "{u}/manifests",
    "{u}/manifests/b",
    "{u}/blobs",
    "{u}/blobs/uploads",
    "{u}/blobs/uploads/manifests",
    "{u}/tags",
    "{u}/tags/list",
    "{u}/referrers",
    "{u}/referrers/x",
    "{u}/uploads",
    "{u}/v2",
    "v2/{u}",
    "manifests/{u}",
    "blobs/uploads/{u}",
    "tags/list/{u}",
    "{u}/manifests/latest/blobs/uploads/x/tags/list",
]
TRAVERSALS = [
    "/v2/../v2/_catalog",
    "/v2/%2e%2e/%2e%2e/etc/passwd/manifests/x",
    "/v2/../../etc/passwd/manifests/x",
    "/v2/a/../b/tags/list",
    "/v2/a/./b/tags/list",
    "/v2/a//b/tags/list",
    "/v2//tags/list",
    "/v2//a/tags/list",
    "//v2/a/tags/list",
    "/v2/a/b/manifests/..",
    "/v2/a/b/manifests/.",
    "/v2/a/b/manifests/",
    "/v2/a/b/blobs/",
    "/v2/a/b/tags/list/",
    "/v2/a/b/tags",
    "/v2/a/b",
    "/v2/a",
    "/v2/a/b/manifests",
    "/v2/a/b/referrers/",
    "/v2/a/b/unknown/x",
    "/v2/_unknown",
    "/v2/a/b/_unknown/x/y",
    "/v1/_ping",
    "/v3/",
    "/v2%2f",
    "/v2/a/b/manifests/x;y",
    "/v2/a\\b/tags/list",
]
METHODS = [
    ("/v2/", ["POST", "PUT", "DELETE", "PATCH"]),
    ("/v2/_catalog", ["POST", "PUT", "DELETE"]),
    ("/v2/{name}/tags/list", ["POST", "PUT", "DELETE", "PATCH"]),
    ("/v2/{name}/manifests/latest", ["POST", "PATCH"]),
    (f"/v2/{{name}}/manifests/{ZERO}", ["POST", "PATCH"]),
    (f"/v2/{{name}}/blobs/{ZERO}", ["POST", "PUT", "PATCH"]),
    ("/v2/{name}/blobs/uploads/", ["PUT", "DELETE", "PATCH"]),
    (f"/v2/{{name}}/blobs/uploads/{SESSION}", ["POST"]),
    (f"/v2/{{name}}/referrers/{ZERO}", ["POST", "PUT", "DELETE"]),
    ("/v2/_oci/ext/discover", ["POST", "DELETE"]),
]


@requirement("names", "Q-24", "S-4")
@pytest.mark.parametrize("name", INVALID_NAMES)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("POST", "blobs/uploads/"),
        ("GET", "tags/list"),
        ("GET", "manifests/latest"),
        ("PUT", "manifests/latest"),
        ("GET", f"blobs/{ZERO}"),
    ],
)
def test_invalid_name(registry: Registry, method: str, rest: str, name: str) -> None:
    """A name outside the grammar is 400 NAME_INVALID on every path."""
    if name == "_a" and method == "GET":
        registry.get(f"/v2/{name}/{rest}").expect((400, 404))
        return
    registry.request(method, f"/v2/{name}/{rest}").expect(400, "NAME_INVALID")


@requirement("names", "Q-24")
def test_upper_case_has_a_hint(registry: Registry) -> None:
    """The refusal of an upper-case name says what to write instead."""
    answer = registry.post("/v2/Team/App/blobs/uploads/").expect(400, "NAME_INVALID")
    assert "lower" in answer.body.decode().lower()


@requirement("names", "S-4")
@pytest.mark.parametrize("name", ENCODED_NAMES)
@pytest.mark.parametrize(("method", "rest"), [("POST", "blobs/uploads/"), ("GET", "tags/list")])
def test_encoded_name(registry: Registry, method: str, rest: str, name: str) -> None:
    """Names are not percent-decoded: an escape in one is a refusal."""
    registry.request(method, f"/v2/{name}/{rest}").expect((400, 404))


@requirement("names")
@pytest.mark.parametrize("name", VALID_NAMES)
def test_valid_name(registry: Registry, name: str) -> None:
    """Every name of the grammar can be pushed to and listed."""
    repository = registry.repository(name.format(u=unique()))
    image = repository.push_image("latest")
    assert repository.tags() == ["latest"]
    assert repository.tagged("latest") == image.digest


@requirement("names", "S-5")
@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_name_of_reserved_words(registry: Registry, name: str) -> None:
    """A name made of the protocol's own words works on every path."""
    repository = registry.repository(name.format(u=unique()))
    content = unique().encode()
    location = registry.patch(repository.begin(), content).expect(202)["Location"]
    registry.get(location).expect(204)
    registry.put(with_query(location, digest=digest_of(content)), b"").expect(201)
    registry.delete(repository.begin()).expect(204)
    image = repository.push_image("list")
    assert repository.tags() == ["list"]
    assert repository.tagged("list") == image.digest
    assert registry.get(repository.path(f"blobs/{digest_of(content)}")).body == content
    registry.get(repository.path(f"referrers/{image.digest}")).expect(200)
    registry.delete(repository.path("manifests/list")).expect(202)
    registry.delete(repository.path(f"manifests/{image.digest}")).expect(202)
    registry.delete(repository.path(f"blobs/{digest_of(content)}")).expect(202)


@requirement("names", "S-5")
def test_reserved_words_are_two_repositories(registry: Registry) -> None:
    """`x` and `x/manifests` do not see each other."""
    name = unique()
    outer, inner = registry.repository(name), registry.repository(f"{name}/manifests")
    first, second = outer.push_image("manifests"), inner.push_image("manifests")
    assert outer.tagged("manifests") == first.digest
    assert inner.tagged("manifests") == second.digest
    assert outer.tags() == inner.tags() == ["manifests"]


@requirement("paths", "S-2")
@pytest.mark.parametrize("slash", ["%2f", "%2F", "%252f", "%252F"])
@pytest.mark.parametrize("rest", ["tags/list", "manifests/latest"])
def test_encoded_slash(registry: Registry, slash: str, rest: str) -> None:
    """An encoded slash in a name is not a slash."""
    repository = registry.repository()
    repository.push_image("latest")
    name = repository.name.replace("/", slash)
    answer = registry.get(f"/v2/{name}/{rest}").expect((400, 404))
    assert repository.name not in answer.body.decode()


@requirement("paths", "S-2")
def test_encoded_slash_before_the_route(registry: Registry) -> None:
    """An encoded slash does not make a route either."""
    repository = registry.repository()
    repository.push_image("latest")
    for rest in ("tags%2flist", "manifests%2flatest", "manifests/x%2flatest"):
        registry.get(repository.path(rest)).expect((400, 404))


@requirement("paths", "S-1")
@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_odd_path(registry: Registry, path: str, method: str) -> None:
    """A path that is none is 400 or 404 (405 where only the method is wrong), never a redirect."""
    answer = registry.request(method, path).expect((400, 404, 405))
    assert answer.get("Location") is None
    assert b"root:" not in answer.body


@requirement("paths")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_encoded_colon(registry: Registry, method: str) -> None:
    """The colon of a digest may be percent-encoded in a path."""
    repository = registry.repository()
    image = repository.push_image("latest")
    blob = repository.push_blob()["digest"]
    for kind, digest in (("manifests", image.digest), ("blobs", blob), ("referrers", blob)):
        for colon in ("%3A", "%3a"):
            target = repository.path(f"{kind}/{digest.replace(':', colon)}")
            answer = registry.request(method, target).expect(200)
            if kind != "referrers":
                assert answer["Docker-Content-Digest"] == digest


@requirement("paths")
def test_put_with_an_encoded_colon(registry: Registry) -> None:
    """A manifest may be pushed and deleted by an encoded digest."""
    repository = registry.repository()
    image = repository.push_image()
    target = repository.path(f"manifests/{image.digest.replace(':', '%3A')}")
    registry.put(target, image.raw, {"Content-Type": image.media_type}).expect(201)
    registry.delete(target).expect(202)


@requirement("paths")
def test_trailing_slash_of_uploads(registry: Registry) -> None:
    """Uploads are opened with and without the trailing slash, without a redirect."""
    repository = registry.repository()
    digest = repository.push_blob()["digest"]
    for path in ("blobs/uploads", "blobs/uploads/"):
        registry.post(repository.path(path), b"").expect(202)
        registry.post(repository.path(f"{path}?mount={digest}&from={repository.name}")).expect(201)


@requirement("queries", "Q-25")
def test_unknown_parameters_are_ignored(registry: Registry) -> None:
    """Parameters that nobody knows, and `ns` of mirrors, change nothing on any path."""
    query = "ns=docker.io&unknown=%00&x&=y&a=%zz&ns=again"
    repository = registry.repository()
    content = unique().encode()
    location = registry.post(repository.path(f"blobs/uploads/?{query}")).expect(202)["Location"]
    joint = "&" if "?" in location else "?"
    location = registry.patch(f"{location}{joint}{query}", content).expect(202)["Location"]
    joint = "&" if "?" in location else "?"
    digest = digest_of(content)
    registry.put(f"{location}{joint}{query}&digest={digest}", b"").expect(201)
    image = repository.push_image(f"latest?{query}")
    for rest in (
        f"manifests/latest?{query}",
        f"manifests/{image.digest}?{query}",
        f"blobs/{digest}?{query}",
        f"tags/list?{query}",
        f"referrers/{image.digest}?{query}",
    ):
        registry.get(repository.path(rest)).expect(200)
        registry.head(repository.path(rest)).expect(200)
    registry.get(f"/v2/?{query}").expect(200)
    registry.get(f"/v2/_catalog?{query}").expect(200)
    registry.delete(repository.path(f"manifests/latest?{query}")).expect(202)
    registry.delete(repository.path(f"blobs/{digest}?{query}")).expect(202)


@requirement("methods")
@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, methods in METHODS for method in [*methods, "TRACE", "PROPFIND"]],
)
def test_method_not_allowed(registry: Registry, path: str, method: str) -> None:
    """A method that a path does not have is 405 UNSUPPORTED and says which it has."""
    repository = registry.repository()
    repository.push_blob()
    answer = registry.request(method, path.format(name=repository.name))
    allowed = [each.strip() for each in answer.expect(405, "UNSUPPORTED")["Allow"].split(",")]
    assert method not in allowed
    assert set(allowed) <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    if "uploads/" not in path:
        assert {"GET", "HEAD"} <= set(allowed)


@requirement("methods", "S-73")
def test_options_gives_no_rights(registry: Registry) -> None:
    """A preflight gets no permission."""
    headers = {"Access-Control-Request-Method": "PUT"}
    answer = registry.request("OPTIONS", "/v2/", headers)
    assert answer.status in (200, 204, 403, 405)
    assert answer.get("Access-Control-Allow-Origin") is None
    assert answer.get("Access-Control-Allow-Methods") is None
