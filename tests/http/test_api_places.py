"""Namespaces, teams, robots, grants and repositories: by whom, and never beyond their place."""

from __future__ import annotations

from typing import Any

import pytest

from api import Api, problem
from conftest import PASSWORD
from registry import Answer, Registry, basic, requirement, unique

pytestmark = pytest.mark.metadata


class People:
    """An organisation with somebody of each role in it, and one who is a stranger to it."""

    def __init__(self, admin: Api) -> None:
        self.admin = admin
        self.name = admin.organisation()
        self.names: dict[str, str] = {}
        self.apis: dict[str, Api] = {}
        for role in ("reader", "writer", "maintainer", "owner", "auditor", "stranger"):
            self.names[role], self.apis[role] = admin.account()
            if role != "stranger":
                path = f"/namespaces/{self.name}/grants/account/{self.names[role]}"
                admin.put(path, {"role": role}).expect(200)
        owner = self.apis["owner"]
        owner.post(f"/namespaces/{self.name}/teams", {"name": "dev"}).expect(201)
        owner.post(f"/namespaces/{self.name}/robots", {"name": "ci"}).expect(201)
        owner.post("/repositories", {"name": f"{self.name}/app"}).expect(201)

    def __getitem__(self, role: str) -> Api:
        return self.apis[role]


@pytest.fixture(scope="session")
def people(admin: Api) -> People:
    """Return an organisation that tests leave as it is."""
    return People(admin)


def same(first: Answer, second: Answer) -> None:
    """Check that two answers differ in nothing but what names the request."""
    told = [answer.json() for answer in (first, second)]
    for each in told:
        del each["request_id"]
    assert told[0] == told[1]
    leave = {"x-request-id", "date"}
    heads = [
        sorted((n.lower(), v) for n, v in answer.headers if n.lower() not in leave)
        for answer in (first, second)
    ]
    assert heads[0] == heads[1]


READS = ["", "/teams", "/teams/dev", "/teams/dev/members", "/robots", "/robots/ci", "/grants"]
READS += ["/robots/ci/tokens"]
SEES = {"": {"reader", "writer", "maintainer", "owner", "auditor"}}


@requirement("S-20")
@pytest.mark.parametrize("path", READS)
def test_who_sees_what(people: People, path: str) -> None:
    """Each role sees what it may; a stranger is told the same of a namespace that is not there."""
    sees = SEES.get(path, {"owner", "auditor"})
    for role, api in people.apis.items():
        answer = api.get(f"/namespaces/{people.name}{path}")
        if role in sees:
            answer.expect(200)
        elif role == "stranger":
            problem(answer, 404, "NOT_FOUND")
            same(answer, api.get(f"/namespaces/{unique('o')}{path}"))
        else:
            problem(answer, 403, "DENIED")
    people.admin.get(f"/namespaces/{people.name}{path}").expect(200)
    problem(Api(people.admin.url).get(f"/namespaces/{people.name}{path}"), 401, "UNAUTHORIZED")


CHANGES: list[tuple[str, str, Any, str]] = [
    ("PATCH", "", {"visibility": "public"}, "maintainer owner"),
    ("DELETE", "", None, ""),
    ("POST", "/teams", {"name": "x"}, ""),
    ("DELETE", "/teams/dev", None, ""),
    ("PUT", "/teams/dev/members/{me}", None, ""),
    ("DELETE", "/teams/dev/members/{me}", None, ""),
    ("POST", "/robots", {"name": "x"}, ""),
    ("PATCH", "/robots/ci", {"enabled": False}, ""),
    ("DELETE", "/robots/ci", None, ""),
    ("POST", "/robots/ci/tokens", {"name": "x"}, ""),
    ("PUT", "/grants/account/{me}", {"role": "owner"}, ""),
    ("DELETE", "/grants/account/{me}", None, ""),
]


@requirement("S-20")
@pytest.mark.parametrize(("method", "path", "body", "may"), CHANGES)
def test_who_changes_what(people: People, method: str, path: str, body: Any, may: str) -> None:
    """Nobody below an owner changes who may what, and a stranger learns nothing by trying."""
    for role, api in people.apis.items():
        if role == "owner" or role in may.split():
            continue
        rest = path.format(me=people.names[role])
        answer = api.ask(method, f"/namespaces/{people.name}{rest}", body)
        if role == "stranger":
            problem(answer, 404, "NOT_FOUND")
            same(answer, api.ask(method, f"/namespaces/{unique('o')}{rest}", body))
        else:
            problem(answer, 403, "DENIED")
    found = people["owner"].get(f"/namespaces/{people.name}").expect(200).json()
    assert found["visibility"] == "private"
    assert people["owner"].get(f"/namespaces/{people.name}/robots/ci").json()["enabled"] is True
    assert people["owner"].items(f"/namespaces/{people.name}/teams/dev/members") == []


