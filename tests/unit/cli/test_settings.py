"""`moorage config`: bug reports get no password from `show`, and `check` says what it read."""

from pathlib import Path

import pytest

from moorage.cli.settings import check, show
from moorage.config import load


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
