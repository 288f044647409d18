"""What deploy/ has for compose and for systemd: read by the programs it is for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from process import find_tool, require_tool

pytestmark = pytest.mark.on("sqlite")

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ONE = {"MOORAGE_PASSWORD_FILE"}
FLEET = ONE | {
    "MOORAGE_URL",
    "MOORAGE_STORAGE",
    "MOORAGE_S3_ENDPOINT",
    "AWS_CREDENTIALS_FILE",
    "DATABASE_PASSWORD_FILE",
    "PGPASS_FILE",
    "CERTIFICATE_FILE",
}
COMPOSED = {"compose.yaml": ONE, "compose.ha.yaml": FLEET}
REPLICAS = ("moorage1:5000", "moorage2:5000", "moorage3:5000")
MOST_EXPOSED = 1.5


Composed = subprocess.CompletedProcess[str]
Compose = Callable[..., Composed]


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    """Return a function that lets docker-compose read a file with these variables alone."""
    settings = tmp_path / "env"

    def read(file: str, variables: set[str], *words: str) -> Composed:
        settings.write_text("".join(f"{name}=./given\n" for name in variables))
        command = ["docker-compose", f"--env-file={settings}", f"--file={DEPLOY / file}", "config"]
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(
            [*command, *words], env=env, capture_output=True, text=True, check=False
        )

    return read


@require_tool("docker-compose")
@pytest.mark.parametrize("file", COMPOSED)
def test_compose_takes_the_file(compose: Compose, file: str) -> None:
    done = compose(file, COMPOSED[file], "--services")
    assert done.returncode == 0, done
    services = set(done.stdout.split())
    moorage = {"moorage"} if file == "compose.yaml" else {"moorage1", "moorage2", "moorage3"}
    assert services == moorage | (set() if file == "compose.yaml" else {"postgres", "proxy"})
    whole = compose(file, COMPOSED[file]).stdout
    assert whole.count("restart: unless-stopped") == len(services)
    assert whole.count("MOORAGE_ADMIN_PASSWORD_FILE: /run/secrets/password") == len(moorage)


@require_tool("docker-compose")
@pytest.mark.parametrize(
    ("file", "variable"),
    [(file, name) for file, names in COMPOSED.items() for name in sorted(names)],
)
def test_nothing_starts_without_its_secrets_and_addresses(
    compose: Compose, file: str, variable: str
) -> None:
    """There is no default password, and nothing points to somebody else's server."""
    done = compose(file, COMPOSED[file] - {variable})
    assert done.returncode != 0
    assert variable in done.stderr


def test_the_proxy_of_the_fleet_is_configured_as_printed() -> None:
    replicas = [word for address in REPLICAS for word in ("--replica", address)]
    command = [sys.executable, "-m", "moorage", "config", "proxy", "haproxy", *replicas]
    command += ["--cert", "/run/secrets/registry.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (DEPLOY / "haproxy.cfg").read_text()


@require_tool("systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    unit = tmp_path / "moorage.service"
    own = str(Path(sys.executable).with_name("moorage"))
    text = (DEPLOY / "moorage.service").read_text()
    unit.write_text(text.replace("/opt/moorage/bin/moorage", own))
    analyze = find_tool("systemd-analyze") or ""
    verified = subprocess.run(
        [analyze, "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    security = [analyze, "security", "--offline=true", "--no-pager", unit]
    rated = subprocess.run(security, capture_output=True, text=True, check=True).stdout
    exposed = float(rated.partition("Overall exposure level for moorage.service: ")[2].split()[0])
    assert exposed <= MOST_EXPOSED, rated
