"""An OpenID provider on loopback that people sign in by, and that lies where a test wants it to.

    with IdentityProvider() as provider:
        provider.person = {"sub": "1", "preferred_username": "alice", "groups": ["dev"]}
        query = provider.consent(location)   # what the browser is sent back with

It is as strict as a provider must be: the client's secret, the redirect address and PKCE are
looked at, and a code is good once. `changes` and `header` spoil the identity tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import oidc

CLIENT, SECRET = "moorage", "a secret & more"


class IdentityProvider(oidc.Issuer):
    """A running provider with one client; `person` is who signs in next."""

    def __init__(self, algorithm: str = "ES256") -> None:
        super().__init__(algorithm)
        self.person: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}
        self.header_changes: dict[str, Any] = {}
        self.secret = SECRET
        self.names_itself = True
        self.raw_token: str | None = None
        self.forms: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._tell()

    def _tell(self) -> None:
        self.about = {
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "authorization_response_iss_parameter_supported": True,
        }

    def consent(self, location: str) -> dict[str, str]:
        """Sign in whoever comes by that address, and return the query of the way back."""
        assert location.startswith(f"{self.url}/authorize?"), location
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        named = {"iss": self.url} if self.names_itself else {}
        return {"code": code, "state": asked["state"], **named}

    def answer_post(self, request: BaseHTTPRequestHandler) -> None:
        """Exchange a code for an identity token."""
        raw = request.rfile.read(int(request.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(raw).items()}
        self.forms.append(form)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_ours(request, form, asked):
            self._send(request, 400, {"error": "invalid_grant"})
            return
        about = {"aud": CLIENT, "nonce": asked["nonce"], **self.person, **self.changes}
        token = (
            self.sign(about, **self.header_changes) if self.raw_token is None else self.raw_token
        )
        self._send(request, 200, {"id_token": token, "access_token": "x", "token_type": "Bearer"})

    def _is_ours(
        self, request: BaseHTTPRequestHandler, form: dict[str, str], asked: dict[str, str]
    ) -> bool:
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        user, _, secret = base64.b64decode(pair).decode().partition(":")
        given = (unquote_plus(user), unquote_plus(secret))
        if "token_endpoint_auth_methods_supported" in self.about:
            kind, given = "Basic", (form.get("client_id", ""), form.get("client_secret", ""))
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        return (
            kind == "Basic"
            and given == (CLIENT, self.secret)
            and form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == asked["redirect_uri"]
            and oidc.encoded(challenge) == asked["code_challenge"]
        )

    def _send(self, request: BaseHTTPRequestHandler, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