@requirement("S-20")
def test_things_of_another_namespace(people: People, admin: Api) -> None:
    """An owner reaches by his own namespace nothing that is another's, whatever he writes."""
    other = People(admin)
    mine, me = f"/namespaces/{people.name}", people["owner"]
    robot, team = f"{other.name}+ci", f"{other.name}/dev"
    token = other["owner"].post(f"/namespaces/{other.name}/robots/ci/tokens", {"name": "t"})
    number = token.expect(201).json()["token"]["id"]
    for answer in (
        me.get(f"{mine}/robots/{robot}"),
        me.get(f"{mine}/robots/{robot.replace('+', '%2B')}/tokens"),
        me.post(f"{mine}/robots/{robot}/tokens", {"name": "x"}),
        me.delete(f"{mine}/robots/{robot}"),
        me.get(f"{mine}/teams/{team.replace('/', '%2F')}"),
        me.delete(f"{mine}/teams/{team.replace('/', '%2F')}"),
        me.put(f"{mine}/grants/robot/{robot}", {"role": "reader"}),
        me.put(f"{mine}/grants/team/{team}", {"role": "reader"}),
        me.delete(f"{mine}/grants/robot/{robot}"),
        me.get(f"/repositories/{other.name}/app"),
        me.get(f"/repositories/{other.name}/app/-/grants"),
        me.patch(f"/repositories/{other.name}/app", {"visibility": "public"}),
        me.put(f"/repositories/{other.name}/app/-/grants/account/admin", {"role": "owner"}),
        me.get(f"/tokens/{number}"),
        me.delete(f"/tokens/{number}"),
        me.post(f"/tokens/{number}/rotate", {}),
        me.get(f"/tokens?who={robot.replace('+', '%2B')}"),
        me.get(f"/access/report?namespace={other.name}"),
        me.get(f"/access/can?action=pull&who=admin&namespace={other.name}"),
        me.post("/repositories", {"name": f"{other.name}/mine"}),
    ):
        assert answer.status in (403, 404), answer
        assert answer["Content-Type"] == "application/problem+json"
    theirs = other["owner"]
    theirs.get(f"/namespaces/{other.name}/robots/ci").expect(200)
    theirs.get(f"/namespaces/{other.name}/teams/dev").expect(200)
    theirs.get(f"/tokens/{number}").expect(200)
    assert theirs.get(f"/repositories/{other.name}/app").json()["visibility"] == "private"
    Api(admin.url, token.json()["secret"]).get("/whoami").expect(200)


def test_repositories_are_hidden(people: People) -> None:
    """A stranger is told the same of a private repository and of none, on each address."""
    there, missing = f"{people.name}/app", f"{people.name}/none"
    stranger = people["stranger"]
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"visibility": "public"}),
        ("GET", "/-/grants", None),
        ("PUT", "/-/grants/account/admin", {"role": "owner"}),
        ("DELETE", "/-/grants/account/admin", None),
    ):
        answers = [
            stranger.ask(method, f"/repositories/{name}{rest}", body) for name in (there, missing)
        ]
        problem(answers[0], 404, "NOT_FOUND")
        same(*answers)
    made = [
        stranger.post("/repositories", {"name": name}).json()["detail"].replace(name, "")
        for name in (there, missing)
    ]
    assert made[0] == made[1]


def test_visibility(people: People, admin: Api) -> None:
    """A repository is seen by those whom its visibility names, from the moment that it says so."""
    name = f"{people.name}/{unique('r')}"
    people["writer"].post("/repositories", {"name": name}).expect(201)
    problem(people["writer"].post("/repositories", {"name": name}), 409, "CONFLICT")
    public = {"name": f"{name}-b", "visibility": "public"}
    problem(people["writer"].post("/repositories", public), 403, "DENIED")
    path = f"/repositories/{name}"
    problem(people["writer"].patch(path, {"visibility": "public"}), 403, "DENIED")
    problem(people["stranger"].get(path), 404, "NOT_FOUND")
    people["maintainer"].patch(path, {"visibility": "internal"}).expect(200)
    assert people["stranger"].get(path).expect(200).json() == {
        "name": name,
        "namespace": people.name,
        "visibility": "internal",
    }
    problem(Api(admin.url).get(path), 401, "UNAUTHORIZED")
    people["maintainer"].patch(path, {"visibility": "public"}).expect(200)
    Api(admin.url).get(path).expect(200)
    listed = [each["name"] for each in people["stranger"].items("/repositories?limit=1000")]
    assert name in listed
    people["maintainer"].patch(path, {"visibility": "private"}).expect(200)
    problem(people["stranger"].get(path), 404, "NOT_FOUND")


