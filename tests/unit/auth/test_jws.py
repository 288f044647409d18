"""Tokens and sets of keys of others: everything that the libraries' histories warn of."""

import base64
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

import oidc
from moorage.auth.jws import MOST_BYTES, Malformed, parse_keys, parse_object, take_apart

ALGORITHMS = ("RS256", "ES256", "EdDSA")
KEYS = {algorithm: oidc.new_key(algorithm, f"{algorithm}-1") for algorithm in ALGORITHMS}
CLAIMS = {"iss": "https://issuer.example", "sub": "x"}


def published(*keys: dict[str, Any]) -> bytes:
    """Return a set of keys."""
    return json.dumps({"keys": keys}).encode()


def header(algorithm: str = "ES256", **changes: Any) -> dict[str, Any]:
    """Return the header of a good token, with changes."""
    return {"alg": algorithm, "kid": f"{algorithm}-1", "typ": "JWT", **changes}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token(algorithm: str) -> None:
    token = take_apart(oidc.sign(KEYS[algorithm], header(algorithm), CLAIMS))
    keys = parse_keys(published(KEYS[algorithm].as_dict(private=False)))
    assert token.claims == CLAIMS
    assert keys[(f"{algorithm}-1", algorithm)].verifies(token)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_change_is_noticed(algorithm: str) -> None:
    text = oidc.sign(KEYS[algorithm], header(algorithm), CLAIMS)
    key = parse_keys(published(KEYS[algorithm].as_dict(private=False)))[
        (f"{algorithm}-1", algorithm)
    ]
    first, claims, signature = text.split(".")
    evil = oidc.encoded({**CLAIMS, "sub": "y"})
    zeros = oidc.encoded(b"\0" * 64)
    shorter = oidc.encoded(base64.urlsafe_b64decode(signature + "==")[:-1])
    for changed in (
        f"{first}.{evil}.{signature}",
        f"{first}.{claims}.{zeros}",
        f"{oidc.encoded(header(algorithm, x=1))}.{claims}.{signature}",
        f"{first}.{claims}.{shorter}",
    ):
        assert not key.verifies(take_apart(changed))


@pytest.mark.requirement("S-24", "S-25")
@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS256"},
        {"alg": "RS512"},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"alg": ["ES256"]},
        {"alg": None},
        {"crit": ["exp"]},
        {"crit": []},
        {"jwk": KEYS["ES256"].as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"kid": None},
        {"kid": ""},
        {"kid": 5},
        {"kid": ["ES256-1"]},
        {"kid": "x" * 257},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
    ],
)
def test_headers_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        take_apart(oidc.sign(KEYS["ES256"], header(**changes), CLAIMS))


@pytest.mark.requirement("S-24")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"alg":"none","alg":"ES256","kid":"ES256-1"}', b'{"sub":"x"}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"sub":"x","sub":"y"}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"a":{"b":1,"b":2}}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"exp":NaN}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"exp":Infinity}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b"[1]"),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'"x"'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b"{"),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"a":"\xff"}'),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}"),
        (b'{"alg":"ES256","kid":"ES256-1"}', b'{"a":' + b"9" * 5_000 + b"}"),
        (b"[]", b"{}"),
    ],
)
def test_json_that_is_refused(first: bytes, second: bytes) -> None:
    with pytest.raises(Malformed):
        take_apart(oidc.sign_raw(KEYS["ES256"], first, second))


GOOD = oidc.sign(KEYS["ES256"], header(), CLAIMS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        GOOD + ".",
        GOOD + ".x",
        "." + GOOD,
        GOOD.replace(".", "..", 1),
        GOOD + "=",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1] + "+",
        GOOD.rpartition(".")[0] + ".",
        GOOD + "A" * MOST_BYTES,
        ".".join(["a"] * 10_000),
    ],
)
def test_forms_that_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        take_apart(text)


def test_one_token_has_one_form() -> None:
    """The spare bits at the end of base64 are not for anybody to play with."""
    head, claims, signature = oidc.sign(KEYS["RS256"], header("RS256"), CLAIMS).split(".")
    last = signature[-1]
    for other in "BCDEFGH":
        if other != last:
            with pytest.raises(Malformed):
                take_apart(f"{head}.{claims}.{signature[:-1]}{other}")


@pytest.mark.requirement("S-24")
def test_a_public_key_is_no_secret() -> None:
    """HS256 with our RSA public key as its secret, under the name of that key."""
    key = KEYS["RS256"]
    assert isinstance(key, RSAKey)
    for secret in (key.as_pem(private=False), json.dumps(key.as_dict(private=False)).encode()):
        forged = jws.serialize_compact(
            {"alg": "HS256", "kid": "RS256-1"},
            json.dumps(CLAIMS),
            OctKey.import_key(base64.urlsafe_b64encode(secret).decode()),
            algorithms=["HS256"],
        )
        with pytest.raises(Malformed):
            take_apart(forged)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_good_for_its_own_algorithm(algorithm: str) -> None:
    """The header of another algorithm over a signature of this one."""
    keys = parse_keys(published(*(key.as_dict(private=False) for key in KEYS.values())))
    for other in set(ALGORITHMS) - {algorithm}:
        forged = take_apart(oidc.sign(KEYS[algorithm], header(other), CLAIMS))
        assert not any(key.verifies(forged) for key in keys.values())


EC = KEYS["ES256"].as_dict(private=False)
RSA = KEYS["RS256"].as_dict(private=False)


@pytest.mark.parametrize(
    "given",
    [
        {**EC, "kid": None},
        {**EC, "kid": ""},
        {**EC, "kid": 5},
        {**EC, "use": "enc"},
        {**EC, "key_ops": ["sign"]},
        {**EC, "key_ops": 5},
        {**EC, "alg": "ES384"},
        {**EC, "alg": "RS256"},
        {**EC, "crv": "P-384"},
        {**EC, "x": "AAAA"},
        {**EC, "x": 5},
        {**EC, "y": EC["x"]},
        {**EC, "kty": "RSA"},
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "OKP", "kid": "a", "crv": "X25519", "x": "AAAA"},
        {"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": "AAAA"},
        {**RSA, "alg": "RS512"},
        {**RSA, "alg": "HS256"},
        {**RSA, "n": RSA["n"][:170]},
        {**RSA, "n": "AQAB" * 600},
        {**RSA, "n": ["x"]},
        {},
        "text",
        None,
    ],
)
def test_keys_that_are_left_out(given: Any) -> None:
    assert parse_keys(published(given)) == {}
    assert len(parse_keys(published(given, EC))) == 1


def test_private_members_are_not_taken_over() -> None:
    [key] = parse_keys(published(KEYS["ES256"].as_dict(private=True))).values()
    assert not key.public.is_private


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"keys":5}', b'{"keys":[],"keys":[]}', b"<html>", b"\xff"]
)
def test_what_is_no_set_of_keys(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_keys(raw)
    with pytest.raises(Malformed):
        parse_keys(json.dumps({"keys": [EC] * 101}).encode())


def test_objects() -> None:
    assert parse_object(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
