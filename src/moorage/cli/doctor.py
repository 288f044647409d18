"""`moorage doctor`: looks at what usually goes wrong, and says what to do about it."""

import asyncio
import base64
import os
import shutil
import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import aiohttp
import click
import msgspec

from moorage.cli.doctor_push import Probe
from moorage.cli.doctor_stores import examine_database, examine_storage
from moorage.cli.finding import Finding
from moorage.clock import new_id
from moorage.config import Config
from moorage.errors import Refused
from moorage.outbound import Client, open_client
from moorage.web.listen import parse_address

_FEW_FILES = 4_096
_SKEW_SECONDS = 60
_SLOW_FSYNC = 0.05
_NAMES = {"ok": "OK  ", "warn": "WARN", "fail": "FAIL"}


def examine(config: Config, *, as_json: bool) -> None:
    """Run every check and print the findings.

    Raises:
        Refused: with exit code 7, when a check failed.
    """
    local = [_directory(config), _fsync(config), _space(config)] if config.uses_directory else []
    findings = [*local, _files(), *asyncio.run(_elsewhere(config))]
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            click.echo(f"{_NAMES[finding.state]}  {finding.check:<14} {finding.found}")
            if finding.do:
                click.echo(f"      {'':<14} Do: {finding.do}")
    bad = [finding.check for finding in findings if finding.state == "fail"]
    if bad:
        raise Refused(
            f"{len(bad)} of {len(findings)} checks failed: {', '.join(bad)}.", exit_code=7
        )


def _directory(config: Config) -> Finding:
    place = config.directory
    if not place.exists():
        return Finding(
            "data directory", "warn", f"{place} is not there yet", "moorage serve makes it"
        )
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "data directory",
            "fail",
            f"{place} can't be written by uid {os.getuid()}",
            f"chown -R {os.getuid()} {place}",
        )
    mode = place.stat().st_mode & 0o077
    if mode:
        return Finding("data directory", "warn", f"{place} is open to others", f"chmod 700 {place}")
    return Finding("data directory", "ok", str(place))


def _fsync(config: Config) -> Finding:
    place = config.directory if config.directory.exists() else _nearest(config.directory)
    probe = place / f".doctor-{new_id()}"
    try:
        began = time.perf_counter()
        with probe.open("xb") as file:
            file.write(os.urandom(4_096))
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        seconds = time.perf_counter() - began
    except OSError as error:
        return Finding("fsync", "fail", str(error), "use a local disk that can be written")
    finally:
        probe.unlink(missing_ok=True)
    state: Literal["ok", "warn"] = "warn" if seconds > _SLOW_FSYNC else "ok"
    advice = "every push waits for this; use a faster disk" if state == "warn" else ""
    return Finding("fsync", state, f"{seconds * 1000:.1f} ms for a file and its entry", advice)


def _space(config: Config) -> Finding:
    usage = shutil.disk_usage(_nearest(config.directory))
    free = f"{usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.1f}"
    if usage.free < config.limits.free_bytes:
        return Finding(
            "disk space",
            "fail",
            free,
            "pushes are refused now: free space, or lower limits.free_bytes",
        )
    if usage.free < 2 * config.limits.free_bytes:
        return Finding("disk space", "warn", free, "pushes will soon be refused")
    return Finding("disk space", "ok", free)


def _files() -> Finding:
    most = os.sysconf("SC_OPEN_MAX")
    if most < _FEW_FILES:
        return Finding(
            "open files", "warn", f"{most} at most", "raise the limit (LimitNOFILE=65536)"
        )
    return Finding("open files", "ok", f"{most} at most")


async def _elsewhere(config: Config) -> list[Finding]:
    found = await examine_database(config) if config.database else []
    found += await examine_storage(config) if config.storage else []
    return [*found, *await _reach(config)]


async def _reach(config: Config) -> list[Finding]:
    base = config.url or _own_address(config)
    if not base:
        return [Finding("port", "warn", "the server listens on no TCP address to try")]
    if not config.url and not _answers(base):
        return [
            Finding("port", "warn", f"nothing answers at {base}", "start it with moorage serve")
        ]
    found = []
    async with open_client(base, _credentials(config), verify=bool(config.url)) as client:
        probe = Probe(client, config)
        try:
            found.append(await _clock(client))
            found.append(await probe.push_and_pull())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            found.append(
                Finding(
                    "address",
                    "fail",
                    f"{base}: {type(error).__name__} {error}",
                    "check that the address and the proxy are right; a certificate of your own"
                    " making is known by SSL_CERT_FILE",
                )
            )
        finally:  # also where somebody interrupts it
            found += await probe.clear()
    return found


async def _clock(client: Client) -> Finding:
    reply = await client.request("GET", "/healthz")
    told = reply.headers.get("date")
    if told is None:
        return Finding("clock", "warn", "the answer has no date", "a proxy removes it")
    skew = abs(parsedate_to_datetime(told).timestamp() - time.time())
    if skew > _SKEW_SECONDS:
        return Finding("clock", "fail", f"{skew:.0f} s apart", "set the clocks by NTP")
    return Finding("clock", "ok", "the same here and there")


def _credentials(config: Config) -> dict[str, str]:
    if not config.admin_user:
        return {}
    try:
        password = Path(config.admin_password_file).read_text().rstrip("\r\n")
    except OSError as error:
        raise Refused(
            f"{config.admin_password_file} can't be read.",
            why=str(error),
            do="Run doctor as the server's user.",
        ) from error
    pair = f"{config.admin_user}:{password}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def _own_address(config: Config) -> str:
    for text in config.listen:
        address = parse_address(text)
        if not address.path:
            host = address.host if address.is_loopback else "127.0.0.1"
            shown = f"[{host}]" if ":" in host else host
            return f"{'https' if config.tls.cert else 'http'}://{shown}:{address.port}"
    return ""


def _answers(base: str) -> bool:
    host, _, port = base.partition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except OSError:
        return False


def _nearest(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place
