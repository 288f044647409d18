"""Logins, and what people read when they are refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oras.client import OrasClient

from clients.copiers import Client, Skopeo
from clients.engines import Buildah, Ctr, Docker, Podman
from clients.images import name_of
from clients.marks import ENGINES, given, needing
from clients.programs import Outcome
from registry import Registry, Repository

Small = Callable[[str], Path]
WITH_LOGIN = given("docker", "podman", "buildah", "skopeo")
WRONG_PASSWORD = {
    "docker": "unauthorized: the user name or password is wrong",
    "podman": "invalid username/password",
    "buildah": "invalid username/password",
    "skopeo": "invalid username/password",
}
# Asked for credentials that it has not got, it shows its own words instead of the server's.
OWN_WORDS = {"ctr": "401 Unauthorized"}
# A push begins with a HEAD, whose answer has no body for words.
WORDS_FOR_HEAD = "unauthorized: authentication required"


@pytest.fixture
def person(administrator: Registry) -> tuple[str, str]:
    """Return the administrator's name and password."""
    assert administrator.authorization
    encoded = administrator.authorization.partition(" ")[2]
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return user, password


@pytest.fixture
def secret(administrator: Registry) -> Repository:
    """Return a repository that only the administrator may use."""
    return administrator.repository()


@pytest.fixture
def logged_in(
    who: str, client: Callable[[str], Client], secret: Repository, person: tuple[str, str]
) -> Iterator[Docker | Podman | Buildah | Skopeo]:
    """Return a client that has logged in, and log it out again."""
    someone = client(who)
    assert not isinstance(someone, Ctr)
    someone.login(secret.registry.authority, *person).ok()
    yield someone
    someone.logout(secret.registry.authority)


@pytest.mark.parametrize("who", WITH_LOGIN)
def test_who_logs_in_may_push_and_pull(
    who: str, logged_in: Client, secret: Repository, small: Small
) -> None:
    """One login serves pushes, pulls, and pushes to further repositories."""
    for repository in (secret, secret.registry.repository(f"{secret.name}/second")):
        logged_in.load(small(f"login-{who}"), name_of(repository))
        logged_in.push(name_of(repository)).ok()
        logged_in.forget(name_of(repository))
        logged_in.pull(name_of(repository)).ok()
        assert logged_in.pulled(name_of(repository)).manifest == repository.tagged("1")
        logged_in.forget(name_of(repository))


@needing("ctr")
def test_ctr_pushes_and_pulls_as_a_user(
    ctr: Ctr, secret: Repository, small: Small, person: tuple[str, str]
) -> None:
    """ctr keeps no login; it is given one with each command."""
    user = ["--user", ":".join(person)]
    ctr.load(small("login-ctr"), name_of(secret))
    ctr.push(name_of(secret), *user).ok()
    ctr.forget(name_of(secret))
    ctr.pull(name_of(secret), *user).ok()
    assert ctr.pulled(name_of(secret)).manifest == secret.tagged("1")
    ctr.forget(name_of(secret))


def test_the_oras_library_pushes_and_pulls_as_a_user(
    secret: Repository, person: tuple[str, str], tmp_path: Path
) -> None:
    """The library logs in with a name and a password."""
    client = OrasClient(hostname=secret.registry.authority, insecure=True, auth_backend="basic")
    client.auth.set_basic_auth(*person)
    (tmp_path / "note").write_text("a note")
    note = f"{tmp_path / 'note'}:text/plain"
    client.push(name_of(secret), files=[note], disable_path_validation=True)
    [back] = client.pull(name_of(secret), outdir=str(tmp_path / "back"))
    assert Path(back).read_text() == "a note"


@pytest.mark.parametrize("who", WITH_LOGIN)
def test_a_wrong_password_is_refused_and_not_kept(
    who: str, client: Callable[[str], Client], secret: Repository, person: tuple[str, str]
) -> None:
    """A login with a wrong password fails in words and changes nothing."""
    someone = client(who)
    said = someone.login(secret.registry.authority, person[0], "wrong").refused()
    assert WRONG_PASSWORD[who] in said, said
    assert explained(someone, someone.pull(name_of(secret)), secret)


@pytest.mark.parametrize("who", given(*ENGINES, "skopeo"))
def test_a_refused_push_is_explained(
    who: str, client: Callable[[str], Client], secret: Repository, small: Small
) -> None:
    """Whoever is not signed in reads so, and nothing is pushed."""
    someone = client(who)
    someone.load(small(f"refused-{who}"), name_of(secret))
    assert explained(someone, someone.push(name_of(secret)), secret, WORDS_FOR_HEAD)
    someone.forget(name_of(secret))
    assert secret.tagged("1") is None


@pytest.mark.parametrize("who", given(*ENGINES, "skopeo"))
def test_a_refused_pull_does_not_tell_what_is_there(
    who: str, client: Callable[[str], Client], secret: Repository
) -> None:
    """Whoever is not signed in reads the same of an image that is there and of one that is not."""
    someone = client(who)
    of_nothing = someone.pull(name_of(secret))
    secret.push_image("1")
    of_something = someone.pull(name_of(secret))
    assert explained(someone, of_nothing, secret) == explained(someone, of_something, secret)


@pytest.mark.parametrize("words", [["inspect"], ["list-tags"], ["delete"]])
@pytest.mark.parametrize("who", given("skopeo"))
def test_every_refused_command_is_explained(
    who: str, words: list[str], client: Callable[[str], Client], secret: Repository
) -> None:
    """Reading, listing and deleting are refused in the server's words."""
    skopeo = client(who)
    secret.push_image("1")
    name = name_of(secret) if words != ["list-tags"] else name_of(secret).rpartition(":")[0]
    assert explained(skopeo, skopeo(*words, "--tls-verify=false", f"docker://{name}"), secret)
    assert secret.tagged("1")


@needing("ctr")
def test_containerd_is_refused_with_a_wrong_password(
    ctr: Ctr, secret: Repository, person: tuple[str, str]
) -> None:
    """A wrong password given with a command is told apart from a missing image."""
    secret.push_image("1")
    said = ctr.pull(name_of(secret), "--user", f"{person[0]}:wrong").refused()
    assert "401 Unauthorized" in said or "authorization failed" in said, said
    assert "not found" not in said


def explained(someone: Client, outcome: Outcome, secret: Repository, *other_words: str) -> str:
    """Return what a person reads of a refusal, which must say why, without what differs by time."""
    said = re.sub(r'time="[^"]*"', "", outcome.refused())
    why = [*other_words, *filter(None, [OWN_WORDS.get(someone.name)])]
    for credentials in (None, ("", "")):
        asked = Registry(secret.registry.url, credentials).get(secret.path("manifests/1"))
        why.append(asked.expect(401, "UNAUTHORIZED").message)
    assert any(words in said for words in why), f"none of {why} in:\n{said}"
    return said
