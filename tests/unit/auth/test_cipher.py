"""What is sealed is read by who has the secret, for the same purpose and under the same name."""

import pytest

from moorage.auth.cipher import Cipher


def test_there_and_back() -> None:
    cipher = Cipher(b"s" * 32, "totp")
    sealed = cipher.seal("account 1", b"plain")
    assert b"plain" not in sealed
    assert cipher.open("account 1", sealed) == b"plain"
    assert cipher.seal("account 1", b"plain") != sealed


def test_for_nothing_else() -> None:
    sealed = Cipher(b"s" * 32, "totp").seal("account 1", b"plain")
    assert Cipher(b"s" * 32, "totp").open("account 2", sealed) is None
    assert Cipher(b"s" * 32, "keys").open("account 1", sealed) is None
    assert Cipher(b"t" * 32, "totp").open("account 1", sealed) is None


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 13, 27])
def test_damaged(cut: int) -> None:
    cipher = Cipher(b"s" * 32, "totp")
    sealed = cipher.seal("account 1", b"plain")
    assert cipher.open("account 1", sealed[:cut]) is None
    other = bytes([sealed[cut] ^ 1])
    assert cipher.open("account 1", sealed[:cut] + other + sealed[cut + 1 :]) is None
