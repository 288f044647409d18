"""What all routes of the management API have in common: refusals, pages, bodies, other sites."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from api import JSON, problem
from moorage.api.routes import PREFIX, ROUTES
from registry import Registry, basic, requirement, unique

pytestmark = pytest.mark.metadata


def addresses() -> list[str]:
    """Return the address of each route."""
    return sorted({route.path for route in ROUTES})


def filled(path: str) -> str:
    """Return a path with names that nothing has in the place of its templates."""
    for place in ("namespace", "account", "team", "robot", "principal", "trust"):
        path = path.replace(f"{{{place}}}", "nobody")
    path = path.replace("{repository}", "nobody/nothing").replace("{kind}", "account")
    path = path.replace("{tag}", "latest").replace("{digest}", "sha256:" + "0" * 64)
    for place in ("token", "issuer", "rule"):
        path = path.replace(f"{{{place}}}", "123456")
    return PREFIX + path


def test_an_address_that_is_none(administrator: Registry) -> None:
    """What is no address is told in problem details."""
    for path in ("/api", "/api/v1", "/api/v1/", "/api/v2/whoami", "/api/v1/nothing"):
        problem(administrator.get(path), 404, "UNSUPPORTED")


@pytest.mark.parametrize("path", addresses())
def test_methods(administrator: Registry, path: str) -> None:
    """A method that an address has not got is 405, and says which it has."""
    has = {route.method for route in ROUTES if route.path == path}
    has |= {"HEAD"} if "GET" in has else set()
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - has:
        answer = administrator.request(method, filled(path))
        problem(answer, 405, "UNSUPPORTED")
        assert set(answer["Allow"].split(", ")) == has


@requirement("S-73")
@pytest.mark.parametrize("origin", ["null", "https://ui.evil.example", "{url}.evil.example"])
def test_no_page_elsewhere_may_read(administrator: Registry, origin: str) -> None:
    """No answer has a CORS header, to a preflight neither."""
    told = {"Origin": origin.format(url=administrator.url)}
    asked = {**told, "Access-Control-Request-Method": "GET"}
    for answer in (
        administrator.get(PREFIX + "/whoami", told).expect(200),
        administrator.request("OPTIONS", PREFIX + "/whoami", asked).expect(405),
    ):
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "{url}.evil.example"},
    {"Origin": "https://{authority}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "{url}"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "{url}"},
]
CHANGES = [route for route in ROUTES if route.changes]


@requirement("S-72")
@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("route", CHANGES, ids=lambda route: route.name)
def test_no_page_elsewhere_may_change(
    administrator: Registry, route: Any, headers: dict[str, str]
) -> None:
    """Whatever a page of another site sends is refused, with all credentials."""
    told = {
        name: value.format(url=administrator.url, authority=administrator.authority)
        for name, value in headers.items()
    }
    answer = administrator.request(route.method, filled(route.path), {**JSON, **told}, b"{}")
    problem(answer, 403, "DENIED")


UNCONDITIONAL = [route for route in CHANGES if not route.conditional]


@pytest.mark.parametrize("route", UNCONDITIONAL, ids=lambda route: route.name)
def test_conditions_on_changes(administrator: Registry, route: Any) -> None:
    """A condition that can't be held is not passed over in silence."""
    told = {**JSON, "If-Match": '"x"'}
    answer = administrator.request(route.method, filled(route.path), told, b"{}")
    problem(answer, 412, "DENIED")


CLOSED = [route for route in ROUTES if route.action is not None]


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: route.name)
def test_nobody(administered: Registry, route: Any) -> None:
    """Without credentials there is 401 wherever an action is needed, before the body is read."""
    answer = administered.request(route.method, filled(route.path), JSON, b"{")
    problem(answer, 401, "UNAUTHORIZED")
    assert not answer["WWW-Authenticate"].startswith("Basic")


def test_wrong_credentials(administered: Registry) -> None:
    """A wrong password is 401, and is not in the answer."""
    secret = unique("secret")
    wrong = {"Authorization": basic("admin", secret)}
    answer = administered.get(PREFIX + "/whoami", wrong)
    problem(answer, 401, "UNAUTHORIZED")
    assert secret.encode() not in answer.body


def test_whoami(administrator: Registry, moorage: Any) -> None:
    """It tells who one is; in local mode as well."""
    answer = administrator.get(PREFIX + "/whoami").expect(200)
    found = answer.json()
    assert (found["kind"], found["name"], found["administrator"]) == ("account", "admin", True)
    assert found["scopes"] is None
    known = {"If-None-Match": answer["ETag"]}
    assert administrator.get(PREFIX + "/whoami", known).expect(304).body == b""
    local = Registry(moorage.url).get(PREFIX + "/whoami").expect(200).json()
    assert (local["kind"], local["administrator"]) == ("local", False)


