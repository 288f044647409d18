"""Reads signed tokens of other issuers: strict, and by a key that was chosen beforehand.

Nothing that a token says of itself chooses how it is checked: a key is good for one algorithm, the
header must name that one, and headers that bring keys or addresses along are refused.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwa import EdDSAAlgorithm, ESAlgorithm, JWSAlgModel, RSAAlgorithm
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

MOST_BYTES = 8 << 10
_MOST_KEYS = 100
_LONGEST_ID = 256
_FORBIDDEN = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64", "enc", "zip"})
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_RSA_BITS = range(2_048, 8_193)
# Deeper than any token, and far below where the parser would give up.
_DEPTH = 16

_ALGORITHMS: Mapping[str, JWSAlgModel] = {
    "RS256": RSAAlgorithm(256),
    "ES256": ESAlgorithm("ES256", "P-256", 256),
    "EdDSA": EdDSAAlgorithm(),
}


class Malformed(Exception):
    """A token or a set of keys that is not well formed; the text says what is wrong with it."""


class Key(msgspec.Struct, frozen=True):
    """A public key, and the one algorithm that it is good for."""

    id: str
    algorithm: str
    public: RSAKey | ECKey | OKPKey

    def verifies(self, token: "Parts") -> bool:
        """Tell whether the key signed the token; False for any other algorithm than its own."""
        if token.algorithm != self.algorithm:
            return False
        try:
            return _ALGORITHMS[self.algorithm].verify(token.signed, token.signature, self.public)
        except (JoseError, ValueError):
            return False


class Parts(msgspec.Struct, frozen=True):
    """A token as it was sent: nothing in it is proved; `key_id` is empty if it names no key."""

    algorithm: str
    key_id: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def take_apart(text: str) -> Parts:
    """Return the parts of a token.

    Raises:
        Malformed: it is too long, no token, or one that asks to be checked in a way of its own.
    """
    if len(text) > MOST_BYTES:
        raise Malformed(f"it has more than {MOST_BYTES} characters")
    parts = text.split(".")
    if len(parts) != 3:
        raise Malformed("it has not three parts")
    header, claims = (parse_object(_decoded(part)) for part in parts[:2])
    found = _FORBIDDEN & header.keys()
    if found:
        raise Malformed(f"its header has {min(found)}")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise Malformed("it is not signed by RS256, ES256 or EdDSA")
    if "kid" not in header:
        key_id = ""
    elif not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_ID:
        raise Malformed("it does not name its key")
    if str(header.get("typ", "JWT")).lower() != "jwt":
        raise Malformed("it is not an identity token")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Parts(algorithm, key_id, claims, signed, _decoded(parts[2]))


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return a JSON object in which no key stands twice and every number is one.

    Raises:
        Malformed: it is something else.
    """
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise Malformed("it is not a JSON object") from None
    if not isinstance(found, dict) or _depth(found) > _DEPTH:
        raise Malformed("it is not a JSON object")
    return found


def parse_keys(raw: bytes) -> dict[tuple[str, str], Key]:
    """Return the keys of a set (RFC 7517) that can be used here, by their id and algorithm.

    Others are left out: without an id, for other algorithms or uses, too short or too long.

    Raises:
        Malformed: it is no set of keys.
    """
    listed = parse_object(raw).get("keys")
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise Malformed("it is no set of keys")
    found: dict[tuple[str, str], Key] = {}
    for each in listed:
        key = _key_of(each) if isinstance(each, dict) else None
        if key is not None:
            found.setdefault((key.id, key.algorithm), key)
    return found


def _key_of(given: Mapping[str, Any]) -> Key | None:
    key_id, operations = given.get("kid"), given.get("key_ops", ["verify"])
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_ID:
        return None
    if given.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        algorithm, public = _public(given)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if public is None or given.get("alg", algorithm) != algorithm:
        return None
    return Key(key_id, algorithm, public)


def _public(given: Mapping[str, Any]) -> tuple[str, RSAKey | ECKey | OKPKey | None]:
    """Return the key from its public members alone, with the algorithm of its kind."""
    kind, curve = given.get("kty"), given.get("crv")
    if kind == "RSA":
        bits = int.from_bytes(urlsafe_b64decode(given["n"].encode()), "big").bit_length()
        if bits not in _RSA_BITS:
            return "", None
        return "RS256", RSAKey.import_key({"kty": "RSA", "n": given["n"], "e": given["e"]})
    if kind == "EC" and curve == "P-256":
        point = {"kty": "EC", "crv": "P-256", "x": given["x"], "y": given["y"]}
        return "ES256", ECKey.import_key(point)
    if kind == "OKP" and curve == "Ed25519":
        return "EdDSA", OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": given["x"]})
    return "", None


def _decoded(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise Malformed("it is not in base64url")
    try:
        return urlsafe_b64decode(part.encode())
    except ValueError:
        raise Malformed("it is not in base64url") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _depth(value: Any) -> int:
    deepest, left = 0, [(value, 1)]
    while left:
        each, depth = left.pop()
        deepest = max(deepest, depth)
        if isinstance(each, dict):
            left += [(inner, depth + 1) for inner in each.values()]
        elif isinstance(each, list):
            left += [(inner, depth + 1) for inner in each]
    return deepest
