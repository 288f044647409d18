"""From `moorage` to docker and skopeo: whoever is signed in to the one is to the others."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import PASSWORD, Api
from cli import Person
from clients.copiers import Skopeo
from clients.engines import Docker, Podman, temporary_directory
from clients.marks import given, needing
from clients.programs import Outcome, run
from process import Server
from registry import Registry

# Rights are the same on every store; with real clients, once is enough.
pytestmark = pytest.mark.on("sqlite")

Small = Callable[[str], Path]
Clients = Docker | Podman | Skopeo


@pytest.fixture(scope="module")
def opened() -> Iterator[Server]:
    """Run a server with an admin socket."""
    with Server(env={"MOORAGE_ADMIN_SOCKET": "on"}) as running:
        yield running
        running.stop()


@pytest.fixture(scope="module")
def alice(opened: Server, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return the administrator, signed in, who has made the namespaces `web` and `ops`."""
    database = {name: text for name, text in opened.env.items() if name == "MOORAGE_DATABASE"}
    host = Person(tmp_path_factory.mktemp("host"), MOORAGE_DATA=str(opened.data), **database)
    secret = host("user", "link", "alice", "--server", "local").out.strip().partition("#")[2]
    asked = {"secret": secret, "name": "alice", "password": PASSWORD}
    Api(opened.url).post("/links/redeem", asked).expect(201)
    with temporary_directory() as home:
        person = Person(home)
        person(*("login", opened.address, "-u", "alice", "--password-stdin"), given=PASSWORD)
        for namespace in ("web", "ops"):
            person("namespace", "create", namespace)
        yield person


@pytest.fixture
def image(opened: Server, request: pytest.FixtureRequest) -> str:
    """Return the name of an image that no other test pushes."""
    mark = "".join(letter for letter in request.node.name if letter.isalnum()).lower()
    return f"{opened.address}/web/{mark}:1"


def docker_as(docker: Docker, person: Person, *words: str | Path) -> Outcome:
    """Run docker with a person's own configuration."""
    settings = {"DOCKER_HOST": docker.socket, "DOCKER_CONFIG": str(person.home / ".docker")}
    return run("docker", *words, env={**person.environment, **settings})


@needing("docker")
def test_docker_is_signed_in(docker: Docker, alice: Person, image: str, small: Small) -> None:
    """`moorage login` is all that it takes; docker keeps no secret."""
    docker.load(small("cli-docker"), image)
    docker_as(docker, alice, "push", image).ok()
    docker.forget(image)
    docker_as(docker, alice, "pull", image).ok()
    docker.forget(image)
    assert "mrg_" not in (alice.home / ".docker" / "config.json").read_text()


@needing("docker")
def test_docker_is_signed_out(
    docker: Docker, opened: Server, alice: Person, image: str, small: Small
) -> None:
    secret = alice("token", "create", "for a while").out
    with temporary_directory() as home:
        person = Person(home)
        person("login", opened.address, "--token-stdin", given=secret)
        docker.load(small("cli-docker"), image)
        docker_as(docker, person, "push", image).ok()
        person("logout")
        docker_as(docker, person, "push", image).refused()
        docker.forget(image)


@needing("skopeo")
def test_skopeo_is_signed_in(alice: Person, image: str, small: Small, tmp_path: Path) -> None:
    """It finds the helper by docker's configuration."""
    skopeo = Skopeo(tmp_path)
    skopeo.env = {**alice.environment, "TMPDIR": str(tmp_path)}
    skopeo.load(small("cli-skopeo"), image)
    skopeo.push(image).ok()
    skopeo.pull(image).ok()


@pytest.mark.parametrize("who", given("docker", "podman", "skopeo"))
def test_a_token_for_ci(
    who: str, client: Callable[[str], Clients], opened: Server, alice: Person, small: Small
) -> None:
    """What Jenkins is given: it pushes to one namespace, under whatever user name."""
    secret = alice("token", "create", "jenkins", "--may", "push:web/**", "--expires", "90d").out
    someone = client(who)
    someone.login(opened.address, "token", secret.strip()).ok()
    inside, outside = (f"{opened.address}/{place}/ci-{who}:1" for place in ("web", "ops"))
    for name in (inside, outside):
        someone.load(small(f"ci-{who}"), name)
    someone.push(inside).ok()
    someone.push(outside).refused()
    for name in (inside, outside):
        someone.forget(name)
    someone.logout(opened.address)


