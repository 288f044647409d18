"""Rules for tags and the trail through the API: who sets them, what they hold, who reads it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api import PASSWORD as LONG
from api import Api, problem
from conftest import PASSWORD
from registry import Registry, requirement, unique

pytestmark = pytest.mark.metadata


def put_tag(api: Api, name: str, tag: str, user: tuple[str, str]) -> int:
    """Push another image to the tag, and return the status of its manifest."""
    repository = Registry(api.url, user).repository(name)
    image = repository.push_manifest(repository.new_image())
    kind = {"Content-Type": image.media_type}
    return repository.registry.put(repository.path(f"manifests/{tag}"), image.raw, kind).status


@pytest.mark.parametrize("place", ["namespace", "repository"])
def test_a_rule(admin: Api, place: str) -> None:
    """A rule holds from the answer on, and holds no more once it is removed."""
    name = admin.organisation()
    repository = f"{name}/app"
    user = ("admin", PASSWORD)
    assert put_tag(admin, repository, "v1", user) == 201
    path = f"/namespaces/{name}/rules"
    if place == "repository":
        path = f"/repositories/{repository}/-/rules"
    asked = {"pattern": "v*", "exceptions": ["v*-rc?"]}
    made = admin.post(path, asked).expect(201).json()
    assert (made["create"], made["move"], made["delete"]) == ("reader", "nobody", "nobody")
    assert admin.items(f"{path}?limit=1") == [made]
    assert put_tag(admin, repository, "v1", user) == 403
    assert put_tag(admin, repository, "v2", user) == 201
    for _ in range(2):
        assert put_tag(admin, repository, "v2-rc1", user) == 201
    admin.delete(f"{path}/{made['id']}").expect(204)
    problem(admin.delete(f"{path}/{made['id']}"), 404, "NOT_FOUND")
    assert put_tag(admin, repository, "v1", user) == 201


def test_a_trial(admin: Api) -> None:
    """A pattern is tried on the tags that there are."""
    name = admin.organisation()
    for tag in ("v1", "v2", "v2-rc1", "latest"):
        assert put_tag(admin, f"{name}/app", tag, ("admin", PASSWORD)) == 201
    path = f"/repositories/{name}/app/-/rules/-/try"
    found = admin.post(path, {"pattern": "v*", "exceptions": ["*-rc*"]}).expect(200).json()
    assert found == {"tags": ["v1", "v2"], "after": ""}
    for body in ({"pattern": ""}, {"pattern": "a b"}, {"pattern": "-x"}, {"pattern": "[0-9]"}):
        problem(admin.post(path, body), 422, "INVALID")


@requirement("S-20")
def test_whose_rules(admin: Api) -> None:
    """Only maintainers set rules, each of his own place."""
    name, other = admin.organisation(), admin.organisation()
    alice, api = admin.account()
    path = f"/namespaces/{name}/rules"
    number = admin.post(path, {"pattern": "v*"}).expect(201).json()["id"]
    problem(api.get(path), 404, "NOT_FOUND")
    problem(api.post(path, {"pattern": "x"}), 404, "NOT_FOUND")
    problem(api.delete(f"{path}/{number}"), 404, "NOT_FOUND")
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "writer"}).expect(200)
    problem(api.post(path, {"pattern": "x"}), 403, "DENIED")
    problem(api.delete(f"{path}/{number}"), 403, "DENIED")
    admin.put(f"/namespaces/{other}/grants/account/{alice}", {"role": "maintainer"}).expect(200)
    api.post(f"/namespaces/{other}/rules", {"pattern": "x"}).expect(201)
    problem(api.delete(f"/namespaces/{other}/rules/{number}"), 404, "NOT_FOUND")
    admin.post("/repositories", {"name": f"{name}/app"}).expect(201)
    problem(admin.delete(f"/repositories/{name}/app/-/rules/{number}"), 404, "NOT_FOUND")
    assert [each["id"] for each in admin.items(path)] == [number]


def entries(api: Api, query: str, wanted: str, seconds: float = 20) -> list[dict[str, Any]]:
    """Return the entries of one event; refusals come later than they happened."""
    until = time.monotonic() + seconds
    while True:
        found = [each for each in api.items(f"/audit?{query}") if each["action"] == wanted]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.5)


def test_the_trail(admin: Api) -> None:
    """A change through the API is in the trail with its actor, credential and request."""
    name = admin.organisation()
    answer = admin.post("/repositories", {"name": f"{name}/app"}).expect(201)
    found = entries(admin, f"repository={name}/app", "repository.created")[0]
    assert (found["actor"], found["credential"]) == ("admin", "password")
    assert found["request"] == answer["X-Request-Id"]
    assert found["address"] == "127.0.0.1"
    assert found["detail"]["repository"] == f"{name}/app"
    assert admin.items("/audit?event=repository.created&limit=1")[0]["id"] >= found["id"]


def test_the_trail_of_a_namespace(admin: Api) -> None:
    """An owner reads what was changed in his namespace, from where, and nothing of others."""
    name, other = admin.organisation(), admin.organisation()
    alice, api = admin.account()
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "owner"}).expect(200)
    api.post(f"/namespaces/{name}/robots", {"name": "ci"}).expect(201)
    api.post(f"/namespaces/{name}/robots/ci/tokens", {"name": "t"}).expect(201)
    api.post(f"/namespaces/{name}/teams", {"name": "dev"}).expect(201)
    api.put(f"/namespaces/{name}/teams/dev/members/{alice}").expect(204)
    api.post(f"/namespaces/{name}/rules", {"pattern": "v*"}).expect(201)
    api.patch(f"/namespaces/{name}", {"visibility": "internal"}).expect(200)
    api.post("/repositories", {"name": f"{name}/app"}).expect(201)
    admin.post("/repositories", {"name": f"{other}/app"}).expect(201)
    found = api.items(f"/audit?namespace={name}&limit=1")
    assert [each["action"] for each in found] == [
        "repository.created",
        "namespace.visibility-changed",
        "tag-rule.added",
        "team.joined",
        "team.created",
        "token.created",
        "robot.created",
        "access.granted",
        "namespace.created",
    ]
    assert {each["address"] for each in found} == {"127.0.0.1"}
    assert len({each["namespace_id"] for each in found}) == 1


def test_sign_ins_are_in_the_trail(admin: Api) -> None:
    """A sign-in by a page and a link that was spent are there with the address."""
    name, _ = admin.account()
    origin = {"Origin": admin.url}
    Api(admin.url).post("/session", {"name": name, "password": LONG}, **origin).expect(201)
    found = {each["action"]: each for each in admin.items(f"/audit?actor={name}")}
    assert {"account.added", "session.began"} <= found.keys()
    assert {each["address"] for each in found.values()} == {"127.0.0.1"}


def test_who_reads_the_trail(admin: Api) -> None:
    """The whole trail is for administrators, a namespace's for its owners and auditors."""
    name = admin.organisation()
    alice, api = admin.account()
    place = f"/audit?namespace={name}"
    told = []
    for each in (name, unique("o")):
        refused = problem(api.get(f"/audit?namespace={each}"), 403, "DENIED")
        told.append(refused["detail"].replace(each, ""))
    assert told[0] == told[1]
    problem(api.get("/audit"), 403, "DENIED")
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "auditor"}).expect(200)
    api.get(place).expect(200)
    problem(api.get("/audit"), 403, "DENIED")
    problem(api.get("/audit?repository=A"), 400, "NAME_INVALID")
    problem(api.get("/audit?namespace=A"), 422, "INVALID")


@requirement("S-113")
def test_no_secret_is_in_the_trail(admin: Api) -> None:
    """Neither passwords nor tokens nor links are in what the trail says of them."""
    name, api = admin.account()
    secret = api.post("/tokens", {"name": "x"}).expect(201).json()["secret"]
    asked = {"old": LONG, "new": "quite another password"}
    api.put(f"/accounts/{name}/password", asked).expect(204)
    whole = admin.get("/audit?limit=1000").expect(200).body
    for text in (secret, LONG, asked["new"], "argon2", "mrg_"):
        assert text.encode() not in whole
