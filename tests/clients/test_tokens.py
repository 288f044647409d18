"""Bearer tokens through the clients: logins with tokens, mounts, and what people read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oras.client import OrasClient

from clients.copiers import Client
from clients.engines import Ctr
from clients.marks import ENGINES, given, needing
from clients.programs import Outcome
from clients.test_login import name_of
from members import Member, Members
from moorage.model.access import Role
from process import Server
from registry import Registry, Repository, unique

# Rights are the same on every store; with real clients, once is enough.
pytestmark = pytest.mark.on("sqlite")

Small = Callable[[str], Path]
ALL = (*ENGINES, "skopeo")


class Person:
    """A client that has signed in, or gives its credentials with each command as ctr does."""

    def __init__(self, client: Client, authority: str, who: tuple[str, str]) -> None:
        self.client = client
        self._options = ["--user", ":".join(who)] if isinstance(client, Ctr) else []
        self._authority = authority
        if not isinstance(client, Ctr):
            client.login(authority, *who).ok()

    def push(self, reference: str) -> Outcome:
        return self.client.push(reference, *self._options)

    def pull(self, reference: str) -> Outcome:
        return self.client.pull(reference, *self._options)

    def leave(self) -> None:
        # One that has come and gone before has taken the login with it.
        if not isinstance(self.client, Ctr) and self.client.home.exists():
            self.client("logout", self._authority)


Enter = Callable[[str, Member, str], Person]


@pytest.fixture
def enter(administered: Registry, client: Callable[[str], Client]) -> Iterator[Enter]:
    """Return what signs a client in as a member, by its password or by a token."""
    entered: list[Person] = []

    def sign_in(who: str, member: Member, how: str) -> Person:
        by = member.credentials if how == "password" else ("ci", member.token())
        entered.append(Person(client(who), administered.authority, by))
        return entered[-1]

    yield sign_in
    for each in entered:
        each.leave()


def sent(server: Server, repository: Repository) -> list[str]:
    """Return the methods of all requests that were about a repository, with their statuses."""
    found = []
    for line in server.log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if told.get("repository") == repository.name and told["action"].startswith("upload"):
                found.append(f"{told['method']} {told['status']}")
    return found


@pytest.mark.parametrize("how", ["password", "token"])
@pytest.mark.parametrize("who", given(*ALL))
def test_a_member_pushes_and_pulls(
    who: str, how: str, enter: Enter, members: Members, administrator: Registry, small: Small
) -> None:
    """In the namespace that it may write to, by whatever it signed in with."""
    repository = administrator.repository()
    member = members.account().allow(repository.name.partition("/")[0], Role.WRITER)
    person, name = enter(who, member, how), name_of(repository)
    person.client.load(small(f"member-{who}-{how}"), name)
    person.push(name).ok()
    person.client.forget(name)
    person.pull(name).ok()
    assert person.client.pulled(name).manifest == repository.tagged("1")
    person.client.forget(name)


@pytest.mark.parametrize("who", given("docker", "ctr", "skopeo"))
def test_layers_are_mounted_from_where_they_are(
    who: str,
    enter: Enter,
    members: Members,
    administrator: Registry,
    administered_server: Server,
    small: Small,
) -> None:
    """Their tokens are for both repositories; not a byte of a layer is sent a second time."""
    space = unique("ns")
    one, other = administrator.repository(f"{space}/one"), administrator.repository(f"{space}/two")
    person = enter(who, members.account().allow(space, Role.WRITER), "password")
    client = person.client
    client.load(small(f"mounted-{who}"), name_of(one))
    person.push(name_of(one)).ok()
    if who == "skopeo":
        client.copy(f"docker://{name_of(one)}", f"docker://{name_of(other)}").ok()
    else:
        client.forget(name_of(one))
        person.pull(name_of(one)).ok()
        again = ["images", "tag"] if who == "ctr" else ["tag"]
        client(*again, name_of(one), name_of(other)).ok()
        person.push(name_of(other)).ok()
        client.forget(name_of(other))
        client.forget(name_of(one))
    assert other.tagged("1") == one.tagged("1")
    # The access log is written a moment later.
    deadline = time.monotonic() + 5
    while "POST 201" not in sent(administered_server, other) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "POST 201" in sent(administered_server, other)


@pytest.mark.parametrize("who", given(*ALL))
def test_whoever_may_not_push_reads_why(
    who: str, enter: Enter, members: Members, administrator: Registry, small: Small
) -> None:
    """The reader of a repository reads that it has no right to push; a stranger reads the same."""
    repository = administrator.repository()
    repository.push_image("1")
    before = repository.tagged("1")
    reader = members.account().allow(repository.name.partition("/")[0], Role.READER)
    for member in (reader, members.account()):
        person = enter(who, member, "token")
        person.client.load(small(f"unpushed-{who}"), name_of(repository))
        said = person.push(name_of(repository)).refused()
        assert f"{member.name} has no push right on {repository.name}" in said, said
        person.client.forget(name_of(repository))
    assert repository.tagged("1") == before


@pytest.mark.parametrize("who", given(*ALL))
def test_whoever_may_not_pull_reads_why(
    who: str, enter: Enter, members: Members, administrator: Registry
) -> None:
    """And reads the same of what is not there."""
    repository = administrator.repository()
    stranger = members.account()
    person = enter(who, stranger, "password")
    told = f"{stranger.name} has no pull right on {repository.name}"
    of_nothing = person.pull(name_of(repository)).refused()
    repository.push_image("1")
    of_something = person.pull(name_of(repository)).refused()
    assert told in of_nothing, of_nothing
    assert told in of_something, of_something


@pytest.mark.parametrize("who", given(*ALL))
def test_everybody_pulls_what_is_public(
    who: str,
    client: Callable[[str], Client],
    members: Members,
    administrator: Registry,
    small: Small,
) -> None:
    """Without any login."""
    repository = administrator.repository()
    pushed = small(f"public-{who}")
    Person(client("skopeo"), repository.registry.authority, _admin(administrator))
    client("skopeo").load(pushed, name_of(repository))
    client("skopeo").push(name_of(repository)).ok()
    client("skopeo").logout(repository.registry.authority)
    client(who).pull(name_of(repository)).refused()
    members.show(repository.name, "public")
    client(who).pull(name_of(repository)).ok()
    assert client(who).pulled(name_of(repository)).manifest == repository.tagged("1")
    client(who).forget(name_of(repository))


def test_the_oras_library_gets_tokens(
    members: Members, administrator: Registry, tmp_path: Path
) -> None:
    """It follows the challenge with a name and a password, or a token in its place."""
    repository = administrator.repository()
    member = members.account().allow(repository.name.partition("/")[0], Role.WRITER)
    for user, password in (member.credentials, ("ci", member.token())):
        client = OrasClient(
            hostname=repository.registry.authority, insecure=True, auth_backend="token"
        )
        client.auth.set_basic_auth(user, password)
        (tmp_path / "note").write_text("a note")
        note = f"{tmp_path / 'note'}:text/plain"
        client.push(name_of(repository), files=[note], disable_path_validation=True)
        [back] = client.pull(name_of(repository), outdir=str(tmp_path / "back"))
        assert Path(back).read_text() == "a note"


def test_the_oras_library_reads_why(
    members: Members, administrator: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer to whoever has not the right is what it tells at a terminal."""
    repository = administrator.repository()
    repository.push_image("1")
    stranger = members.account()
    client = OrasClient(hostname=repository.registry.authority, insecure=True, auth_backend="token")
    client.auth.set_basic_auth(*stranger.credentials)
    with pytest.raises(ValueError, match="Unauthorized"):
        client.get_manifest(name_of(repository))
    assert f"{stranger.name} has no pull right on {repository.name}" in caplog.text


@needing("docker")
def test_docker_keeps_the_password_not_a_refresh_token(
    enter: Enter, members: Members, client: Callable[[str], Client]
) -> None:
    """A pull secret is made from what it keeps, and Kubernetes knows no identity tokens."""
    enter("docker", members.account(), "token")
    kept = json.loads((client("docker").home / "config" / "config.json").read_text())
    assert kept["auths"]
    assert all("identitytoken" not in each for each in kept["auths"].values())


def _admin(administrator: Registry) -> tuple[str, str]:
    import base64

    assert administrator.authorization
    user, _, password = (
        base64.b64decode(administrator.authorization.partition(" ")[2]).decode().partition(":")
    )
    return user, password