def pull_secret(alice: Person, *words: str) -> dict[str, Any]:
    """Return the manifest that a person would give to kubectl."""
    told = alice("k8s", "pull-secret", "--namespace", "shop", *words)
    found = yaml.safe_load(told.out)
    assert isinstance(found, dict)
    return found


def logins(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the logins in a Secret, as the kubelet reads them."""
    config = json.loads(base64.b64decode(manifest["data"][".dockerconfigjson"], validate=True))
    assert set(config) == {"auths"}
    found: dict[str, Any] = config["auths"]
    return found


def test_a_pull_secret_is_a_secret(opened: Server, alice: Person) -> None:
    manifest = pull_secret(alice, "--may", "pull:web/**", "--name", "registry")
    assert (manifest["apiVersion"], manifest["kind"]) == ("v1", "Secret")
    assert manifest["type"] == "kubernetes.io/dockerconfigjson"
    assert manifest["metadata"]["name"] == "registry"
    assert manifest["metadata"]["namespace"] == "shop"
    (login,) = logins(manifest).values()
    assert login["username"] == "web+k8s-shop"
    assert base64.b64decode(login["auth"]).decode() == f"web+k8s-shop:{login['password']}"
    assert set(logins(manifest)) == {opened.address}
    found = Api(opened.url, login["password"]).get("/whoami").expect(200).json()
    assert found["scopes"] == [{"pattern": "web/**", "actions": ["pull"]}]


def test_a_second_pull_secret_leaves_the_first(opened: Server, alice: Person) -> None:
    first, second = (pull_secret(alice, "--may", "pull:web/**") for _ in range(2))
    for manifest in (first, second):
        (login,) = logins(manifest).values()
        Api(opened.url, login["password"]).get("/whoami").expect(200)


@pytest.mark.parametrize("may", ["push:web/**", "pull,delete:web/**", "web"])
def test_a_pull_secret_only_pulls(alice: Person, may: str) -> None:
    told = alice.run("k8s", "pull-secret", "--namespace", "shop", "--may", may)
    assert (told.code, told.out) == (2, "")


@pytest.mark.parametrize("name", ["Shop", "a: b", "shop\nkind: Pod", "-shop", "s" * 64])
def test_nothing_else_can_get_into_the_manifest(alice: Person, name: str) -> None:
    words = ("k8s", "pull-secret", "--may", "pull:web/**")
    assert alice.run(*words, "--namespace", name).code == 2
    assert alice.run(*words, "--namespace", "shop", "--name", name).code == 2
    assert alice.run(*words, "--namespace", "shop", "--registry", name + " #").code == 2


@needing("skopeo")
def test_a_cluster_pulls_by_it(opened: Server, alice: Person, small: Small, tmp_path: Path) -> None:
    """One repository was let in: it pulls that, nothing else, and pushes nowhere."""
    names = {place: f"{opened.address}/web/{place}:1" for place in ("inside", "outside")}
    owner = Skopeo(tmp_path / "owner")
    owner.env = {**alice.environment, "TMPDIR": str(tmp_path)}
    for name in names.values():
        owner.load(small("k8s"), name)
        owner.push(name).ok()
    manifest = pull_secret(alice, "--may", "pull:web/inside", "--robot", "web+cluster")
    cluster = Skopeo(tmp_path / "cluster")
    (tmp_path / "cluster" / "auth.json").write_text(json.dumps({"auths": logins(manifest)}))
    cluster.pull(names["inside"]).ok()
    cluster.pull(names["outside"]).refused()
    again = f"{opened.address}/web/inside:2"
    cluster.load(small("k8s"), again)
    cluster.push(again).refused()
    (login,) = logins(manifest).values()
    seen = Registry(opened.url, (login["username"], login["password"]))
    seen.get("/v2/web/inside/manifests/1").expect(200)
    seen.get("/v2/web/outside/manifests/1").expect(401)
