"""`moorage config`: bug reports get no password from `show`, and `check` says what it read."""

import json
from pathlib import Path

import pytest

from moorage.cli.meanings import MEANINGS
from moorage.cli.settings import check, defaults, explain, schema, show
from moorage.config import Config, flatten, load
from moorage.errors import Refused


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:hidden@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hid@den@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:hidden@h,i:5432/d", "postgresql://u:***@h,i:5432/d"),
        ("postgresql://h/d?password=hidden", "postgresql://h/d?password=***"),
        (
            "postgresql://h/d?user=u&password=hidden&sslpassword=hidden&sslmode=require",
            "postgresql://h/d?user=u&password=***&sslpassword=***&sslmode=require",
        ),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_no_password_is_shown(address: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever in the address of the database it stands."""
    show(load(None, {"MOORAGE_DATABASE": address}, {}), origin=False)
    told = capsys.readouterr().out
    assert f'database = "{shown}"\n' in told
    assert "hid" not in told


def test_a_check_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else nobody knows whether it was the one that he meant."""
    file = tmp_path / "moorage.toml"
    file.write_text("workers = 2\n")
    check(load(file, {}, {}))
    told = capsys.readouterr().out
    assert "1 of" in told
    assert f"of {file}, the environment" in told


def test_a_check_says_that_there_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    check(load(None, {}, {}))
    told = capsys.readouterr().out
    assert "there is no file" in told
    assert "/etc/moorage/moorage.toml is not there" in told


def test_every_setting_has_a_meaning() -> None:
    assert list(MEANINGS) == [key for key, _ in flatten(Config())]


def test_a_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    explain("limits.free_bytes", load(None, {"MOORAGE_LIMITS__FREE_BYTES": "7"}, {}))
    told = capsys.readouterr().out
    assert "pushes are 507" in told
    assert "7, by $MOORAGE_LIMITS__FREE_BYTES" in told
    assert "default  1073741824" in told
    explain("tls", load(None, {}, {}))
    told = capsys.readouterr().out
    assert "tls.cert: " in told
    assert "tls.key: " in told
    explain("trash_days", load(None, {}, {}))
    assert "](" not in capsys.readouterr().out  # a link of the reference leads nowhere here


def test_a_setting_that_is_not_there() -> None:
    with pytest.raises(Refused) as refused:
        explain("limits.free_byte", load(None, {}, {}))
    assert "Did you mean limits.free_bytes" in refused.value.do
    assert refused.value.exit_code == 3


def test_the_defaults_are_a_file_that_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    defaults()
    file = tmp_path / "moorage.toml"
    file.write_text(capsys.readouterr().out)
    assert load(file, {}, {}).config == Config()


def test_the_schema_knows_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    schema()
    found = json.loads(capsys.readouterr().out)
    limits = found["$defs"]["Limits"]
    assert limits["additionalProperties"] is False
    assert "507" in limits["properties"]["free_bytes"]["description"]
    assert found["$ref"] == "#/$defs/Config"
