"""Which server a command asks, and that no credential goes where it was not given for."""

from pathlib import Path

import pytest

from moorage.cli.client import Wanted, connect, is_loopback, place_of
from moorage.client.hosts import Host, Hosts, config_directory, put_host
from moorage.errors import Refused

NONE = Hosts("", {})
SHOP = Host("registry.example", "https://registry.example", "alice", "mrg_1")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "MOORAGE_CONFIG", "MOORAGE_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def sent(wanted: Wanted) -> tuple[str, str]:
    """Return where a command would go, and with what."""
    connection = connect(wanted)
    return connection.place.url, connection.credentials.get("Authorization", "")


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("registry.example", "https://registry.example"),
        ("registry.example:5000", "https://registry.example:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("http://registry.example/", "http://registry.example"),
        # Names that only look like this machine's own.
        ("127.evil.example", "https://127.evil.example"),
        ("localhost.evil.example", "https://localhost.evil.example"),
    ],
)
def test_servers(server: str, url: str) -> None:
    assert place_of(server, NONE).url == url


@pytest.mark.parametrize(
    "server",
    ["", "a b", "ftp://a", "a/b", "https://u:p@a", "https://", "a:99999", "a:x", "a?b", "a\nb"],
)
def test_what_is_no_server(server: str) -> None:
    with pytest.raises(Refused, match="is not a server"):
        place_of(server, NONE)


def test_the_one_signed_in_to_last(home: Path) -> None:
    put_host(home / ".config" / "moorage", SHOP)
    assert sent(Wanted()) == (SHOP.url, "Bearer mrg_1")


def test_another_one_gets_no_token(home: Path) -> None:
    put_host(home / ".config" / "moorage", SHOP)
    assert sent(Wanted(server="evil.example")) == ("https://evil.example", "")
    assert sent(Wanted(server="registry.example:5000"))[1] == ""


def test_no_token_goes_out_in_the_clear(home: Path) -> None:
    """It was given to the same name, but over TLS."""
    put_host(home / ".config" / "moorage", SHOP)
    with pytest.raises(Refused, match="is for https:"):
        connect(Wanted(server="http://registry.example"))


def test_a_file_with_a_token(home: Path) -> None:
    (home / "token").write_text("mrg_2\n")
    wanted = Wanted(server="registry.example", token_file=str(home / "token"))
    assert sent(wanted) == ("https://registry.example", "Bearer mrg_2")


def test_without_any_it_says_how(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data/moorage.db").touch()
    with pytest.raises(Refused, match="Nobody is signed in") as refused:
        connect(Wanted(data=str(home / "data")))
    assert refused.value.exit_code == 4


def test_an_empty_directory_is_none(home: Path) -> None:
    with pytest.raises(Refused, match="There is no registry in") as refused:
        connect(Wanted(data=str(home / "data")))
    assert refused.value.exit_code == 3


def test_loopback() -> None:
    assert is_loopback("localhost")
    assert is_loopback("127.8.9.1:5000")
    assert not is_loopback("registry.example")


def test_where_sign_ins_are(home: Path) -> None:
    assert config_directory({"HOME": str(home)}) == f"{home}/.config/moorage"
