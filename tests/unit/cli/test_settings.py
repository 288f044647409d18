"""What `moorage config show` prints is pasted into bug reports: no password is in it."""

import pytest

from moorage.cli.settings import show
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
