"""The link for the first account: where no terminal reads along, it is in a file, and in no log."""

import re
import stat
from pathlib import Path

import pytest

from conftest import PASSWORD
from process import Server

pytestmark = pytest.mark.metadata

PLACE = re.compile(r"the address is in (\S+)")


def place_of(server: Server) -> Path | None:
    """Return the file that the server named."""
    found = PLACE.search(server.stderr_tail(200))
    return Path(found[1]) if found else None


def test_in_a_file_of_its_own(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        path = place_of(server)
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        link = path.read_text().strip()
        assert re.fullmatch(r"http://localhost:\d+/setup#mrg_[0-9A-Za-z]{38}", link)
        assert link.partition("#")[2] not in server.stderr_tail(1_000)
        server.stop()
    assert not path.exists()


def test_none_once_there_is_an_administrator(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    environment = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
    }
    with Server(tmp_path / "data", env=environment) as server:
        assert place_of(server) is None
        # Nor when the settings name it no longer.
        server.stop()
        for name in environment:
            del server.env[name]
        server.start()
        text = server.stderr_tail(200).rpartition("Moorage ")[2]
        assert "setup-link" not in text
        assert "Local mode" not in text
