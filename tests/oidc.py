"""An issuer of identity tokens on loopback: discovery and keys over HTTP, real signatures.

    with Issuer() as issuer:
        issuer.sign({"sub": "repo:acme/shop:ref:refs/heads/main", "aud": "https://registry"})
        issuer.rotate()

It is a server of its own thread; `asked` counts what was fetched from it.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import warnings
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

DISCOVERY = "/.well-known/openid-configuration"


def encoded(value: Any) -> str:
    """Return bytes, or an object as JSON, in base64url."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_key(algorithm: str, key_id: str) -> ECKey | OKPKey | RSAKey:
    """Return a fresh key pair of the algorithm."""
    about = {"kid": key_id, "use": "sig", "alg": algorithm}
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, about)
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", about)
    return ECKey.generate_key("P-256", about)


def sign(key: ECKey | OKPKey | RSAKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token with that very header and those claims."""
    return sign_raw(key, json.dumps(dict(header)).encode(), json.dumps(dict(claims)).encode())


def sign_raw(key: ECKey | OKPKey | RSAKey, header: bytes, claims: bytes) -> str:
    """Return a token of these bytes, whatever they say."""
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[key.key_type]
    signed = f"{encoded(header)}.{encoded(claims)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # EdDSA has another name nowadays, which nobody uses
        model = jws.JWSRegistry.algorithms[algorithm]
    return f"{signed}.{encoded(model.sign(signed.encode(), key))}"


class Issuer:
    """A running issuer; `url` is what its tokens call it."""

    def __init__(self, algorithm: str = "ES256", path: str = "") -> None:
        self.algorithm = algorithm
        self.key = new_key(algorithm, "key-1")
        self.published = [self.key]
        self.asked: list[str] = []
        self.status = 200
        self.delay = 0.0
        self.about: dict[str, Any] = {}
        self._serial = 1
        self._jti = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.answer_post(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def jwks(self) -> bytes:
        """The keys that it publishes."""
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.published]}).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.asked.append(request.path)
        time.sleep(self.delay)
        about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.about}
        found = {DISCOVERY: json.dumps(about).encode(), "/keys": self.jwks}
        place = request.path.removeprefix("/" + self.url.partition("//")[2].partition("/")[2])
        body = found.get(place if place.startswith("/") else f"/{place}")
        request.send_response(self.status if body else 404)
        request.send_header("Content-Length", str(len(body or b"")))
        request.send_header("Location", "/elsewhere")
        request.end_headers()
        request.wfile.write(body or b"")

    def answer_post(self, request: BaseHTTPRequestHandler) -> None:
        """Refuse a form: whoever only issues tokens takes none."""
        request.send_error(405)

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with another key from now on, and publish the one before as well, or no longer."""
        self._serial += 1
        self.key = new_key(self.algorithm, f"key-{self._serial}")
        self.published = [*(self.published if keep else []), self.key]

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good token, with changes; None leaves a member out."""
        whole = {"alg": self.algorithm, "typ": "JWT", "kid": self.key.kid, **changes}
        return {name: value for name, value in whole.items() if value is not None}

    def claims(self, now: float | None = None, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token, with changes; None leaves a claim out."""
        now = time.time() if now is None else now
        self._jti += 1
        whole = {
            "iss": self.url,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + 300,
            "jti": f"{id(self)}-{self._jti}",
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def sign(self, changes: Mapping[str, Any], **header: Any) -> str:
        """Return a token that is good but for the changes."""
        return sign(self.key, self.header(**header), self.claims(**changes))