def test_namespaces(admin: Api) -> None:
    """Only administrators make organisations; who has no right in one does not see its name."""
    alice, api = admin.account()
    problem(api.post("/namespaces", {"name": unique("o")}), 403, "DENIED")
    name = admin.organisation()
    problem(admin.post("/namespaces", {"name": name}), 409, "CONFLICT")
    problem(admin.post("/namespaces", {"name": "UPPER"}), 422, "INVALID")
    assert [each["name"] for each in api.items("/namespaces")] == [alice]
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "reader"}).expect(200)
    assert sorted(each["name"] for each in api.items("/namespaces?limit=1")) == sorted(
        [alice, name]
    )
    admin.post(f"/namespaces/{name}/teams", {"name": "dev"}).expect(201)
    problem(admin.delete(f"/namespaces/{name}"), 409, "CONFLICT")
    admin.delete(f"/namespaces/{name}/teams/dev").expect(204)
    admin.delete(f"/namespaces/{name}").expect(204)
    problem(admin.get(f"/namespaces/{name}"), 404, "NOT_FOUND")


def test_a_team(admin: Api) -> None:
    """Who is in a team has its rights, and has them no more at the request after it left."""
    name = admin.organisation()
    alice, api = admin.account()
    team = f"/namespaces/{name}/teams/dev"
    answer = admin.post(f"/namespaces/{name}/teams", {"name": "dev", "description": "Ä"})
    assert answer.expect(201).json()["name"] == f"{name}/dev"
    problem(admin.post(f"/namespaces/{name}/teams", {"name": "dev"}), 409, "CONFLICT")
    admin.put(f"/namespaces/{name}/grants/team/{name}/dev", {"role": "maintainer"}).expect(200)
    problem(api.get(f"/namespaces/{name}"), 404, "NOT_FOUND")
    admin.put(f"{team}/members/{alice}").expect(204)
    admin.put(f"{team}/members/{alice}").expect(204)
    assert [each["name"] for each in admin.items(f"{team}/members?limit=1")] == [alice]
    api.patch(f"/namespaces/{name}", {"visibility": "internal"}).expect(200)
    admin.delete(f"{team}/members/{alice}").expect(204)
    problem(api.get(f"/namespaces/{name}"), 404, "NOT_FOUND")
    problem(admin.delete(f"{team}/members/{alice}"), 409, "CONFLICT")
    problem(admin.put(f"{team}/members/{unique('u')}"), 404, "NOT_FOUND")
    admin.put(f"{team}/members/{alice}").expect(204)
    admin.delete(team).expect(204)
    problem(api.get(f"/namespaces/{name}"), 404, "NOT_FOUND")
    assert admin.items(f"/namespaces/{name}/grants") == [
        each for each in admin.items(f"/namespaces/{name}/grants") if each["kind"] == "account"
    ]


def test_a_robot(admin: Api) -> None:
    """A robot pushes by its token what it is granted, until it is put out of force or ended."""
    name = admin.organisation()
    robots = f"/namespaces/{name}/robots"
    made = admin.post(robots, {"name": "ci"}).expect(201)
    assert made.json()["name"] == f"{name}+ci"
    problem(admin.post(robots, {"name": "c$i"}), 422, "INVALID")
    token = admin.post(f"{robots}/ci/tokens", {"name": "t", "days": 1}).expect(201).json()
    robot = Api(admin.url, token["secret"])
    found = robot.get("/whoami").expect(200).json()
    assert (found["kind"], found["name"]) == ("robot", f"{name}+ci")
    problem(robot.post("/repositories", {"name": f"{name}/app"}), 403, "DENIED")
    admin.put(f"/namespaces/{name}/grants/robot/{name}+ci", {"role": "writer"}).expect(200)
    robot.post("/repositories", {"name": f"{name}/app"}).expect(201)
    signed = Registry(admin.url, ("whoever", token["secret"]))
    signed.repository(f"{name}/app").push_image("1")
    admin.patch(f"{robots}/ci", {"enabled": False}).expect(200)
    problem(robot.get("/whoami"), 401, "UNAUTHORIZED")
    admin.patch(f"{robots}/ci", {"enabled": True}).expect(200)
    robot.get("/whoami").expect(200)
    admin.delete(f"{robots}/ci").expect(204)
    problem(robot.get("/whoami"), 401, "UNAUTHORIZED")
    assert admin.items(robots) == []


