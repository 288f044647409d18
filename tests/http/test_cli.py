"""The command line on a real server: the first account, a team, its members, their rights."""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import time
from pathlib import Path

import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from api import PASSWORD, Api
from cli import Person
from process import Server
from registry import Registry, basic

pytestmark = pytest.mark.metadata


HOSTS = ("localhost", "127.0.0.1")
PAGES = ("setup", "link")


def redeem(opened: Server, link: str, name: str, password: str = PASSWORD) -> None:
    """Open a link that a command printed, and choose a password."""
    address, mark, secret = link.strip().partition("#")
    assert mark, link
    assert address in [f"http://{host}:{opened.port}/{page}" for host in HOSTS for page in PAGES]
    asked = {"secret": secret, "password": password, "name": name}
    Api(opened.url).post("/links/redeem", asked).expect(201)


@pytest.fixture(scope="module")
def alice(opened: Server, host: Person, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return the first one, who administers the registry, signed in."""
    told = host("user", "link", "alice")
    assert "first account" in told.err
    redeem(opened, told.out, "alice")
    person = Person(tmp_path_factory.mktemp("alice"))
    person(*("login", opened.address, "--user", "alice", "--password-stdin"), given=PASSWORD + "\n")
    return person


@pytest.fixture(scope="module")
def team(opened: Server, alice: Person, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return bob, whom alice has invited to the team `web/dev`, which writes to `web`."""
    alice("namespace", "create", "web")
    alice("repo", "create", "web/shop")
    alice("team", "create", "web/dev")
    alice("access", "grant", "web", "web/dev", "writer")
    link = alice("invite", "bob@example.com", "--team", "web/dev").out
    redeem(opened, link, "bob")
    person = Person(tmp_path_factory.mktemp("bob"))
    person("login", opened.address, "-u", "bob", "--password-stdin", given=PASSWORD)
    return person


def test_root_needs_no_login(opened: Server, host: Person) -> None:
    told = host("whoami", "-o", "json").json()
    assert (told["kind"], told["administrator"]) == ("operator", True)
    assert told["server"] == f"localhost:{opened.port}"


def test_a_login_keeps_a_token_and_no_password(opened: Server, alice: Person) -> None:
    directory = alice.home / ".config" / "moorage"
    kept = directory / "hosts.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert "mrg_" in kept.read_text()
    for path in (each for each in alice.home.rglob("*") if each.is_file()):
        assert PASSWORD not in path.read_text(), path
    told = alice("whoami", "-o", "json").json()
    assert (told["name"], told["kind"], told["server"]) == ("alice", "account", opened.address)
    assert told["expires_at"]


def test_a_login_tells_docker(opened: Server, alice: Person) -> None:
    config = json.loads((alice.home / ".docker" / "config.json").read_text())
    assert config == {"credHelpers": {opened.address: "moorage"}}


def test_a_second_login_ends_the_first_one_s_token(opened: Server, alice: Person) -> None:
    before = {each["id"] for each in alice("token", "list", "-o", "json").json()}
    alice("login", opened.address, "-u", "alice", "--password-stdin", given=PASSWORD)
    after = {each["id"] for each in alice("token", "list", "-o", "json").json()}
    assert len(after) == len(before)
    assert len(after - before) == 1


def test_a_wrong_password(opened: Server, alice: Person, tmp_path: Path) -> None:
    person = Person(tmp_path)
    told = person.run("login", opened.address, "-u", "alice", "--password-stdin", given="wrong")
    assert told.code == 4
    assert told.err.startswith("Error: ")
    assert "Do: With a second factor, add --code." in told.err
    assert not (tmp_path / ".config").exists()
    assert not (tmp_path / ".docker").exists()


def test_a_member_may_what_the_team_may(team: Person, alice: Person) -> None:
    assert team("repo", "create", "web/cart").out == "web/cart is there, private.\n"
    found = team("repo", "list", "-o", "json").json()
    assert [each["name"] for each in found] == ["web/cart", "web/shop"]
    shown = team("repo", "show", "web/cart", "-o", "json").json()
    assert shown["visibility"] == "private"
    refused = team.run("repo", "set", "web/cart", "--visibility", "public")
    assert refused.code == 4
    assert refused.err.startswith("Error: ")
    alice("repo", "set", "web/cart", "--visibility", "internal")
    shown = team("repo", "show", "web/cart", "-o", "json").json()
    assert shown["visibility"] == "internal"


def test_grants_come_and_go(team: Person, alice: Person) -> None:
    alice("access", "grant", "web", "bob", "maintainer")
    alice("repo", "create", "web/tools")
    alice("access", "grant", "web/tools", "bob", "owner")
    found = alice("access", "list", "web", "-o", "json").json()
    held = {(each["principal"], each["role"], each["repository"]) for each in found}
    assert held >= {
        ("alice", "owner", ""),
        ("bob", "maintainer", ""),
        ("web/dev", "writer", ""),
        ("bob", "owner", "web/tools"),
    }
    alice("access", "revoke", "web", "bob")
    alice("access", "revoke", "web/tools", "bob")
    told = alice("access", "list", "web", "-o", "plain").out
    assert "bob" not in told
    assert "web/dev\tteam\twriter" in told


def test_who_may_what_and_why(team: Person, alice: Person) -> None:
    told = alice("access", "can", "bob", "push", "web/shop", "-o", "json").json()
    assert told["allowed"]
    assert {"through": "web/dev", "role": "writer", "on": "web/**"} in told["paths"]
    told = alice("access", "can", "bob", "push", "web/shop")
    assert "by          web/dev is writer of web\n" in told.out
    told = alice.run("access", "can", "bob", "delete", "web/shop")
    assert told.code == 7
    assert "allowed     no" in told.out
    assert team("access", "can", "bob", "pull", "web/shop").out.startswith("allowed     yes")
    assert team.run("access", "can", "alice", "pull", "web/shop").code in (3, 4)
    assert "alice\taccount\towner\tweb\t" in alice("access", "report", "web", "-o", "plain").out
    rows = alice("access", "report", "web", "-o", "json").json()
    held = {(each["who"], each["role"], each["on"]) for each in rows}
    assert held >= {("alice", "owner", "web/**"), ("web/dev", "writer", "web/**")}


def test_teams_and_their_members(team: Person, alice: Person) -> None:
    alice("team", "create", "web/ops", "--description", "those who are called at night")
    alice("team", "add", "web/ops", "alice", "bob")
    members = alice("team", "list", "web/ops", "-o", "json").json()
    assert {each["name"] for each in members} == {"alice", "bob"}
    alice("team", "remove", "web/ops", "bob")
    members = alice("team", "list", "web/ops", "-o", "json").json()
    assert {each["name"] for each in members} == {"alice"}
    assert "called at night" in alice("team", "list", "web").out
    assert alice.run("team", "delete", "web/ops").code == 2  # nobody is there to say yes
    alice("team", "delete", "web/ops", "--yes")
    assert alice.run("team", "list", "web/ops").code == 3


def test_tokens(opened: Server, team: Person) -> None:
    secret = team("token", "create", "jenkins", "--may", "push:web/**", "--expires", "30d").out
    assert secret.startswith("mrg_")
    assert len(secret.splitlines()) == 1
    with_token = Api(opened.url, secret.strip())
    found = with_token.get("/whoami").expect(200).json()
    assert found["scopes"] == [{"pattern": "web/**", "actions": ["pull", "push"]}]
    (made,) = [e for e in team("token", "list", "-o", "json").json() if e["name"] == "jenkins"]
    assert "in 30 days" in team("token", "list").out
    assert secret.strip() not in team("token", "list", "-o", "json").out
    rotated = team("token", "rotate", str(made["id"]), "--overlap", "0").out.strip()
    with_token.get("/whoami").expect(401)
    assert Api(opened.url, rotated).get("/whoami").expect(200)
    (made,) = [e for e in team("token", "list", "-o", "json").json() if e["name"] == "jenkins"]
    team("token", "revoke", str(made["id"]), "--yes")
    Api(opened.url, rotated).get("/whoami").expect(401)


def test_a_token_from_a_file(opened: Server, team: Person, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(team("token", "create", "file").out)
    person = Person(tmp_path / "home")
    told = person("whoami", "--server", opened.address, "--token-file", str(path), "-o", "json")
    assert told.json()["name"] == "bob"


def test_a_login_by_token(opened: Server, team: Person, tmp_path: Path) -> None:
    secret = team("token", "create", "laptop").out
    person = Person(tmp_path)
    person("login", opened.address, "--token-stdin", "--no-docker", given=secret)
    assert person("whoami", "-o", "json").json()["name"] == "bob"
    assert not (tmp_path / ".docker").exists()
    person("logout")
    Api(opened.url, secret.strip()).get("/whoami").expect(401)
    assert person.run("logout").code == 3


def test_robots(opened: Server, alice: Person, team: Person) -> None:
    alice("robot", "create", "web+ci", "--description", "builds")
    alice("access", "grant", "web", "web+ci", "writer")
    secret = alice("robot", "token", "web+ci", "--may", "pull:web/**").out.strip()
    assert Api(opened.url, secret).get("/whoami").expect(200).json()["name"] == "web+ci"
    assert "web+ci" in alice("robot", "list", "web").out
    assert team.run("robot", "list", "web").code in (3, 4)
    alice("robot", "delete", "web+ci", "--yes")
    Api(opened.url, secret).get("/whoami").expect(401)


def test_accounts(opened: Server, alice: Person, tmp_path: Path) -> None:
    link = alice(
        "user", "add", "carol", "--full-name", "Carol \u00c9", "--email", "c@x.example"
    ).out
    redeem(opened, link, "carol")
    carol = Api(opened.url, ("carol", PASSWORD))
    (shown,) = [e for e in alice("user", "list", "-o", "json").json() if e["name"] == "carol"]
    assert (shown["full_name"], shown["administrator"]) == ("Carol \u00c9", False)
    alice("user", "disable", "carol")
    carol.get("/whoami").expect(401)
    alice("user", "enable", "carol")
    carol.get("/whoami").expect(200)
    another = "another " + PASSWORD
    redeem(opened, alice("user", "link", "carol").out, "carol", another)
    assert alice.run("user", "link", "nobody-of-that-name").code == 3
    person = Person(tmp_path)
    person("login", opened.address, "-u", "carol", "--password-stdin", given=another)
    assert person.run("user", "list").code == 4
    alice("user", "delete", "carol", "--yes")
    assert person.run("whoami").code == 4


def test_a_second_factor(opened: Server, host: Person, alice: Person, tmp_path: Path) -> None:
    """The password alone is nothing; with a code it is good for a token, and leaves no session."""
    redeem(opened, alice("user", "add", "dave").out, "dave")
    dave = Api(opened.url, ("dave", PASSWORD))
    made = dave.post("/accounts/dave/totp").expect(201).json()
    factor = pyotp.TOTP(made["secret"])
    asked = {"ticket": made["ticket"], "code": factor.now(), "password": PASSWORD}
    dave.put("/accounts/dave/totp", asked).expect(204)
    person = Person(tmp_path)
    words = ("login", opened.address, "-u", "dave", "--password-stdin")
    assert person.run(*words, given=PASSWORD).code == 4
    assert person.run(*words, "--code", "000000", given=PASSWORD).code == 4
    coming = factor.at(int(time.time()) + 30)  # each is good once, and the clock may be slow
    person(*words, "--code", coming, given=PASSWORD)
    assert person("whoami", "-o", "json").json()["name"] == "dave"
    kinds = {each["kind"] for each in person("token", "list", "-o", "json").json()}
    assert "session" not in kinds
    host("user", "mfa-reset", "dave", "--yes")
    (shown,) = [e for e in alice("user", "list", "-o", "json").json() if e["name"] == "dave"]
    assert not shown["has_totp"]


def test_a_lost_password(opened: Server, host: Person, alice: Person) -> None:
    """The last administrator's, without a look at the database."""
    told = host("user", "link", "alice")
    assert "new password" in told.err
    redeem(opened, told.out, "alice")
    found = host("user", "list", "-o", "json").json()
    assert [each["name"] for each in found if each["administrator"]] == ["alice"]


def test_the_last_administrator_stays(host: Person, alice: Person) -> None:
    told = host.run("user", "delete", "alice", "--yes", "-o", "json")
    assert told.code == 9
    error = json.loads(told.err)["error"]
    assert error["code"] == "CONFLICT"
    assert error["request_id"]


def test_root_s_changes_are_root_s(opened: Server, host: Person, alice: Person) -> None:
    """They stand under the Unix user's name, which no account can have."""
    host("namespace", "create", "ops")
    host("access", "grant", "ops", "alice", "owner")
    found = host("access", "list", "ops", "-o", "json").json()
    root = f"unix:{pwd.getpwuid(os.geteuid()).pw_name}"
    assert {each["granted_by"] for each in found if each["principal"] == "alice"} == {root}
    secret = alice("token", "create", "trail").out.strip()
    trail = Api(opened.url, secret).items("/audit?limit=100")
    (entry,) = [e for e in trail if e["action"] == "namespace.created" and e["actor"] == root]
    assert (entry["credential"], entry["detail"]["namespace"]) == ("socket", "ops")


def test_docker_s_helper_has_the_token(opened: Server, team: Person) -> None:
    told = subprocess.run(
        [str(team.home / "bin" / "docker-credential-moorage"), "get"],
        input=opened.address,
        env=dict(team.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert found["Username"] == "bob"
    credentials = {"Authorization": basic(found["Username"], found["Secret"])}
    Registry(opened.url).request("GET", "/v2/", credentials).expect(200)


def signed(key: ECKey, issuer: str, **claims: str) -> str:
    """Return a CI's token."""
    now = int(time.time())
    told = {"iss": issuer, "aud": "https://registry.example", "iat": now, "exp": now + 600}
    header = {"alg": "ES256", "kid": key.kid}
    return jwt.encode(header, {**told, **claims}, key, algorithms=["ES256"])


def test_rules(opened: Server, alice: Person) -> None:
    """A rule is tried on what is there, and then holds, for the administrator too."""
    alice("repo", "create", "web/ruled")
    secret = alice("token", "create", "rules").out.strip()
    repository = Registry(opened.url, ("alice", secret)).repository("web/ruled")
    for tag in ("v1", "v1-rc1", "latest"):
        repository.push_image(tag)
    words = ("web/ruled", "v*", "--except", "*-rc*")
    assert alice("rule", "test", *words, "-o", "plain").out == "v1\n"
    alice("rule", "add", *words)
    (shown,) = alice("rule", "list", "web/ruled", "-o", "json").json()
    assert (shown["pattern"], shown["exceptions"]) == ("v*", ["*-rc*"])
    assert (shown["move"], shown["delete"]) == ("nobody", "nobody")
    repository.registry.delete(repository.path("manifests/v1")).expect(403)
    repository.registry.delete(repository.path("manifests/v1-rc1")).expect(202)
    alice("rule", "remove", "web/ruled", str(shown["id"]), "--yes")
    repository.registry.delete(repository.path("manifests/v1")).expect(202)
    alice("rule", "add", "web", "release-*", "--move", "owner", "--delete", "owner")
    (shown,) = alice("rule", "list", "web", "-o", "json").json()
    assert (shown["create"], shown["move"]) == ("writer", "owner")
    alice("rule", "remove", "web", str(shown["id"]), "--yes")


def test_trusts(alice: Person, team: Person, tmp_path: Path) -> None:
    """From an issuer, whose keys are given in a file, to a token that is let in or not."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    keys, token = tmp_path / "keys.json", tmp_path / "job.jwt"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    address = "https://ci.example"
    assert team.run("issuer", "add", address, "--jwks", str(keys)).code == 4
    made = alice("issuer", "add", address, "--jwks", str(keys), "-o", "json").json()
    assert address in alice("issuer", "list").out
    alice("robot", "create", "web+trusted")
    alice(
        *("trust", "add", "claims", "sub=job/shop", "ref=refs/heads/*", "--name", "shop"),
        *("--robot", "web+trusted", "--issuer", address, "--may", "push:web/shop"),
        *("--audience", "https://registry.example"),
    )
    (shown,) = alice("trust", "list", "web", "-o", "json").json()
    assert shown["rules"] == [
        {"claim": "sub", "patterns": ["job/shop"]},
        {"claim": "ref", "patterns": ["refs/heads/*"]},
    ]
    told = alice("trust", "list", "web", "-o", "plain")
    assert "shop\tweb+trusted\tsub job/shop, branch *\t" in told.out
    token.write_text(signed(key, address, sub="job/shop", ref="refs/heads/main"))
    told = alice("trust", "test", "web", "--jwt", str(token))
    assert "job/shop" in told.out
    token.write_text(signed(key, address, sub="job/other", ref="refs/heads/main"))
    told = alice.run("trust", "test", "web", "--jwt", str(token))
    assert told.code == 7
    assert "job/other" in told.out
    alice("trust", "disable", "web", "shop")
    alice("trust", "enable", "web", "shop")
    alice("trust", "uses", "web", "shop")
    assert alice.run("issuer", "remove", str(made["id"]), "--yes").code == 9
    alice("trust", "remove", "web", "shop", "--yes")
    alice("issuer", "disable", str(made["id"]))
    alice("issuer", "enable", str(made["id"]))
    alice("issuer", "remove", str(made["id"]), "--yes")
    alice("robot", "delete", "web+trusted", "--yes")


def test_a_shared_issuer_needs_what_never_changes_hands(alice: Person, tmp_path: Path) -> None:
    """The ready rules of GitHub name the repository's number."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    address = "https://token.actions.githubusercontent.com"
    made = alice("issuer", "add", address, "--kind", "github", "--jwks", str(keys), "-o", "json")
    alice("robot", "create", "web+actions")
    words = ("--robot", "web+actions", "--audience", "https://registry.example")
    refused = alice.run(
        *("trust", "add", "claims", "repository=acme/shop", "--issuer", address, *words)
    )
    assert refused.code == 2
    told = alice(
        *(
            "trust",
            "add",
            "github",
            "acme/shop",
            "--repository-id",
            "17",
            "--branch",
            "main",
            *words,
        )
    )
    assert told.out.startswith("github-acme-shop is there")
    (shown,) = alice("trust", "list", "web", "-o", "json").json()
    assert {"claim": "repository_id", "patterns": ["17"]} in shown["rules"]
    assert {"claim": "ref", "patterns": ["refs/heads/main"]} in shown["rules"]
    told = alice("trust", "list", "web", "-o", "wide").out
    said = (
        "repository_id 17, repository acme/shop, branch main, event_name push or workflow_dispatch"
    )
    assert said in told
    alice("trust", "remove", "web", "github-acme-shop", "--yes")
    alice("issuer", "remove", str(made.json()["id"]), "--yes")


def test_no_secret_is_logged(opened: Server, team: Person) -> None:
    """Whatever the tests before have made: links, tokens and passwords are nowhere in the log."""
    team("token", "create", "logged")
    text = opened.log.read_text(errors="replace")
    assert "mrg_" not in text
    assert PASSWORD not in text


def test_a_token_that_can_t_be_kept_ends(opened: Server, team: Person, tmp_path: Path) -> None:
    person = Person(tmp_path)
    (tmp_path / ".config" / "moorage" / "lock").mkdir(parents=True)
    before = {each["id"] for each in team("token", "list", "-o", "json").json()}
    told = person.run("login", opened.address, "-u", "bob", "--password-stdin", given=PASSWORD)
    assert "can't be written to" in told.expect(1).err
    assert {each["id"] for each in team("token", "list", "-o", "json").json()} == before
