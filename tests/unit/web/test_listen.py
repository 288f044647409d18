"""Addresses to listen on, and binding them."""

import socket
import stat
from pathlib import Path

import pytest

from cases.load import cases, table
from moorage.errors import Refused
from moorage.web.listen import Address, ReloadingTls, bind, parse_address


@pytest.mark.parametrize(("text", "parts"), table("listen", "addresses").items())
def test_address(text: str, parts: list[str | int | bool]) -> None:
    host, port, path, loopback = parts
    address = parse_address(text)
    assert (address.host, address.port, address.path) == (host, port, path)
    assert address.is_loopback is loopback
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", cases("listen", "bad"))
def test_bad_address(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_address(text)
    assert refused.value.exit_code == 2
    assert refused.value.do


def test_a_taken_port_is_refused_with_advice() -> None:
    with bind(Address(host="127.0.0.1")) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Refused) as refused:
            bind(Address(host="127.0.0.1", port=port))
    assert str(port) in refused.value.what
    assert "--listen" in refused.value.do


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refused):
        bind(Address(host="192.0.2.1", port=5000))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_not_reached_from_outside(host: str) -> None:
    with bind(Address(host=host)) as listener:
        assert listener.getsockname()[0] in ("127.0.0.1", "::1")


def test_an_empty_host_is_every_interface() -> None:
    with bind(Address(host="", port=0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_a_unix_socket_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with bind(Address(path=str(path))):
        mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert mode & 0o077 == 0


def test_a_unix_socket_that_nobody_answers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    bind(Address(path=str(path))).close()
    bind(Address(path=str(path))).close()


def test_a_unix_socket_that_is_answered_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with bind(Address(path=str(path))), pytest.raises(Refused):
        bind(Address(path=str(path)))
    assert path.exists()


def test_a_file_is_never_replaced_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.write_text("mine")
    with pytest.raises(Refused):
        bind(Address(path=str(path)))
    assert path.read_text() == "mine"


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    for cert in ("cert.pem", "missing.pem"):
        with pytest.raises(Refused) as refused:
            ReloadingTls(str(tmp_path / cert), str(tmp_path / "cert.pem"))
        assert cert in refused.value.what
