"""When a server has an admin socket, and how it takes the place of another."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.cli import admin
from moorage.cli.admin import AdminSocket
from moorage.config import Config
from moorage.errors import Refused
from moorage.web import private


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the system's place under a directory of the test's own, with a name short enough."""
    with tempfile.TemporaryDirectory(prefix="mrg-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(private, "_SYSTEM", Path(name) / "system")
        monkeypatch.setattr(private, "_SHARED", Path(name) / "absent")
        monkeypatch.setattr(admin, "is_container", lambda: False)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield Path(name) / "system"


def opened(setting: str) -> AdminSocket | None:
    """Return the socket of a server with this setting."""
    return AdminSocket.open(Config(data="/srv/registry", admin_socket=setting))  # type: ignore[arg-type]


def test_outside_of_containers_there_is_one() -> None:
    found = opened("auto")
    assert found is not None
    found.close()


def test_in_a_container_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "is_container", lambda: True)
    assert opened("auto") is None
    found = opened("on")
    assert found is not None
    found.close()


def test_off_is_off() -> None:
    assert opened("off") is None


def test_nothing_is_left_of_it(place: Path) -> None:
    found = opened("on")
    assert found is not None
    assert len(list(place.iterdir())) == 1
    found.close()
    assert list(place.iterdir()) == []


def test_a_second_server_leaves_it_to_the_first(place: Path) -> None:
    first = opened("on")
    assert first is not None
    assert opened("on") is None
    (directory,) = place.iterdir()
    assert (directory / private.SOCKET).is_socket()
    first.close()
    second = opened("on")
    assert second is not None
    second.close()


def test_without_a_place_it_goes_on_unless_told_to_have_one(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place.mkdir()
    place.chmod(0o777)
    assert opened("auto") is None
    assert "No admin socket" in capfd.readouterr().err
    with pytest.raises(Refused):
        opened("on")
