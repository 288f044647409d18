"""Enciphers what must be read again, such as second factors, under the registry's own secret."""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Seal:
    """Enciphers and reads for one purpose; what is sealed for one is of no use for another."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        """Derive the purpose's key from the registry's secret."""
        self._cipher = AESGCM(hmac.digest(secret, f"moorage {purpose}".encode(), hashlib.sha256))

    def close(self, plain: bytes, of: str) -> bytes:
        """Return the bytes enciphered; they can be read only as something of the same."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, of.encode())

    def open(self, sealed: bytes, of: str) -> bytes | None:
        """Return what was sealed, None if it was not sealed here, for this, and of that."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], of.encode())
        except (InvalidTag, ValueError):
            return None