def test_grants(admin: Api) -> None:
    """A grant is put in the place of another, is on all of a namespace or on one repository."""
    name = admin.organisation()
    alice, api = admin.account()
    admin.post("/repositories", {"name": f"{name}/a/b"}).expect(201)
    grants = f"/repositories/{name}/a/b/-/grants"
    made = admin.put(f"{grants}/account/{alice}", {"role": "reader"}).expect(200).json()
    assert (made["principal"], made["role"], made["repository"]) == (alice, "reader", f"{name}/a/b")
    api.get(f"/repositories/{name}/a/b").expect(200)
    problem(api.get(f"/namespaces/{name}"), 404, "NOT_FOUND")
    admin.put(f"{grants}/account/{alice}", {"role": "writer"}).expect(200)
    assert [each["role"] for each in admin.items(grants)] == ["writer"]
    listed = admin.items(f"/namespaces/{name}/grants?limit=1")
    assert [(each["principal"], each["repository"]) for each in listed] == [
        ("admin", ""),
        (alice, f"{name}/a/b"),
    ]
    for kind, who in (("robot", alice), ("team", alice), ("account", f"{name}+x"), ("x", alice)):
        answer = admin.put(f"{grants}/{kind}/{who}", {"role": "reader"})
        assert problem(answer, 404, "NOT_FOUND")
    problem(admin.put(f"{grants}/account/{alice}", {"role": "king"}), 422, "INVALID")
    admin.delete(f"{grants}/account/{alice}").expect(204)
    problem(admin.delete(f"{grants}/account/{alice}"), 404, "NOT_FOUND")
    problem(api.get(f"/repositories/{name}/a/b"), 404, "NOT_FOUND")


def test_the_last_owner_stays(admin: Api) -> None:
    """An owner can't leave an organisation without one."""
    name = admin.organisation()
    alice, api = admin.account()
    grants = f"/namespaces/{name}/grants/account"
    admin.put(f"{grants}/{alice}", {"role": "owner"}).expect(200)
    api.delete(f"{grants}/admin").expect(204)
    problem(api.delete(f"{grants}/{alice}"), 409, "CONFLICT")
    problem(api.put(f"{grants}/{alice}", {"role": "reader"}), 409, "CONFLICT")
    admin.delete(f"{grants}/{alice}").expect(204)


def test_who_may_what(people: People, admin: Api) -> None:
    """Owners are told who may what and why; others of themselves alone."""
    place = f"namespace={people.name}"
    writer = people.names["writer"]
    found = people["owner"].get(f"/access/can?action=push&who={writer}&{place}").expect(200).json()
    assert (found["allowed"], found["paths"]) == (
        True,
        [{"through": writer, "role": "writer", "on": f"{people.name}/**"}],
    )
    found = people["writer"].get(f"/access/can?action=delete&{place}").expect(200).json()
    assert found["allowed"] is False
    problem(people["writer"].get(f"/access/can?action=push&who=admin&{place}"), 403, "DENIED")
    problem(people["writer"].get(f"/access/report?{place}"), 403, "DENIED")
    rows = people["auditor"].items(f"/access/report?{place}&limit=2")
    assert {(row["who"], row["role"]) for row in rows} == {
        ("admin", "owner"),
        *((who, role) for role, who in people.names.items() if role != "stranger"),
    }
    for query in ("action=push", "action=fly&" + place, f"{place}&action=push&repository=a/b"):
        problem(admin.get(f"/access/can?{query}"), 422, "INVALID")


def test_credentials_of_users_are_not_in_answers(people: People) -> None:
    """No answer has a password or a hash."""
    for path in ("/accounts", f"/namespaces/{people.name}/robots", "/tokens", "/whoami"):
        body = people.admin.get(path).expect(200).body
        assert b"argon2" not in body
        assert b"mrg_" not in body or b'"mark"' in body
    assert basic("admin", PASSWORD)
