"""The token service, and what bearer tokens are good for (protocol.md 3.1 and 3.2)."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from conftest import PASSWORD
from members import MEMBERS_PASSWORD, Member, Members, now
from moorage.auth.bearers import Access
from moorage.model.access import Role, Scope
from process import Server
from registry import (
    OCI_MANIFEST,
    Answer,
    Registry,
    Repository,
    absent_digest,
    basic,
    digest_of,
    requirement,
    unique,
    with_query,
)

pytestmark = pytest.mark.metadata

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask(
    registry: Registry, *scopes: str, who: tuple[str, str] | None = None, **more: str
) -> Answer:
    """GET a token, as docker does."""
    query = urlencode([*(("scope", scope) for scope in scopes), *more.items()])
    headers = {"Authorization": basic(*who)} if who else {}
    return registry.get(f"/token?{query}", headers)


def post(registry: Registry, *scopes: str, **fields: str) -> Answer:
    """POST for a token, as containerd does."""
    form = urlencode([*fields.items(), *(("scope", scope) for scope in scopes)])
    return registry.post("/token", form.encode(), FORM)


def bearer(answer: Answer) -> dict[str, str]:
    """Return the header that carries the token."""
    return {"Authorization": f"Bearer {answer.expect(200).json()['token']}"}


def claims(answer: Answer) -> dict[str, Any]:
    """Return what the token says."""
    payload = answer.expect(200).json()["token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))


def challenge(answer: Answer) -> dict[str, str]:
    """Return the one challenge of a 401, by its parameters."""
    found = answer.expect(401)["WWW-Authenticate"]
    parameter = r'[a-z]+="[^"\\]*"'
    assert re.fullmatch(rf"Bearer {parameter}(,{parameter})*", found), found
    assert "no-store" in answer["Cache-Control"]
    return dict(re.findall(r'([a-z]+)="([^"]*)"', found))


@pytest.fixture
def home() -> str:
    """Return a namespace that no other test knows."""
    return unique("ns")


@pytest.fixture
def writer(members: Members, home: str) -> Member:
    """Return somebody who may push to that namespace."""
    return members.account().allow(home, Role.WRITER)


@pytest.fixture
def image(administrator: Registry, home: str) -> Repository:
    """Return a private repository there with an image."""
    repository = administrator.repository(f"{home}/app")
    repository.push_image("1")
    return repository


# The challenge.


@requirement("Q-01", "Q-12")
@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", None),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/a/b/_oci/ext/discover", "repository:a/b:pull"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", "/v2/a/b/manifests/1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/1", "repository:a/b:pull"),
        ("GET", f"/v2/a/b/blobs/{absent_digest()}", "repository:a/b:pull"),
        ("HEAD", f"/v2/a/b/blobs/{absent_digest()}", "repository:a/b:pull,push"),
        ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=c/d", "repository:a/b:pull,push"),
        ("GET", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("HEAD", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("PATCH", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
        ("GET", f"/v2/a/b/referrers/{absent_digest()}", "repository:a/b:pull"),
    ],
)
def test_nobody_is_told_where_and_what_to_ask(
    administered: Registry, method: str, path: str, scope: str | None
) -> None:
    """One Bearer challenge, with a reachable realm, and no error before there was a credential."""
    found = challenge(administered.request(method, path))
    assert found.pop("realm") == f"{administered.url}/token"
    assert found.pop("service") == administered.authority
    assert found.pop("scope", None) == scope
    assert found == {}
    # A token that is no good gets the same scope, and is told apart.
    bad = {"Authorization": "Bearer abc.def.ghi"}
    found = challenge(administered.request(method, path, bad))
    assert found.get("scope") == scope
    assert found["error"] == "invalid_token"


def test_the_word_that_some_clients_look_for_is_nowhere(administered: Registry) -> None:
    """The conformance suite takes the last of `bearer` and `basic` that it finds."""
    assert "basic" not in administered.get("/v2/")["WWW-Authenticate"].lower()


@pytest.mark.parametrize("host", ['x",error="y', "evil.example/x", "a@b"])
def test_no_host_ends_the_quotes(administered: Registry, host: str) -> None:
    """A header that is no host is answered without it."""
    answer = administered.get("/v2/", {"Host": host})
    answer.expect(400)
    assert host not in str(answer.headers)


@requirement("S-10")
def test_the_setting_wins_over_the_host(
    server: Callable[..., Server], administered_server: Server
) -> None:
    """With `url`, no request says where tokens are."""
    started = server(env={**administered_server.env, "MOORAGE_URL": "https://registry.example"})
    registry = Registry(started.url)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    assert challenge(registry.get("/v2/", forged)) == {
        "realm": "https://registry.example/token",
        "service": "registry.example",
    }
    said = claims(ask(registry, who=("admin", PASSWORD)))
    assert (said["iss"], said["aud"]) == ("https://registry.example", "registry.example")


# Asking for a token.


@requirement("Q-13")
def test_a_token_comes_with_all_that_clients_read(
    administered: Registry, writer: Member, home: str
) -> None:
    """Both names, the time it is good for, since when, and what for."""
    answer = ask(administered, f"repository:{home}/app:push,pull", who=writer.credentials)
    told = answer.expect(200).json()
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer["Cache-Control"]
    assert told["token"] == told["access_token"]
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == 300
    assert abs(time.time() - _seconds(told["issued_at"])) < 5
    assert told["scope"] == f"repository:{home}/app:pull,push"
    assert "refresh_token" not in told
    assert len(answer.body) < 64 << 10
    said = claims(answer)
    assert said["iss"] == administered.url
    assert said["aud"] == administered.authority
    assert said["sub"] == str(writer.number)
    assert said["exp"] - said["iat"] == 300
    assert said["access"] == [
        {"type": "repository", "name": f"{home}/app", "actions": ["pull", "push"]}
    ]
    assert claims(ask(administered, who=writer.credentials))["jti"] != said["jti"]


def test_the_keys_are_public(administered: Registry, writer: Member) -> None:
    """Whoever trusts this registry verifies its tokens with them."""
    answer = administered.get("/.well-known/jwks.json").expect(200)
    assert answer["Cache-Control"] == "public, max-age=300"
    header = ask(administered, who=writer.credentials).json()["token"].split(".")[0]
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    assert kid in [key["kid"] for key in answer.json()["keys"]]
    assert all("d" not in key for key in answer.json()["keys"])
    assert administered.head("/.well-known/jwks.json").expect(200).body == b""
    assert administered.post("/.well-known/jwks.json").expect(405)["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "scopes",
    [
        ["repository:{0}/a:pull,push", "repository:{0}/b:pull"],
        ["repository:{0}/a:push,pull repository:{0}/b:pull"],
        ["repository:{0}/b:pull", "repository:{0}/a:pull repository:{0}/a:push"],
        ["repository:{0}/a:pull,push", "repository:{0}/b:pull", "repository:{0}/a:pull"],
    ],
)
def test_every_scope_counts(
    administered: Registry, writer: Member, home: str, scopes: list[str]
) -> None:
    """Repeated, in one text, in any order: a mount needs both of its repositories."""
    asked = [scope.format(home) for scope in scopes]
    for answer in (
        ask(administered, *asked, who=writer.credentials),
        post(
            administered,
            *asked,
            grant_type="password",
            username=writer.name,
            password=MEMBERS_PASSWORD,
        ),
    ):
        granted = {each["name"]: each["actions"] for each in claims(answer)["access"]}
        assert granted == {f"{home}/a": ["pull", "push"], f"{home}/b": ["pull"]}


@requirement("S-22")
def test_what_is_not_allowed_is_left_out(
    administered: Registry, members: Members, home: str
) -> None:
    """A reader that asks for everything gets pulls; a stranger gets an empty token."""
    everything = [f"repository:{home}/app:pull,push,delete,*", "registry:catalog:*", "x:y:z"]
    reader = members.account().allow(home, Role.READER)
    answer = ask(administered, *everything, who=reader.credentials)
    assert answer.json()["scope"] == f"repository:{home}/app:pull registry:catalog:*"
    stranger = members.account()
    assert ask(administered, everything[0], who=stranger.credentials).json()["scope"] == ""
    owner = members.account().allow(home, Role.OWNER)
    assert claims(ask(administered, f"repository:{home}/app:*", who=owner.credentials))[
        "access"
    ] == [{"type": "repository", "name": f"{home}/app", "actions": ["pull", "push", "delete"]}]


@pytest.mark.parametrize(
    "scope", ["", "nonsense", "repository:A/B:pull", "repository:h.example:5000/a:pull", ":::"]
)
def test_an_odd_scope_is_no_error(administered: Registry, writer: Member, scope: str) -> None:
    """Nothing comes of it, and the token is good."""
    answer = ask(administered, scope, who=writer.credentials)
    assert claims(answer)["access"] == []
    administered.get("/v2/", bearer(answer)).expect(200)


@requirement("Q-14", "S-40")
@pytest.mark.parametrize(
    "who",
    [
        ("nobody", "wrong"),
        ("admin", "wrong"),
        ("admin", ""),
        ("", "x"),
        ("a\0b", "x"),
        ("x", "mrg_x"),
    ],
)
def test_wrong_credentials_are_401(administered: Registry, who: tuple[str, str]) -> None:
    """In words that docker shows, without a challenge, by GET and by POST."""
    asked = ask(administered, "repository:a/b:pull", who=who)
    sent = post(administered, grant_type="password", username=who[0], password=who[1])
    for answer in (asked, sent):
        answer.expect(401, "UNAUTHORIZED")
        assert answer.get("WWW-Authenticate") is None
        assert answer.json()["error"] == "invalid_grant"
        assert "token" not in answer.json()


def test_nobody_gets_a_token_for_what_is_public(
    administered: Registry, members: Members, image: Repository
) -> None:
    """Private repositories and those that are not there come to the same."""
    scope = f"repository:{image.name}:pull"
    for answer in (
        ask(administered, scope),
        ask(administered, f"repository:{image.name}-missing:pull"),
        post(administered, scope),
        administered.post("/token", b""),
    ):
        assert answer.expect(200).json()["scope"] == ""
        assert claims(answer)["sub"] == ""
    members.show(image.name, "public")
    for answer in (
        ask(administered, scope),
        post(administered, scope),
        ask(administered, scope, who=("", "")),
    ):
        assert answer.expect(200).json()["scope"] == scope
        administered.get(image.path("manifests/1"), bearer(answer)).expect(200)
        administered.post(image.path("blobs/uploads/"), None, bearer(answer)).expect(401)
    administered.get(image.path("manifests/1")).expect(200)
    assert ask(administered, f"repository:{image.name}:pull,push").json()["scope"] == scope


@requirement("Q-01")
def test_the_version_check_is_for_those_who_are_signed_in(
    administered: Registry, members: Members, image: Repository
) -> None:
    """Even where anonymous pulls work, clients must be told to send credentials."""
    members.show(image.name, "public")
    challenge(administered.get("/v2/"))
    challenge(administered.get("/v2/", bearer(ask(administered, f"repository:{image.name}:pull"))))


@requirement("Q-02")
def test_a_token_without_scopes_passes_the_version_check(
    administered: Registry, members: Members
) -> None:
    """What docker login asks for."""
    stranger = members.account()
    query = {"account": stranger.name, "client_id": "docker", "offline_token": "true"}
    answer = ask(administered, who=stranger.credentials, **query)
    administered.get("/v2/", bearer(answer)).expect(200)
    assert "refresh_token" not in answer.json()


@requirement("Q-32")
def test_who_the_client_says_it_is_means_nothing(administered: Registry, writer: Member) -> None:
    """`account` and `service` are not believed."""
    answer = ask(administered, who=writer.credentials, account="admin", service="other.example")
    assert claims(answer)["sub"] == str(writer.number)
    assert claims(answer)["aud"] == administered.authority
    assert claims(ask(administered, account="admin"))["sub"] == ""


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([("grant_type", "client_credentials")], "unsupported_grant_type"),
        ([("grant_type", "authorization_code")], "unsupported_grant_type"),
        ([("grant_type", "password"), ("grant_type", "password")], "invalid_request"),
        ([("username", "a"), ("username", "b")], "invalid_request"),
    ],
)
def test_an_odd_grant_is_400(
    administered: Registry, fields: list[tuple[str, str]], error: str
) -> None:
    """In the words of OAuth 2, and in the envelope."""
    answer = administered.post("/token", urlencode(fields).encode(), FORM).expect(
        400, "UNSUPPORTED"
    )
    assert answer.json()["error"] == error


def test_a_body_that_is_no_form_is_400(administered: Registry) -> None:
    """Neither JSON, nor bytes that are no text, nor thousands of fields."""
    for body, headers in (
        (b"{}", {"Content-Type": "application/json"}),
        (b"username=%ff", FORM),
        (b"\xff", FORM),
        (b"&".join(b"scope=a" for _ in range(1_000)), FORM),
    ):
        answer = administered.post("/token", body, headers).expect(400)
        assert answer.json()["error"] == "invalid_request"


def test_a_large_body_is_not_read(administered: Registry) -> None:
    """A token request is small."""
    administered.post("/token", b"a" * (65 << 10), FORM).expect(413)
    administered.post("/token", [b"a" * 60_000, b"a" * 60_000], FORM).expect(413)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_405(administered: Registry, method: str) -> None:
    """The service has two."""
    assert administered.request(method, "/token").expect(405)["Allow"] == "GET, POST"


def test_a_bearer_token_gets_no_other_one(administered: Registry, writer: Member) -> None:
    """Or it would never run out."""
    headers = bearer(ask(administered, who=writer.credentials))
    administered.get("/token", headers).expect(401)
    administered.post("/token", b"", {**FORM, **headers}).expect(401)


def test_before_there_are_accounts_there_are_no_tokens(registry: Registry) -> None:
    """In local mode nothing asks for them."""
    registry.get("/token").expect(404)
    registry.post("/token", b"grant_type=password&username=a&password=b", FORM).expect(404)
    registry.get("/v2/", {"Authorization": "Bearer abc.def.ghi"}).expect(200)


# What a token is good for.


@requirement("S-21")
def test_a_token_is_for_what_it_was_asked_for(
    administered: Registry, members: Members, image: Repository, home: str
) -> None:
    """The owner's token for pulls does nothing else, and nothing elsewhere."""
    owner = members.account().allow(home, Role.OWNER)
    headers = bearer(ask(administered, f"repository:{image.name}:pull", who=owner.credentials))
    administered.get(image.path("manifests/1"), headers).expect(200)
    for method, path, scope in (
        ("POST", image.path("blobs/uploads/"), f"repository:{image.name}:pull,push"),
        ("PUT", image.path("manifests/1"), f"repository:{image.name}:pull,push"),
        ("DELETE", image.path("manifests/1"), f"repository:{image.name}:delete"),
        ("GET", f"/v2/{image.name}c/manifests/1", f"repository:{image.name}c:pull"),
        ("GET", f"/v2/{image.name}/c/manifests/1", f"repository:{image.name}/c:pull"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ):
        found = challenge(administered.request(method, path, headers))
        assert found["error"] == "insufficient_scope", path
        assert found["scope"] == scope
        wider = bearer(ask(administered, scope, who=owner.credentials))
        again = administered.request(method, path, wider)
        assert again.status != 401, path
    administered.get(f"/v2/{image.name.upper()}/manifests/1", headers).expect(400, "NAME_INVALID")


def test_whoever_lacks_the_right_reads_why(
    administered: Registry, members: Members, image: Repository
) -> None:
    """Never `insufficient_scope`, by which clients go round in circles; HEAD of a blob is 404."""
    stranger = members.account()
    for name in (image.name, f"{image.name}-missing"):
        headers = bearer(
            ask(administered, f"repository:{name}:pull,push", who=stranger.credentials)
        )
        for credentials in (headers, {"Authorization": basic(*stranger.credentials)}):
            for method, path, action in (
                ("GET", "manifests/1", "pull"),
                ("HEAD", "manifests/1", "pull"),
                ("GET", f"blobs/{absent_digest()}", "pull"),
                ("POST", "blobs/uploads/", "push"),
                ("PUT", "manifests/1", "push"),
                ("DELETE", "manifests/1", "delete"),
            ):
                answer = administered.request(method, f"/v2/{name}/{path}", credentials)
                told = challenge(answer)["error"]
                assert told == f"{stranger.name} has no {action} right on {name}"
                if method != "HEAD":
                    answer.expect(401, "DENIED")
            hidden = administered.head(f"/v2/{name}/blobs/{absent_digest()}", credentials)
            assert hidden.expect(404).body == b""
            assert hidden.get("WWW-Authenticate") is None


@requirement("S-28")
def test_a_right_that_is_taken_is_gone_at_once(
    administered: Registry, members: Members, writer: Member, image: Repository
) -> None:
    """Tokens that were given before are no use."""
    headers = bearer(
        ask(administered, f"repository:{image.name}:pull,push", who=writer.credentials)
    )
    administered.get(image.path("manifests/1"), headers).expect(200)
    writer.disallow()
    challenge(administered.get(image.path("manifests/1"), headers))
    challenge(administered.post(image.path("blobs/uploads/"), None, headers))
    assert (
        ask(administered, f"repository:{image.name}:pull", who=writer.credentials).json()["scope"]
        == ""
    )


@requirement("S-28")
@pytest.mark.parametrize("how", ["disabled", "ended", "revoked"])
def test_what_has_ended_is_no_good(
    administered: Registry, members: Members, writer: Member, image: Repository, how: str
) -> None:
    """Neither for a request, nor for the next token, nor on an upload's own address."""
    secret = writer.token()
    who = ("anything", secret) if how == "revoked" else writer.credentials
    scope = f"repository:{image.name}:pull,push"
    headers = bearer(ask(administered, scope, who=who))
    session = administered.post(image.path("blobs/uploads/"), None, headers).expect(202)["Location"]
    {
        "disabled": lambda: writer.enable(enabled=False),
        "ended": writer.end_credentials,
        "revoked": lambda: members.revoke(secret),
    }[how]()
    for method, path in (
        ("GET", image.path("manifests/1")),
        ("PATCH", session),
        ("GET", "/v2/_catalog"),
    ):
        found = challenge(administered.request(method, path, headers))
        assert found["error"] == "invalid_token"
    if how != "ended":  # the password itself is as good as before
        ask(administered, scope, who=who).expect(401, "UNAUTHORIZED")


def test_a_token_as_the_password_confines_its_bearer(
    administered: Registry, writer: Member, image: Repository, home: str
) -> None:
    """Any user name will do; what the token is not for is not granted, nor done."""
    secret = writer.token(Scope(image.name, frozenset({"pull"})))
    scope = f"repository:{image.name}:pull,push"
    for answer in (
        ask(administered, scope, f"repository:{home}/b:pull", who=("oauth2accesstoken", secret)),
        post(administered, scope, grant_type="password", username="x", password=secret),
    ):
        assert answer.expect(200).json()["scope"] == f"repository:{image.name}:pull"
        administered.get(image.path("manifests/1"), bearer(answer)).expect(200)
    told = administered.post(
        image.path("blobs/uploads/"), None, {"Authorization": f"Bearer {secret}"}
    )
    assert challenge(told)["error"].startswith(f"the token of {writer.name} is not for push")


def test_a_bearer_token_ends_with_the_token_behind_it(
    administered: Registry, writer: Member
) -> None:
    """It is never good for longer."""
    secret = writer.token(expires_at=now() + 90_000)
    answer = ask(administered, who=("x", secret))
    assert 80 <= answer.expect(200).json()["expires_in"] <= 90
    ask(administered, who=("x", writer.token(expires_at=now() - 1))).expect(401)


def test_a_token_is_for_the_name_that_it_was_got_by(administered: Registry, writer: Member) -> None:
    """Another registry that happens to have our keys does not take it."""
    headers = bearer(ask(administered, who=writer.credentials))
    other = {**headers, "Host": f"other.example:{administered.port}"}
    assert challenge(administered.get("/v2/", other))["error"] == "invalid_token"


def test_a_whole_push_and_a_mount_by_bearer(
    administered: Registry, administrator: Registry, writer: Member, image: Repository, home: str
) -> None:
    """One token for both repositories, as clients ask for it, or for the target alone."""
    blob = image.push_blob()
    for scopes in (
        [f"repository:{home}/to:pull,push", f"repository:{image.name}:pull"],
        [f"repository:{home}/to2:pull,push"],
    ):
        name = scopes[0].split(":")[1]
        headers = bearer(ask(administered, *scopes, who=writer.credentials))
        mounted = f"/v2/{name}/blobs/uploads/?mount={blob['digest']}&from={image.name}"
        administered.post(mounted, None, headers).expect(201)
        config = b"{}"
        location = administered.post(f"/v2/{name}/blobs/uploads/", None, headers).expect(202)[
            "Location"
        ]
        done = with_query(location, digest=digest_of(config))
        administered.put(done, config, headers).expect(201)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": "a/b", "digest": digest_of(config), "size": 2},
                "layers": [blob],
            }
        ).encode()
        target = f"/v2/{name}/manifests/1"
        administered.put(target, manifest, {**headers, "Content-Type": OCI_MANIFEST}).expect(201)
        assert administered.get(target, headers).expect(200).body == manifest


