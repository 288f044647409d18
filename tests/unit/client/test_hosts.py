"""`hosts.json`: for its owner only, whole at any time, and of any name."""

import os
import stat
import threading
from pathlib import Path

import pytest

from moorage.client.hosts import (
    Host,
    config_directory,
    put_host,
    read_hosts,
    remove_host,
    replace_file,
)
from moorage.errors import Refused

SHOP = Host("registry.example", "https://registry.example", "alice", "mrg_1", "7", "2027-01-01")


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "config" / "moorage")


def test_what_was_put_is_read(directory: str) -> None:
    put_host(directory, SHOP)
    assert read_hosts(directory).hosts == {SHOP.name: SHOP}
    assert read_hosts(directory).default == SHOP.name


def test_only_the_owner_reads_it(directory: str) -> None:
    old = os.umask(0)
    try:
        put_host(directory, SHOP)
    finally:
        os.umask(old)
    assert stat.S_IMODE(Path(directory).stat().st_mode) == 0o700
    for path in Path(directory).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_open_to_others_is_refused(directory: str, mode: int) -> None:
    put_host(directory, SHOP)
    Path(directory, "hosts.json").chmod(mode)
    with pytest.raises(Refused, match="not for you alone") as refused:
        read_hosts(directory)
    assert SHOP.token not in f"{refused.value.what}{refused.value.why}{refused.value.do}"


@pytest.mark.needs_root
def test_another_user_s_file_is_refused(directory: str) -> None:
    put_host(directory, SHOP)
    os.chown(Path(directory, "hosts.json"), 12_345, -1)
    with pytest.raises(Refused, match="not for you alone"):
        read_hosts(directory)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "default = [",
        "[]",
        "{}",
        '{"default": "", "hosts": []}',
        '{"default": "", "hosts": {"a": "b"}}',
        '{"default": "", "hosts": {"a": {"url": "b"}}}',
        '{"default": "", "hosts": {"a": {"other": "b"}}}',
        "\udcff",
    ],
)
def test_a_damaged_file_is_refused(directory: str, text: str) -> None:
    put_host(directory, SHOP)
    Path(directory, "hosts.json").write_text(text, errors="surrogateescape")
    with pytest.raises(Refused, match="can't be read"):
        read_hosts(directory)


def test_fields_of_another_version_are_passed_over(directory: str) -> None:
    put_host(directory, SHOP)
    path = Path(directory, "hosts.json")
    path.write_text(path.read_text().replace('"url"', '"later": 1, "url"'))
    assert read_hosts(directory).hosts == {SHOP.name: SHOP}


@pytest.mark.parametrize(
    "text", ['a"b', "a\nb", "a\\b", "[x]", "\x7f", "\u00e9 \U0001f6a2", "a.b:5000"]
)
def test_any_text_comes_back(directory: str, text: str) -> None:
    """A server's answer must not be able to write other lines into the file."""
    host = Host(text, text, text, text, text, text)
    put_host(directory, host)
    assert read_hosts(directory).hosts == {text: host}


def test_the_default_follows(directory: str) -> None:
    other = SHOP._replace(name="other.example")
    put_host(directory, SHOP)
    put_host(directory, other)
    assert read_hosts(directory).default == other.name
    remove_host(directory, other.name)
    assert read_hosts(directory) == (SHOP.name, {SHOP.name: SHOP})
    remove_host(directory, SHOP.name)
    assert read_hosts(directory) == ("", {})


def test_sign_ins_at_once_keep_all(directory: str) -> None:
    hosts = [SHOP._replace(name=f"r{number}.example") for number in range(20)]
    threads = [threading.Thread(target=put_host, args=(directory, host)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_hosts(directory).hosts) == {host.name for host in hosts}


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    replace_file(str(tmp_path / "link"), "new", 0o600)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_nothing_shows_the_token() -> None:
    assert "mrg_1" not in repr(SHOP)
    assert "mrg_1" not in str(SHOP)
    assert "mrg_1" not in f"{SHOP}"


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"HOME": "/home/a"}, "/home/a/.config/moorage"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/x"}, "/x/moorage"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "relative"}, "/home/a/.config/moorage"),
    ],
)
def test_where_it_is(environment: dict[str, str], place: str) -> None:
    assert config_directory(environment) == place
