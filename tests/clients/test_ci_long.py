"""A build that takes longer than the token that it signed in with is good for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import oidc
from clients.engines import Docker
from clients.marks import SLOW, needs
from conftest import PASSWORD
from moorage.model import presets
from process import Server
from registry import Registry, Repository, unique
from trusting import AUDIENCE, SETTINGS, Trusting

# Rights are the same on every store; with real clients, once is enough.
pytestmark = [pytest.mark.on("sqlite"), SLOW, *needs("docker")]

SECONDS = 8
CLAIMS = {"sub": "https://jenkins.example/job/shop/", "aud": AUDIENCE}


@pytest.fixture
def issuer() -> Iterator[oidc.Issuer]:
    """Run an issuer."""
    with oidc.Issuer() as running:
        yield running


def test_docker_outlives_the_token(
    docker: Docker,
    server: Callable[..., Server],
    issuer: oidc.Issuer,
    small: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Docker keeps a refresh token instead, which ends with the trust."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    running = server(
        env={
            "MOORAGE_ADMIN_USER": "admin",
            "MOORAGE_ADMIN_PASSWORD_FILE": str(password),
            **SETTINGS,
        }
    )
    home, trusting = unique("web"), Trusting(running)
    trusting.establish(home, issuer.url, presets.jenkins([CLAIMS["sub"]]))
    registry = Registry(running.url, ("admin", PASSWORD))
    repository = Repository(registry, f"{home}/shop")
    names = [f"{registry.authority}/{repository.name}:{tag}" for tag in ("early", "late", "never")]
    for name in names:
        docker.load(small(f"outlives-{name.rpartition(':')[2]}"), name)
    token = issuer.sign({**CLAIMS, "exp": int(time.time()) + SECONDS})
    ends = time.time() + SECONDS
    docker.login(registry.authority, f"{home}+ci", token).ok()
    try:
        kept = json.loads((docker.home / "config" / "config.json").read_text())
        assert kept["auths"][registry.authority]["identitytoken"]
        assert token not in str(kept)
        docker.push(names[0]).ok()
        time.sleep(max(0.0, ends + 1 - time.time()))
        Registry(running.url, (f"{home}+ci", token)).get("/v2/").expect(401)
        docker.push(names[1]).ok()
        docker.pull(names[0]).ok()
        assert repository.tagged("late")
        trusting.disable(home)
        docker.push(names[2]).refused()
        assert repository.tagged("never") is None
    finally:
        docker.logout(registry.authority)
