"""A namespace of a running server whose robot is trusted to an issuer, made beside the server.

`Trusting` opens the server's own database from another process, as one more replica would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from moorage.app import build, prepare
from moorage.config import load
from moorage.db import grants, members, namespaces, principals
from moorage.db.engine import Tx
from moorage.model.access import Actor, Role, Subject
from moorage.model.artifacts import TagChange
from moorage.model.trusts import Rule
from moorage.registry import exchange, issuers, trusts
from moorage.registry.issuers import NewIssuer
from moorage.registry.services import Services
from moorage.registry.trusts import NewTrust
from process import Server, free_port, is_listening

# What a server needs that is to ask an issuer on this machine.
SETTINGS = {"MOORAGE_OUTBOUND__ALLOW": "127.0.0.0/8"}
AUDIENCE = "https://registry.example"
PROVIDER = Path(__file__).parents[1] / ".venv-oidc" / "bin" / "oidc-provider-mock"
BY = TagChange("admin", "password", "test")


class Trusting:
    """The use cases of a server's registry, called beside it."""

    def __init__(self, server: Server) -> None:
        flags = {"data": str(server.data), "log.access": False}
        environment = {**server.env, **SETTINGS}
        self._config = load(None, environment, flags).config
        self._secret = prepare(self._config)

    def run(self, use: Callable[[Services], Awaitable[Any]]) -> Any:
        """Run the coroutine function with services of its own."""

        async def body() -> Any:
            s = await build(self._config, self._secret, "beside")
            try:
                return await use(s)
            finally:
                await s.blobs.close()
                await s.db.close()

        return asyncio.run(body())

    def establish(self, namespace: str, issuer: str, rules: tuple[Rule, ...]) -> None:
        """Make the namespace with a robot that may push, and let the issuer's tokens be it."""

        async def make(tx: Tx) -> Actor:
            place = await namespaces.add_namespace(tx, namespace, "organisation", "private", 1)
            assert place is not None
            robot = await members.add_principal(tx, "robot", place, f"{namespace}+ci", "", 1)
            assert robot is not None
            await grants.put_grant(tx, robot, (place, 0), Role.WRITER, "admin", 1)
            found = await principals.find_account(tx, "admin")
            assert found is not None
            return _actor(found)

        async def use(s: Services) -> None:
            admin = await s.db.write(make)
            known = await issuers.list_issuers(s, admin, 0, 1_000)
            if issuer not in [each.url for each in known]:
                await issuers.add_issuer(s, admin, NewIssuer(issuer), BY)
            wanted = NewTrust("ci", issuer, "ci", rules, AUDIENCE)
            await trusts.add_trust(s, admin, namespace, wanted, BY)

        self.run(use)

    def disable(self, namespace: str) -> None:
        """Put the namespace's trust out of force."""

        async def find(tx: Tx) -> Actor:
            found = await principals.find_account(tx, "admin")
            assert found is not None
            return _actor(found)

        async def use(s: Services) -> None:
            admin = await s.db.read(find)
            await trusts.set_trust_enabled(s, admin, namespace, "ci", BY, enabled=False)

        self.run(use)

    def exchange(self, text: str, robot: str) -> str:
        """Return the token that one of the issuer's is exchanged for."""

        async def use(s: Services) -> str:
            return (await exchange.exchange(s, text, "test", robot)).token

        found: str = self.run(use)
        return found


def _actor(found: principals.Account) -> Actor:
    subject = Subject(found.id, 0, found.generation)
    return Actor("account", found.name, "password", subject=subject)


class Provider:
    """A real OpenID provider, run as a program; it gives tokens to whoever is the subject."""

    def __init__(self, claims: Mapping[str, Any], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._subject = claims["sub"]
        self._log = log
        self._command = [str(PROVIDER), "--port", str(self.port), "--token-max-age", "300"]
        self._command += ["--user-claims", json.dumps(dict(claims))]

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not is_listening(self.port):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def token(self, audience: str) -> str:
        """Return an identity token for the audience, by the flow that browsers go through."""
        back = "http://127.0.0.1/back"
        asked = {
            "client_id": audience,
            "redirect_uri": back,
            "response_type": "code",
            "scope": "openid",
        }
        place = f"{self.url}/oauth2/authorize?{urlencode(asked)}"
        answer = post(place, {"sub": self._subject}, {})
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        secret = base64.b64encode(f"{quote(audience, safe='')}:any".encode()).decode()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        answer = post(f"{self.url}/oauth2/token", form, {"Authorization": f"Basic {secret}"})
        token: str = json.loads(answer.read())["id_token"]
        return token


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:
    """Send a form, and return the answer, a redirect or a refusal among them."""
    request = urllib.request.Request(url, urlencode(form).encode(), dict(headers))
    try:
        return urllib.request.build_opener(_Staying).open(request, timeout=10)
    except urllib.error.HTTPError as answer:
        return answer
