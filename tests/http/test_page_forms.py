"""The forms of pages: what they do for those who may, and that they do nothing for all others."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from api import Api
from browser import Browser
from cast import PASSWORD, Cast
from identity import CLIENT, IdentityProvider
from moorage.model import presets
from moorage.ui.pages import PAGES
from oidc import new_key
from registry import unique

pytestmark = pytest.mark.metadata

# Forms that are everybody's own: of sessions, colours, tokens and the account itself.
OWN = {"sign-in", "sign-out", "theme", "tokens", "account"}
PLACES = {
    "{repository}": "acme/private",
    "{namespace}": "acme",
    "{team}": "dev",
    "{robot}": "ci",
}
FORMS = [
    (page.path, do) for page in PAGES if page.acts and page.name not in OWN for do in page.acts
]


@pytest.mark.parametrize("who", ["stranger", "reader", "auditor"])
def test_no_form_does_anything_for_who_may_not(cast: Cast, who: str) -> None:
    browser = Browser(cast).sign_in(who)
    fields = {
        "tag": "latest",
        "version": "1",
        "visibility": "public",
        "pattern": "v*",
        "needs": "immutable",
        "rule": "1",
        "digest": cast.images["private"].digest,
        "name": "acme/private",
        "who": who,
        "role": "owner",
        "account": who,
        "enabled": "no",
        "days": "1",
        "token": "1",
        "trust": "x",
        "issuer": "1",
        "robot": "ci",
        "rules": "sub: x",
        "job": "1",
        "kind": "invitation",
        "to": "administrator",
        "repository": "acme/private",
        "id": "1",
        "description": "x",
        "readme": "x",
    }
    for path, do in FORMS:
        for place, value in {**PLACES, "{digest}": fields["digest"]}.items():
            path = path.replace(place, value)  # noqa: PLW2901
        answer = browser.post(path, {**fields, "do": do})
        allowed = {404} if who == "stranger" and "acme" in path else {403, 404}
        assert answer.status in allowed, (path, do, answer.status)


def test_who_may_not_delete_brings_no_image_back(cast: Cast) -> None:
    """It is in the trash, where there is something to bring back."""
    there = cast.asked_by["owner"].repository("acme/private")
    gone = there.push_image(unique())
    there.registry.delete(there.path(f"manifests/{gone.digest}")).expect(202)
    page = f"/r/acme/private/-/d/{gone.digest}"
    for who in ("reader", "writer", "stranger"):
        form = {"do": "undo", "digest": gone.digest}
        assert Browser(cast).sign_in(who).post(page, form).status in (403, 404), who
        there.registry.get(there.path(f"manifests/{gone.digest}")).expect(404)


def test_who_owns_one_repository_names_it_as_he_may_push(cast: Cast) -> None:
    """A right in one repository makes no other of the namespace, by another name of it either."""
    guest, wanted = Browser(cast).sign_in("guest"), f"acme/{unique()}"
    answer = guest.post("/r/acme/private/-/settings", {"do": "rename", "name": wanted})
    assert answer.status in (403, 404)
    told = cast.asked_by["owner"].get("/api/v1/repositories/acme/private").expect(200).json()
    assert told["name"] == "acme/private"


def test_a_form_that_the_page_has_not_is_refused(owner: Browser) -> None:
    assert owner.post("/n/acme", {"do": "nothing"}).status == 404
    assert owner.post("/images", {"do": "delete"}).status == 405


def test_a_tag_is_deleted_and_restored(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    page = f"/r/{there.name}"
    assert owner.post(page, {"do": "delete-tag", "tag": "1.0"}).status == 303
    assert there.tagged("1.0") is None
    history = owner.get(f"{page}/-/history?tag=1.0").body.decode()
    assert "Ended" in history
    version = re.search(r'name="version" value="(\d+)"', history)
    assert version is not None
    fields = {"do": "restore", "tag": "1.0", "version": version[1]}
    answer = owner.post(f"{page}/-/history", fields)
    assert (answer.status, answer["Location"]) == (303, f"{page}/-/history?tag=1.0&done=restored")
    assert there.tagged("1.0") == digest


def test_an_image_is_deleted_and_restored(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    page = f"/r/{there.name}"
    assert owner.post(f"{page}/-/d/{digest}", {"do": "delete"}).status == 303
    assert there.tagged("1.0") is None
    settings = f"{page}/-/settings"
    assert digest in owner.get(settings).body.decode()
    assert owner.post(settings, {"do": "restore", "digest": digest}).status == 303
    assert there.registry.get(there.path(f"manifests/{digest}")).status == 200


def test_settings_of_a_repository(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    there.push_image("v1")
    page = f"/r/{there.name}/-/settings"
    assert owner.post(page, {"do": "visibility", "visibility": "public"}).status == 303
    assert cast.asked_by["anonymous"].get(f"/v2/{there.name}/tags/list").status == 200
    assert owner.post(page, {"do": "visibility", "visibility": "none"}).status == 422
    rule = {"do": "add-rule", "pattern": "v*", "needs": "immutable"}
    assert owner.post(page, rule).status == 303
    assert owner.post(f"/r/{there.name}", {"do": "delete-tag", "tag": "v1"}).status == 403
    number = re.search(r'name="rule" value="(\d+)"', owner.get(page).body.decode())
    assert number is not None
    assert owner.post(page, {"do": "remove-rule", "rule": number[1]}).status == 303
    before, after = there.name, f"acme/{unique()}"
    answer = owner.post(page, {"do": "rename", "name": after})
    assert (answer.status, answer["Location"]) == (303, f"/r/{after}/-/settings?done=renamed")
    assert f"<h1>{after}</h1>" in owner.get(f"/r/{before}").body.decode()
    assert owner.post(page, {"do": "rename", "name": "common/x"}).status == 422
    assert owner.post(f"/r/{after}/-/settings", {"do": "rename", "name": before}).status == 303
    assert owner.post(page, {"do": "delete", "name": "another"}).status == 422
    assert owner.post(page, {"do": "delete", "name": there.name}).status == 303
    assert owner.get(page).status == 404
    removed = owner.get("/n/acme").body.decode()
    pattern = (
        rf'name="repository" value="{there.name}"><input type="hidden" name="id" value="(\d+)"'
    )
    number = re.search(pattern, removed)
    assert number is not None
    fields = {"do": "restore", "repository": there.name, "id": number[1]}
    assert owner.post("/n/acme", fields).status == 303
    assert owner.get(page).status == 200


def test_what_a_repository_is_about(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    there.push_image("1.0")
    page = f"/r/{there.name}/-/about"
    readme = "# Shop\r\n\r\n<script>alert(1)</script> ![x](https://evil.example/a.png) *here*"
    fields = {"do": "change", "description": "A <b>shop", "readme": readme, "version": "0"}
    assert owner.post(page, fields).status == 303
    shown = owner.get(page).body.decode()
    assert "<h2>Shop</h2>" in shown
    assert "<em>here</em>" in shown
    assert "<script>alert" not in shown
    assert "<img" not in shown
    assert "<b>" not in shown
    assert "evil.example/a.png" not in shown.partition("<details")[0].partition("<main")[2]
    told = there.registry.get(f"/api/v1/repositories/{there.name}/-/about").json()
    assert told["readme"] == readme.replace("\r\n", "\n")
    assert owner.post(page, fields).status == 412
    assert owner.post(page, {**fields, "version": "1", "readme": "x" * 65_537}).status == 422
    assert owner.post(page, {**fields, "version": "1", "description": "x" * 201}).status == 422


def test_teams_robots_and_grants(cast: Cast, owner: Browser) -> None:
    team, robot = unique("team"), unique("bot")
    base = "/n/acme/-"
    assert owner.post(f"{base}/teams", {"do": "create", "name": team}).status == 303
    add = {"do": "add", "account": "stranger"}
    assert owner.post(f"{base}/teams/{team}", add).status == 303
    grant = {"do": "grant", "who": f"acme/{team}", "role": "reader", "repository": "acme/private"}
    assert owner.post(f"{base}/access", grant).status == 303
    stranger = cast.asked_by["stranger"]
    assert stranger.get("/v2/acme/private/tags/list").status == 200
    asked = owner.get("/access?who=stranger&action=pull&where=acme/private").body.decode()
    assert "✓ Yes" in asked
    assert f"acme/{team}" in asked
    assert owner.post(f"{base}/access", {**grant, "do": "revoke"}).status == 303
    assert stranger.get("/v2/acme/private/tags/list").status == 401
    assert owner.post(f"{base}/teams/{team}", {**add, "do": "remove"}).status == 303
    assert owner.post(f"{base}/teams/{team}", {"do": "delete"}).status == 303
    assert owner.post(f"{base}/robots", {"do": "create", "name": robot}).status == 303
    made = owner.post(f"{base}/robots/{robot}", {"do": "create-token", "name": "x", "days": "1"})
    assert made.status == 200
    assert b"mrg_" in made.body
    assert made["Cache-Control"] == "no-store"
    number = re.findall(r'name="token" value="(\d+)"', made.body.decode())[-1]
    rotated = owner.post(f"{base}/robots/{robot}", {"do": "rotate", "token": number}).body.decode()
    secrets = [re.findall(r"mrg_\w{20,}", text)[0] for text in (made.body.decode(), rotated)]
    assert secrets[0] != secrets[1]
    assert "The one before goes on being good, and ends " in rotated
    for secret in secrets:
        Api(cast.server.url, secret).get("/whoami").expect(200)
    change = {"do": "enable", "enabled": "no"}
    assert owner.post(f"{base}/robots/{robot}", change).status == 303
    assert owner.post(f"{base}/robots/{robot}", {"do": "delete"}).status == 303
    assert owner.get(f"{base}/robots/{robot}").status == 404


def test_tokens_are_rotated_and_revoked(owner: Browser) -> None:
    made = owner.post("/tokens", {"do": "create", "name": unique(), "days": "1"}).body.decode()
    number = re.findall(r'name="token" value="(\d+)"', made)[-1]
    rotated = owner.post("/tokens", {"do": "rotate", "token": number})
    assert rotated.status == 200
    assert b"mrg_" in rotated.body
    assert owner.post("/tokens", {"do": "revoke", "token": number}).status == 303
    assert owner.post("/tokens", {"do": "revoke", "token": "x"}).status == 422
    no_action = {"do": "create", "name": "x", "days": "1", "pattern": "acme/**"}
    assert owner.post("/tokens", no_action).status == 422


def test_administration(cast: Cast) -> None:
    browser = Browser(cast).sign_in("administrator")
    page = "/admin/accounts"
    name = unique()
    made = browser.post(page, {"do": "link", "kind": "invitation", "name": name})
    assert made.status == 200
    assert re.search(rb"http://[\w.:]+/link#mrg_", made.body)
    # One that was made by mistake is withdrawn: it is no longer listed, and nobody spends it.
    secret = re.findall(rb"/link#(mrg_\w+)", made.body)[0].decode()
    (shown,) = [each for each in _items(browser, page, "links") if each["name"] == name]
    assert (shown["kind"], shown["created_by"]) == ("invitation", "administrator")
    assert secret not in json.dumps(shown)
    asking = Api(cast.server.url)
    asking.post("/links/find", {"secret": secret}).expect(200)
    assert browser.post(page, {"do": "withdraw", "link": str(shown["id"])}).status == 303
    assert name not in {each["name"] for each in _items(browser, page, "links")}
    asking.post("/links/find", {"secret": secret}).expect(404)
    assert browser.post(page, {"do": "withdraw", "link": str(shown["id"])}).status == 404
    assert browser.post(page, {"do": "withdraw", "link": "x"}).status == 404
    change = {"do": "change", "name": "bystander"}
    assert browser.post(page, {**change, "to": "disabled"}).status == 303
    assert browser.post(page, {**change, "to": "enabled"}).status == 303
    assert browser.post(page, {**change, "to": "administrator"}).status == 303
    assert browser.post(page, {**change, "to": "account"}).status == 303
    assert browser.post("/storage/clean-up", {"do": "start"}).status == 303
    assert (
        browser.post("/n", {"do": "create", "name": unique(), "visibility": "private"}).status
        == 303
    )


def test_issuers_are_registered_and_forgotten(cast: Cast) -> None:
    """With keys that it is given, or has fetched; of a kind that there is."""
    browser, page = Browser(cast).sign_in("administrator"), "/admin/issuers"
    keys = json.dumps({"keys": [new_key("ES256", "key").as_dict(private=False)]})
    url = f"https://{unique()}.example"
    asked = {"do": "create", "url": url, "kind": "jenkins", "jwks": keys}
    for bad in ({"kind": "kiosk"}, {"url": "x"}, {"url": f"{url} x"}, {"jwks": "{}"}, {"url": ""}):
        assert browser.post(page, {**asked, **bad}).status == 422, bad
    shown = _items(browser, page, "issuers")
    assert [each for each in shown if url in each["url"]] == []
    assert browser.post(page, asked).status == 303
    (made,) = [each for each in _items(browser, page, "issuers") if each["url"] == url]
    assert (made["kind"], made["shared"], made["enabled"]) == ("jenkins", False, True)
    assert browser.post(page, asked).status == 409
    assert browser.post(page, {"do": "remove", "issuer": str(made["id"])}).status == 303
    assert [each for each in _items(browser, page, "issuers") if each["url"] == url] == []


def test_providers_are_registered_and_forgotten(cast: Cast) -> None:
    """Once they answer; what they have given us as a secret is on no page."""
    browser, page = Browser(cast).sign_in("administrator"), "/admin/providers"
    secret = "a-secret-of-theirs"
    with IdentityProvider() as provider:
        asked = {"do": "create", "name": unique("p"), "url": provider.url, "client": CLIENT}
        away = {**asked, "url": "http://127.0.0.1:1"}
        assert browser.post(page, away).status == 422
        assert browser.post(page, {**asked, "secret": secret}).status == 303
    (made,) = [e for e in _items(browser, page, "providers") if e["name"] == asked["name"]]
    assert (made["url"], made["client_id"]) == (provider.url, CLIENT)
    assert secret.encode() not in browser.get(page).body
    assert asked["name"].encode() in Browser(cast).get("/sign-in").body
    assert browser.post(page, {"do": "remove", "name": asked["name"]}).status == 303
    assert asked["name"].encode() not in Browser(cast).get("/sign-in").body


def _items(browser: Browser, page: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get(f"{page}.json").expect(200).json()[name]
    return found


def test_another_password_ends_the_session(cast: Cast) -> None:
    browser = Browser(cast).sign_in("bystander")
    new = "another long password"
    fields = {"do": "password", "password": PASSWORD, "new": new, "again": new}
    assert browser.post("/account", {**fields, "again": "x"}).status == 422
    assert browser.post("/account", {**fields, "password": "wrong"}).status == 403
    assert browser.post("/account", fields).status == 303
    assert browser.get("/account").status == 303


def test_a_ci_is_connected_and_told_what_to_do(cast: Cast, owner: Browser) -> None:
    """By its repository and that one's number; the rules are those of the command line."""
    administrator = Browser(cast).sign_in("administrator")
    keys = json.dumps({"keys": [new_key("ES256", "key").as_dict(private=False)]})
    urls = {kind: f"https://{unique()}.example" for kind in ("github", "gitlab", "jenkins")}
    for kind, url in urls.items():
        asked = {"do": "create", "url": url, "kind": kind, "jwks": keys}
        assert administrator.post("/admin/issuers", asked).status == 303
    page, audience = "/n/acme/-/trusts", "https://registry.example"
    said: dict[str, dict[str, str]] = {
        "github": {"repository": "acme/shop", "repository_id": "77", "branch": "main"},
        "gitlab": {"project": "group/shop", "project_id": "20", "protected": "yes"},
        "jenkins": {"jobs": "https://jenkins.example/job/shop/"},
    }
    rules = {
        "github": presets.github("acme/shop", "77", branch="main"),
        "gitlab": presets.gitlab("group/shop", "20", ref_protected=True),
        "jenkins": presets.jenkins(["https://jenkins.example/job/shop/"]),
    }
    lines = {
        "github": f"audience={audience}",
        "gitlab": f"aud: {audience}",
        "jenkins": "withCredentials",
    }
    for kind, fields in said.items():
        asked = {"do": "create", "kind": kind, "issuer": urls[kind], "robot": "ci", **fields}
        answer = owner.post(page, {**asked, "audience": audience})
        place, _, done = answer["Location"].partition("?")
        assert (answer.status, done) == (303, "done=created"), answer.body
        told = json.loads(owner.get(f"{place}.json").expect(200).body)
        assert (told["kind"], told["robot"], told["audience"]) == (kind, "acme+ci", audience)
        assert told["rules"] == [
            {"claim": each.claim, "patterns": list(each.patterns)} for each in rules[kind]
        ]
        text = html.unescape(owner.get(place).body.decode())
        assert lines[kind] in text
        assert "docker login --username acme+ci --password-stdin" in text
        end = {"do": "remove", "trust": place.rpartition("/")[2]}
        assert owner.post(page, end).status == 303
    bad = {"do": "create", "kind": "github", "issuer": urls["github"], "robot": "ci"}
    assert owner.post(page, {**bad, "repository": "acme/shop"}).status == 422
    assert owner.post(page, {**bad, "kind": "jenkins", "jobs": " "}).status == 422
