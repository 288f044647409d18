"""Docker's `config.json`: one entry is ours, all else stays as it was."""

import json
import stat
from pathlib import Path

import pytest

from moorage.client.docker_config import config_file, has_helper, put_helper, remove_helper
from moorage.errors import Refused

OTHERS = {
    "auths": {"other.example": {"auth": "c2VjcmV0"}},
    "credHelpers": {"ecr.example": "ecr-login"},
    "credsStore": "secretservice",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".docker" / "config.json"


def test_a_new_file_is_for_its_owner(path: Path) -> None:
    put_helper(path, "registry.example")
    assert json.loads(path.read_text()) == {"credHelpers": {"registry.example": "moorage"}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_all_else_stays(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(OTHERS))
    path.chmod(0o640)
    put_helper(path, "registry.example")
    assert has_helper(path, "registry.example")
    found = json.loads(path.read_text())
    assert found["credHelpers"] == {"ecr.example": "ecr-login", "registry.example": "moorage"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    remove_helper(path, "registry.example")
    assert json.loads(path.read_text()) == OTHERS


def test_the_last_one_takes_the_table_along(path: Path) -> None:
    put_helper(path, "registry.example")
    remove_helper(path, "registry.example")
    assert json.loads(path.read_text()) == {}


def test_another_s_helper_is_left(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(OTHERS))
    remove_helper(path, "ecr.example")
    assert json.loads(path.read_text()) == OTHERS


def test_without_a_file_there_is_nothing_to_remove(path: Path) -> None:
    remove_helper(path, "registry.example")
    assert not path.exists()


@pytest.mark.parametrize("text", ["{", "[]", "null", "x"])
def test_what_is_not_docker_s_is_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Refused, match="can't be changed"):
        put_helper(path, "registry.example")
    assert path.read_text() == text


def test_where_it_is() -> None:
    assert config_file({"HOME": "/home/a"}) == Path("/home/a/.docker/config.json")
    assert config_file({"HOME": "/home/a", "DOCKER_CONFIG": "/d"}) == Path("/d/config.json")