@requirement("S-37")
def test_another_subjects_token_does_nothing_to_an_upload(
    administered: Registry, members: Members, writer: Member, home: str
) -> None:
    """The address of a session is no credential."""
    scope = f"repository:{home}/app:pull,push"
    other = members.account().allow(home, Role.WRITER)
    mine, theirs = (
        bearer(ask(administered, scope, who=each.credentials)) for each in (writer, other)
    )
    session = administered.post(f"/v2/{home}/app/blobs/uploads/", None, mine).expect(202)[
        "Location"
    ]
    administered.patch(session, b"abc", mine).expect(202)
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        path = with_query(session, digest=absent_digest()) if method == "PUT" else session
        administered.request(method, path, theirs).expect(404, "BLOB_UPLOAD_UNKNOWN")
        challenge(administered.request(method, path))
    assert administered.get(session, mine).expect(204)["Range"] == "0-2"


@pytest.mark.parametrize("late", [0, 11 * 3600])
def test_an_upload_goes_on_after_its_token(
    administered: Registry, members: Members, writer: Member, home: str, late: int
) -> None:
    """On its own address, for its own subject, for twelve hours, while the right lasts."""
    name, content = f"{home}/app", b"abcdef"
    fresh = bearer(ask(administered, f"repository:{name}:pull,push", who=writer.credentials))
    session = administered.post(f"/v2/{name}/blobs/uploads/", None, fresh).expect(202)["Location"]

    def of_the_past(member: Member, *actions: str, seconds: int = late + 400) -> dict[str, str]:
        access = Access("repository", name, actions)
        return {
            "Authorization": f"Bearer {members.bearer(member, administered.url, access, seconds)}"
        }

    old = of_the_past(writer, "pull", "push")
    administered.patch(session, content[:3], old).expect(202)
    administered.get(session, old).expect(204)
    for target, method in (
        (f"/v2/{name}/blobs/uploads/", "POST"),
        (f"/v2/{name}/manifests/1", "GET"),
        (f"/v2/{name}/manifests/1", "PUT"),
        ("/v2/", "GET"),
    ):
        assert challenge(administered.request(method, target, old))["error"] == "invalid_token"
    too_old = of_the_past(writer, "pull", "push", seconds=12 * 3600 + 400)
    assert challenge(administered.patch(session, b"", too_old))["error"] == "invalid_token"
    for_pulls = of_the_past(writer, "pull")
    assert challenge(administered.patch(session, b"", for_pulls))["error"] == "insufficient_scope"
    other = members.account().allow(home, Role.WRITER)
    administered.patch(session, b"", of_the_past(other, "pull", "push")).expect(404)
    writer.disallow()
    challenge(administered.patch(session, content[3:], old))
    writer.allow(home, Role.WRITER)
    done = with_query(session, digest=digest_of(content))
    administered.put(done, content[3:], old).expect(201)
    writer.enable(enabled=False)
    challenge(administered.get(session, old))


