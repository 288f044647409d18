"""Where the admin socket is: nobody else can have put it there."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.config import Config, Tls
from moorage.errors import Refused
from moorage.web import private

CONFIG = Config(data="/srv/registry")


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put every place under a directory of the test's own; only this user may write to it."""
    with tempfile.TemporaryDirectory(prefix="mrg-", dir="/tmp") as name:  # a socket's is short
        place = Path(name)
        place.chmod(0o755)
        for each in ("_SYSTEM", "_USERS", "_SHARED"):
            monkeypatch.setattr(private, each, place / each.strip("_").lower())
        (place / "shared").mkdir()
        (place / "shared").chmod(0o1777)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield place


def listen(config: Config) -> None:
    """Leave what a server does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(private.prepare(config) / private.SOCKET))


def test_the_system_s_place_comes_first(places: Path) -> None:
    made = private.prepare(CONFIG)
    assert made == places / "system" / private.identity(CONFIG)
    assert made.stat().st_mode & 0o777 == 0o700
    assert private.prepare(CONFIG) == made


def test_without_it_the_user_s_own(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_SYSTEM", places / "absent" / "moorage")
    own = places / "runtime"
    own.mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
    assert private.prepare(CONFIG).parent == own / "moorage"


def test_without_that_one_under_tmp(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_SYSTEM", places / "absent" / "moorage")
    assert private.prepare(CONFIG).parent == places / "shared" / f"moorage-{os.geteuid()}"
    assert private.prepare(CONFIG).parent.stat().st_mode & 0o777 == 0o700


def test_without_any_it_is_refused(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_SYSTEM", places / "absent" / "moorage")
    monkeypatch.setattr(private, "_SHARED", places / "absent")
    with pytest.raises(Refused, match="no private directory"):
        private.prepare(CONFIG)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o777])
def test_a_directory_open_to_others_is_refused(places: Path, mode: int) -> None:
    listen(CONFIG)
    private.prepare(CONFIG).chmod(mode)
    assert private.find(CONFIG) is None
    with pytest.raises(Refused) as refused:
        private.prepare(CONFIG)
    assert "lets others in" in refused.value.why


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_base_that_others_may_write_to_is_refused(places: Path, mode: int) -> None:
    (places / "system").mkdir()
    (places / "system").chmod(mode)
    with pytest.raises(Refused) as refused:
        private.prepare(CONFIG)
    assert "lets others write" in refused.value.why


def test_a_base_within_reach_of_others_is_refused(places: Path) -> None:
    places.chmod(0o777)
    with pytest.raises(Refused) as refused:
        private.prepare(CONFIG)
    assert "others may write to" in refused.value.why.lower()


@pytest.mark.parametrize("level", ["base", "directory"])
def test_a_link_is_refused(places: Path, level: str) -> None:
    real = places / "real"
    (real / private.identity(CONFIG)).mkdir(0o700, parents=True)
    link = places / "system"
    if level == "directory":
        link.mkdir(0o755)
        link = link / private.identity(CONFIG)
        real = real / private.identity(CONFIG)
    link.symlink_to(real)
    with pytest.raises(Refused) as refused:
        private.prepare(CONFIG)
    assert "not a directory" in refused.value.why


@pytest.mark.needs_root
def test_another_user_s_base_is_refused(places: Path) -> None:
    (places / "system").mkdir()
    os.chown(places / "system", 12_345, -1)
    with pytest.raises(Refused) as refused:
        private.prepare(CONFIG)
    assert "uid 12345" in refused.value.why


@pytest.mark.needs_root
def test_another_user_s_socket_is_not_found(places: Path) -> None:
    """Root must not hand its requests to whoever was first to make the directory."""
    listen(CONFIG)
    assert private.find(CONFIG) is not None
    os.chown(places / "system" / private.identity(CONFIG), 12_345, -1)
    assert private.find(CONFIG) is None


@pytest.mark.needs_root
def test_root_finds_that_of_the_data_directory_s_owner(places: Path) -> None:
    config = Config(data=str(places / "data"))
    config.directory.mkdir()
    os.chown(config.directory, 12_345, -1)
    listen(config)
    place = places / "shared" / "moorage-12345" / private.identity(config)
    place.parent.mkdir(0o700)
    (places / "system" / private.identity(config)).rename(place)
    os.chown(place, 12_345, -1)
    assert private.find(config) == place / private.SOCKET


def test_the_only_server_of_the_system() -> None:
    """Root need not say which, as long as there is one."""
    assert private.find_only() is None
    listen(CONFIG)
    assert private.find_only() == private.find(CONFIG)
    listen(Config(data="/srv/other"))
    assert private.find_only() is None


@pytest.mark.needs_root
def test_that_of_a_service_user(places: Path) -> None:
    """systemd gives the place to the service's user; a directory of somebody else is not taken."""
    listen(CONFIG)
    place = places / "system" / private.identity(CONFIG)
    os.chown(place, 12_345, -1)
    assert private.find_only() is None
    os.chown(places / "system", 12_345, -1)
    assert private.find_only() == place / private.SOCKET
    (places / "system").chmod(0o777)
    assert private.find_only() is None


def test_a_link_to_a_socket_is_none(places: Path) -> None:
    listen(CONFIG)
    place = private.prepare(CONFIG)
    (place / private.SOCKET).rename(places / "elsewhere")
    (place / private.SOCKET).symlink_to(places / "elsewhere")
    assert private.find(CONFIG) is None


@pytest.mark.needs_root
def test_a_socket_that_can_be_exchanged_is_none(places: Path) -> None:
    """Ours, in a directory of somebody else's, who may rename it at any time."""
    listen(CONFIG)
    os.chown(places / "system", 12_345, -1)
    assert private.find(CONFIG) is None
    os.chown(places / "system", 0, -1)
    (places / "system").chmod(0o777)
    assert private.find(CONFIG) is None


def test_nothing_there_is_none() -> None:
    assert private.find(CONFIG) is None


def test_each_registry_has_its_own() -> None:
    named = {
        private.identity(Config(data="/srv/a")),
        private.identity(Config(data="/srv/b")),
        private.identity(Config(database="postgresql://u@h/d")),
        private.identity(Config(database="postgresql://u@h/e", data="/srv/a")),
    }
    assert len(named) == 4


@pytest.mark.parametrize("address", ["postgresql://u:hidden@h/d", "postgresql://u@h/d?sslmode=a"])
def test_what_is_said_of_a_database_besides_its_place_does_not_count(address: str) -> None:
    """The server and the command line may get the password in different ways."""
    named = private.identity(Config(database=address))
    assert named == private.identity(Config(database="postgresql://u@h/d"))


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert private.uid_of(one) == os.geteuid()


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (Config(), "http://localhost:5000"),
        (Config(listen=(":5001",)), "http://localhost:5001"),
        (Config(listen=("unix:/x", "192.0.2.7:5001")), "http://192.0.2.7:5001"),
        (Config(listen=("unix:/x",)), ""),
        (Config(url="https://registry.example"), "https://registry.example"),
        (Config(tls=Tls("c", "k")), "https://localhost:5000"),
    ],
)
def test_how_clients_call_it(config: Config, address: str) -> None:
    place = private.prepare(config)
    assert private.read_address(place) == ""
    private.write_address(place, config)
    assert private.read_address(place) == address
    private.clear(place)
    assert not place.exists()
