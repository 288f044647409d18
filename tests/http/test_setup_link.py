"""The link for the first account: where no terminal reads along, it is in a file, and in no log."""

import re
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from api import Api
from cli import Person
from conftest import PASSWORD
from process import Server
from registry import Registry, basic, unique

pytestmark = pytest.mark.metadata


def test_in_a_file_of_its_own(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        path = server.link_file()
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        link = path.read_text().strip()
        assert re.fullmatch(r"http://localhost:\d+/setup#mrg_[0-9A-Za-z]{38}", link)
        assert link.partition("#")[2] not in server.stderr_tail(1_000)
        server.stop()
    assert not path.exists()


def test_it_proposes_a_name(tmp_path: Path) -> None:
    """A service's user is nobody who signs in; whoever asks for a link on the host names one."""
    with Server(tmp_path / "data", env={"MOORAGE_ADMIN_SOCKET": "on"}) as server:
        secret = (server.link_file() or tmp_path).read_text().strip().partition("#")[2]
        found = Api(server.url).post("/links/find", {"secret": secret}).expect(200).json()
        assert (found["name"], found["proposed_name"]) == ("", "admin")
        database = {key: each for key, each in server.env.items() if key == "MOORAGE_DATABASE"}
        host = Person(tmp_path / "home", MOORAGE_DATA=str(server.data), **database)
        made = host("user", "link", "ann", "--server", "local", "-o", "json").json()
        found = Api(server.url).post("/links/find", {"secret": made["secret"]}).expect(200).json()
        assert (found["name"], found["proposed_name"]) == ("", "ann")


def test_none_once_there_is_an_administrator(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    environment = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
    }
    with Server(tmp_path / "data", env=environment) as server:
        assert server.link_file() is None
        # Nor when the settings name it no longer.
        server.stop()
        for name in environment:
            del server.env[name]
        server.start()
        text = server.stderr_tail(200).rpartition("Moorage ")[2]
        assert "setup-link" not in text
        assert "Local mode" not in text


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_local_mode_ends_with_the_first_account(tmp_path: Path, visibility: str) -> None:
    """At once, and in every worker, also in those that have just served somebody local."""
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    own = {"Authorization": basic("ann", PASSWORD)}
    with ExitStack() as stack:
        server = stack.enter_context(
            Server(tmp_path / "data", env={"MOORAGE_VISIBILITY": visibility})
        )
        registry = Registry(server.url)
        mine = registry.repository(f"library/{unique()}")
        mine.push_image("latest")
        manifest, upload = mine.path("manifests/latest"), mine.path("blobs/uploads/")
        # Each worker has some of them.
        wires = [stack.enter_context(registry.wire()) for _ in range(8)]
        for wire in wires:
            registry.request("GET", manifest, wire=wire).expect(200)
            registry.request("GET", manifest, proxied, wire=wire).expect(403, "DENIED")
            registry.request("GET", "/token", wire=wire).expect(404)
        secret = (server.link_file() or tmp_path).read_text().strip().partition("#")[2]
        asked = {"secret": secret, "name": "ann", "password": PASSWORD}
        Api(server.url).post("/setup", asked).expect(201)
        for wire in wires:
            for headers in ({}, proxied):
                for method, target, status in (
                    ("GET", manifest, 200 if visibility == "public" else 401),
                    ("GET", "/v2/", 401),
                    ("GET", "/v2/_catalog", 401),
                    ("POST", upload, 401),
                    ("DELETE", manifest, 401),
                    ("GET", f"/token?scope=repository:{mine.name}:push", 200),
                ):
                    registry.request(method, target, headers, wire=wire).expect(status)
            registry.request("GET", manifest, own, wire=wire).expect(200)