# Refresh tokens.


def begin(registry: Registry, who: tuple[str, str]) -> str:
    """Return a refresh token, as clients get it that ask for one."""
    fields = {"grant_type": "password", "username": who[0], "password": who[1]}
    return post(registry, access_type="offline", **fields).expect(200).json()["refresh_token"]


def renew(registry: Registry, text: str, *scopes: str) -> Answer:
    """Ask for a token by a refresh token."""
    return post(registry, *scopes, grant_type="refresh_token", refresh_token=text)


def test_a_refresh_token_is_good_once(
    administered: Registry, writer: Member, image: Repository
) -> None:
    """Each use brings the next one; the use of a spent one ends them all."""
    scope = f"repository:{image.name}:pull,push,delete"
    first = begin(administered, writer.credentials)
    assert first.startswith("mrr_")
    answer = renew(administered, first, scope)
    assert answer.expect(200).json()["scope"] == f"repository:{image.name}:pull,push"
    administered.get(image.path("manifests/1"), bearer(answer)).expect(200)
    second = answer.json()["refresh_token"]
    third = renew(administered, second).expect(200).json()["refresh_token"]
    assert len({first, second, third}) == 3
    other = begin(administered, writer.credentials)
    renew(administered, second).expect(401, "UNAUTHORIZED")
    for spent in (first, second, third):
        assert renew(administered, spent).expect(401).json()["error"] == "invalid_grant"
    renew(administered, other).expect(200)