def test_head_is_get_without_a_body(administrator: Registry) -> None:
    """HEAD has the headers of GET."""
    got = administrator.get(PREFIX + "/whoami").expect(200)
    head = administrator.head(PREFIX + "/whoami").expect(200)
    assert head["ETag"] == got["ETag"]
    assert head.body == b""


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "9" * 30, "1&limit=2", "%00"])
def test_limits_that_are_none(administrator: Registry, limit: str) -> None:
    """A page has from 1 to 1,000 items."""
    answer = administrator.get(f"{PREFIX}/repositories?limit={limit}")
    assert "limit" in problem(answer, 422, "INVALID")["detail"]


@requirement("S-94")
@pytest.mark.parametrize("text", ["%00", "a%0d%0ab", "a" * 10_000, "%1b"])
def test_cursors_that_are_none(administrator: Registry, text: str) -> None:
    """What no name has is refused; the rest is taken for a name."""
    answer = administrator.get(f"{PREFIX}/repositories?after={text}")
    problem(answer, 422, "INVALID")


@requirement("S-94")
@pytest.mark.parametrize("text", ["'\";--", "$$", "\\", "%25", "zzz%27 OR 1=1", "%ff"])
def test_cursors_are_literal(administrator: Registry, text: str) -> None:
    """Nothing in a cursor is more than a text."""
    administrator.get(f"{PREFIX}/repositories?after={text.replace(' ', '%20')}").expect(200)


@pytest.mark.parametrize(
    "target",
    [
        "audit?namespace=",
        "audit?repository=",
        "audit?actor=",
        "audit?event=",
        "tokens?who=",
        "access/can?action=pull&repository=a/b&who=",
        "access/can?action=pull&repository=a/b&token=",
        "access/report?namespace=web&repository=",
    ],
)
def test_a_name_that_is_empty_is_not_taken_for_none(administrator: Registry, target: str) -> None:
    """A script whose variable was empty is not answered with everything there is."""
    problem(administrator.get(f"{PREFIX}/{target}"), 422, "INVALID")


def test_the_first_page_is_behind_nothing(administrator: Registry) -> None:
    """An empty cursor begins, as the first page of a loop in a script does."""
    first = administrator.get(f"{PREFIX}/accounts?limit=1&after=").expect(200)
    assert first.body == administrator.get(f"{PREFIX}/accounts?limit=1").body


def test_pages_of_repositories(administrator: Registry) -> None:
    """Pages follow each other by their links, and leave nothing out."""
    namespace = unique()
    names = [f"{namespace}/r{number}" for number in range(5)]
    for name in names:
        administrator.repository(name).push_image("1")
    found: list[str] = []
    target = f"{PREFIX}/repositories?limit=2&after={namespace}"
    while target and len(found) < 5:
        answer = administrator.get(target).expect(200)
        found += [item["name"] for item in answer.json()["items"]]
        link = answer.get("Link")
        assert link is None or link.endswith('>; rel="next"')
        target = link[1 : link.index(">")] if link else ""
    assert found[:5] == names


def test_names_with_slashes(administrator: Registry) -> None:
    """A repository's address has its name as it is, or with its slashes encoded."""
    name = f"{unique()}/a/b"
    administrator.repository(name).push_image("1")
    for text in (name, name.replace("/", "%2F"), name.replace("/", "%2f")):
        found = administrator.get(f"{PREFIX}/repositories/{text}").expect(200).json()
        assert found["name"] == name


@pytest.mark.parametrize(
    "path", ["a%00b", "%ff", "a%0Ab", "..%2f..%2fetc", "A/b", "a//b", "-", "-/x"]
)
def test_names_that_are_none(administrator: Registry, path: str) -> None:
    """What no repository can be called is refused, whatever it is made of."""
    answer = administrator.get(f"{PREFIX}/repositories/{path}")
    assert answer.status in (400, 404)
    assert answer["Content-Type"] == "application/problem+json"


def test_the_document(administered: Registry) -> None:
    """The document is open, is OpenAPI 3.1, and has every route with its action."""
    document = administered.get(PREFIX + "/openapi.json").expect(200).json()
    assert document["openapi"].startswith("3.1")
    described = {
        (path, method.upper()): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert described.keys() == {(PREFIX + route.path, route.method) for route in ROUTES}
    for route in ROUTES:
        operation = described[(PREFIX + route.path, route.method)]
        assert operation["operationId"] == route.name
        promised, _, needs = operation["description"].partition("\n\n")
        assert (f"Needs: {route.action}." if route.action else "Open.") == needs
        assert promised == " ".join(inspect.getdoc(route.handler).partition("\n\n")[0].split())
        assert promised.endswith(".")
        assert {"401", "404", "422", str(route.status)} <= operation["responses"].keys()
        assert ("requestBody" in operation) == (route.takes is not None)
    names = [operation["operationId"] for operation in described.values()]
    assert len(names) == len(set(names))
    assert "Problem" in document["components"]["schemas"]
