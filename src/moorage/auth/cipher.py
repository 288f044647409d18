"""Enciphers what the database keeps but nobody who reads it may use."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class Cipher:
    """AES-256-GCM under a key that is derived for one purpose."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        """Derive the key from a secret of the registry, another one for each purpose."""
        key = HKDF(SHA256(), 32, salt=None, info=f"moorage {purpose}".encode()).derive(secret)
        self._aead = AESGCM(key)

    def seal(self, name: str, content: bytes) -> bytes:
        """Return the content enciphered; it can be opened under the same name only."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, content, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """Return what was sealed under that name, None if that is not what this is."""
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except (InvalidTag, ValueError):
            return None