@requirement("S-29")
@pytest.mark.parametrize("how", ["disabled", "ended", "revoked"])
def test_a_refresh_token_ends_with_what_began_it(
    administered: Registry, members: Members, writer: Member, how: str
) -> None:
    """A new password, a disabling, a revocation: nothing goes on from before."""
    secret = writer.token()
    text = begin(administered, ("x", secret) if how == "revoked" else writer.credentials)
    {
        "disabled": lambda: writer.enable(enabled=False),
        "ended": writer.end_credentials,
        "revoked": lambda: members.revoke(secret),
    }[how]()
    renew(administered, text).expect(401, "UNAUTHORIZED")
    renew(administered, text).expect(401, "UNAUTHORIZED")


@requirement("S-29")
def test_a_refresh_token_is_never_wider_than_its_beginning(
    administered: Registry, writer: Member, image: Repository, home: str
) -> None:
    """Confined as the token that it began with, however often it is renewed."""
    secret = writer.token(Scope(image.name, frozenset({"pull"})))
    text = begin(administered, ("x", secret))
    for _ in range(3):
        answer = renew(
            administered, text, f"repository:{image.name}:*", f"repository:{home}/b:pull"
        )
        assert answer.expect(200).json()["scope"] == f"repository:{image.name}:pull"
        text = answer.json()["refresh_token"]


