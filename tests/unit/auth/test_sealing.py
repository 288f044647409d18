"""What is sealed is read by who has the secret, for the same purpose and of the same."""

import pytest

from moorage.auth.sealing import Seal


def test_there_and_back() -> None:
    seal = Seal(b"s" * 32, "totp")
    sealed = seal.close(b"plain", "account 1")
    assert b"plain" not in sealed
    assert seal.open(sealed, "account 1") == b"plain"
    assert seal.close(b"plain", "account 1") != sealed


def test_for_nothing_else() -> None:
    sealed = Seal(b"s" * 32, "totp").close(b"plain", "account 1")
    assert Seal(b"s" * 32, "totp").open(sealed, "account 2") is None
    assert Seal(b"s" * 32, "keys").open(sealed, "account 1") is None
    assert Seal(b"t" * 32, "totp").open(sealed, "account 1") is None


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 13, 27])
def test_damaged(cut: int) -> None:
    seal = Seal(b"s" * 32, "totp")
    sealed = seal.close(b"plain", "account 1")
    assert seal.open(sealed[:cut], "account 1") is None
    assert seal.open(sealed[:cut] + b"?" + sealed[cut + 1 :], "account 1") is None