@pytest.mark.parametrize("text", ["", "mrr_", "mrr_" + "a" * 43, "x\0y", "mrg_" + "0" * 38])
def test_what_is_no_refresh_token_is_401(administered: Registry, text: str) -> None:
    """In one text."""
    renew(administered, text).expect(401, "UNAUTHORIZED")


def test_a_refresh_token_is_no_password(administered: Registry, writer: Member) -> None:
    """It is good at the token service only, and there as what it is."""
    text = begin(administered, writer.credentials)
    administered.get("/v2/", {"Authorization": f"Bearer {text}"}).expect(401)
    administered.get("/v2/", {"Authorization": basic("x", text)}).expect(401)
    renew(administered, text).expect(200)


def test_no_log_has_a_secret(
    administered: Registry, administered_server: Server, writer: Member
) -> None:
    """Neither tokens, nor passwords, nor what came in an address."""
    text = begin(administered, writer.credentials)
    answer = renew(administered, text)
    told = answer.json()
    administered.get(f"/token?password={quote(MEMBERS_PASSWORD)}&refresh_token={text}")
    administered.get("/v2/", bearer(answer)).expect(200)
    log = administered_server.log.read_text(errors="replace")
    for secret in (text, told["token"], told["refresh_token"], MEMBERS_PASSWORD):
        assert secret not in log
        assert quote(secret) not in log


def _seconds(text: str) -> float:
    import calendar

    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
