"""Settings: defaults, a TOML file, the environment, flags; each remembers where it came from.

An unknown key is refused with its line and the nearest known one: a typing error must never turn
into a default that nobody asked for.
"""

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from moorage.errors import Refused

PREFIX = "MOORAGE_"
GIB = 1 << 30
SYSTEM_FILE = Path("/etc/moorage/moorage.toml")
_STORAGE = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9][A-Za-z0-9._/-]*)?", re.ASCII)
_ENDPOINT = re.compile(r"https?://[^/\s?#@]+(/[^\s?#]*)?", re.ASCII)
# Not what the system takes for an address in an old way of writing, as 10.1 or 0x7f000001.
_HOST = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z_][A-Za-z0-9_-]{0,62}\.?", re.ASCII)
# By version; the widest are those of private networks, 10.0.0.0/8 and fc00::/7.
_WIDEST = {4: 8, 6: 7}
_LONGEST_WINDOW = 30 * 24 * 3_600
# How many hours the address of a blob in an object store is good for, at least.
_ADDRESS = 1 / 3
# What the command line reads by itself, and what Kubernetes adds for a Service called `moorage`.
_NOT_OURS = re.compile(
    r"MOORAGE_(CONFIG|TRACE|SERVER|TOKEN_FILE|SERVICE_(HOST|PORT\w*)|PORT(_\d+_\w+)?)"
)


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The certificate and key, PEM files; read again when they change."""

    cert: str = ""
    key: str = ""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error: JSON lines, or text for a person at a terminal."""

    format: Literal["auto", "json", "text"] = "auto"
    access: bool = True


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds that keep one client from taking what all need."""

    manifest_bytes: int = 4 << 20
    tags_per_push: int = 250
    body_idle_seconds: float = 60.0
    keepalive_seconds: float = 75.0
    drain_seconds: float = 30.0
    upload_hours: float = 24.0
    uploads_per_repository: int = 1_000
    failed_sign_ins: int = 20
    anonymous_pulls: int = 0
    anonymous_pulls_seconds: int = 6 * 3_600
    free_bytes: int = GIB


class S3(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an object store is spoken to; its credentials come by the usual chain of AWS clients."""

    endpoint: str = ""
    region: str = ""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    part_bytes: int = 16 << 20
    encryption: Literal["", "AES256", "aws:kms"] = ""
    encryption_key: str = ""
    ca_file: str = ""


class Redirects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether clients fetch a blob from the object store themselves, and for whom it is reversed.

    `except_repositories` has names of namespaces and repositories, `except_clients` networks.
    """

    blobs: bool = True
    except_repositories: tuple[str, ...] = ()
    except_clients: tuple[str, ...] = ()


class Outbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server may connect to by itself where others than its administrator say so.

    `allow` has networks that are inside, beside all that is public.
    """

    allow: tuple[str, ...] = ()


class Collection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When what nothing names any more is removed, and what makes collection stop by itself."""

    every_minutes: float = 10.0
    lease_hours: float = 24.0
    delay_hours: float = 24.0
    stop_count: int = 1_000
    stop_percent: int = 25


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the bytes of every blob are read to see that they are right, and how fast."""

    scrub_days: float = 30.0
    mib_per_second: float = 100.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting of the server, typed; made by `load`."""

    listen: tuple[str, ...] = ("127.0.0.1:5000",)
    data: str = "~/.local/share/moorage"
    database: str = ""
    database_connections: int = 8
    storage: str = ""
    url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    workers: int = 0
    allow_sparse: Literal["never", "indexes", "always"] = "indexes"
    visibility: Literal["private", "internal", "public"] = "private"
    trash_days: int = 14
    admin_user: str = ""
    admin_password_file: str = ""
    admin_socket: Literal["auto", "on", "off"] = "auto"
    s3: S3 = S3()
    redirect: Redirects = Redirects()
    outbound: Outbound = Outbound()
    tls: Tls = Tls()
    log: Log = Log()
    limits: Limits = Limits()
    collection: Collection = Collection()
    verification: Verification = Verification()

    @property
    def directory(self) -> Path:
        """The data directory."""
        return Path(self.data).expanduser().absolute()

    @property
    def is_embedded(self) -> bool:
        """Whether metadata is kept by SQLite in the data directory."""
        return not self.database

    @property
    def uses_directory(self) -> bool:
        """Whether anything is kept in the data directory."""
        return not (self.database and self.storage)

    @property
    def worker_count(self) -> int:
        """How many processes serve; 0 in the settings means one for each core, at most 4."""
        return self.workers or min(os.cpu_count() or 1, 4)


class Loaded(msgspec.Struct, frozen=True):
    """The settings, for each dotted key where its value came from, and the file that was read."""

    config: Config
    origins: Mapping[str, str]
    file: Path | None = None


def find_file(named: Path | str | None, environment: Mapping[str, str]) -> Path | None:
    """Return the file of settings: the one named, or by the environment, or the system's if any."""
    chosen = named or environment.get("MOORAGE_CONFIG")
    if chosen:
        return Path(chosen)
    return SYSTEM_FILE if SYSTEM_FILE.exists() else None


def load(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Loaded:
    """Return the settings; flags win over the environment, that over the file.

    `flags` has dotted keys; None values are flags that were not given.

    Raises:
        Refused: an unknown key, a value of the wrong kind, or a file that can't be read.
    """
    known = dict(_keys(Config))
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for key, value, origin in (
        *_from_file(file, known),
        *_from_environment(environment, known),
        *((key, value, "flag") for key, value in flags.items() if value is not None),
    ):
        values[key] = _typed(key, value, origin, known[key])
        origins[key] = origin
    config = msgspec.convert(_nested(values), Config)
    _check(config, origins)
    return Loaded(config, origins, file)


def flatten(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield each dotted key with its value, in the order of the documentation."""
    for key, _ in _keys(Config):
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part)
        yield key, value


def written(value: Any) -> str:
    """Return a value as TOML would write it, without the passwords that are in it."""
    text = msgspec.json.encode(value).decode()
    # An address may carry a password, and what is printed is pasted into bug reports.
    text = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"([?&](?:ssl)?password=)[^&\s\"]*", r"\1***", text)


def _keys(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field.type


def _from_file(file: Path | None, known: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    if file is None:
        return
    try:
        text = file.read_text()
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(
            f"{file} can't be read.",
            why=str(error),
            do="Correct it, or leave --config out.",
            exit_code=2,
        ) from error
    for key, value in _flat(document, ""):
        line = _line_of(text, key)
        if key not in known:
            raise _unknown(f"{file}:{line}", key, known, key)
        yield key, value, f"{file}:{line}"


def _flat(document: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _line_of(text: str, key: str) -> int:
    table, _, last = key.rpartition(".")
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.fullmatch(r"\[([^\[\]]+)\]\s*(?:#.*)?", stripped)
        if header is not None:
            here = header[1].replace(" ", "").replace('"', "")
        name = stripped.partition("=")[0].strip().strip('"')
        if (here == table and name == last) or (not here and name == key):
            return number
    return 1


def _from_environment(
    environment: Mapping[str, str], known: Mapping[str, Any]
) -> Iterator[tuple[str, Any, str]]:
    for name, value in environment.items():
        if name.startswith(PREFIX) and not _NOT_OURS.fullmatch(name):
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            if key not in known:
                raise _unknown("the environment", name, known, key)
            yield key, value, f"${name}"


def _unknown(where: str, shown: str, known: Mapping[str, Any], key: str) -> Refused:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return Refused(
        f"{where}: there is no setting {shown!r}.",
        why="An unknown setting is refused, because it would silently do nothing.",
        do=f"The nearest one is {near[0]!r}. `moorage config show` lists all.",
        exit_code=2,
    )


def _typed(key: str, value: Any, origin: str, kind: Any) -> Any:
    if kind == tuple[str, ...] and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, str) and kind is bool:
        value = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(
            value.lower(), value
        )
    if key == "allow_sparse" and str(value).lower() in ("true", "false", "1", "0"):
        value = "always" if str(value).lower() in ("true", "1") else "never"
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise Refused(
            f"{origin}: {key} can't be {value!r}.",
            why=str(error),
            do="docs/reference/configuration.md says what each setting takes.",
            exit_code=2,
        ) from error


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in values.items():
        *tables, last = key.split(".")
        place = document
        for table in tables:
            place = place.setdefault(table, {})
        place[last] = value
    return document


def _is_endless(value: Any) -> bool:
    return isinstance(value, float | int) and not 0 <= value < math.inf


def _proxy_problem(text: str) -> str:
    """Return why that does not name proxies, empty if it does."""
    if text == "*":
        return "trusting every proxy would let anybody be anybody"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "" if _HOST.fullmatch(text) else f"{text!r} is no address, network or name"
    if network.prefixlen < _WIDEST[network.version]:
        return f"{text} has more than proxies in it: anybody there could be anybody"
    return ""


def _is_network(text: str) -> bool:
    try:
        return bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def _check(config: Config, origins: Mapping[str, str]) -> None:
    for key, is_wrong, problem in (*_misfits(config), *_store_misfits(config)):
        if is_wrong:
            raise Refused(
                f"{origins[key]}: {key} is not usable.",
                why=problem[0].upper() + problem[1:] + ".",
                do="Correct it, or leave it out.",
                exit_code=2,
            )


def _misfits(config: Config) -> Iterator[tuple[str, bool, str]]:
    """Yield keys with whether their value can't be used, and why it then can't."""
    yield (
        "tls.cert",
        bool(config.tls.cert) != bool(config.tls.key),
        "a certificate needs its key, and a key its certificate",
    )
    yield (
        "admin_user",
        bool(config.admin_user) != bool(config.admin_password_file),
        "admin_user and admin_password_file go together",
    )
    for text in config.trusted_proxies:
        problem = _proxy_problem(text)
        yield "trusted_proxies", bool(problem), problem
    yield (
        "url",
        bool(config.url) and not re.fullmatch(r'https?://[^/\s?#"\\]+', config.url),
        "it is the address that clients use, as https://registry.example",
    )
    yield "listen", not config.listen, "the server needs an address to listen on"
    for name, value in flatten(config):
        yield name, _is_endless(value), "it must be a number from 0 that ends"
    yield "trash_days", config.trash_days > 3_650, "ten years are the most"
    yield "limits.failed_sign_ins", config.limits.failed_sign_ins < 1, "everybody errs once"
    yield (
        "limits.anonymous_pulls_seconds",
        not 1 <= config.limits.anonymous_pulls_seconds <= _LONGEST_WINDOW,
        "from a second to 30 days",
    )
    yield "collection.every_minutes", config.collection.every_minutes <= 0, "it takes some time"
    yield "collection.lease_hours", config.collection.lease_hours <= 0, "a push takes some time"
    yield "collection.stop_percent", not 1 <= config.collection.stop_percent <= 100, "1 to 100"
    yield (
        "verification.scrub_days",
        config.verification.scrub_days > 3_650,
        "ten years are the most",
    )
    yield "workers", not 0 <= config.workers <= 256, "from 0 (one for each core, at most 4) to 256"


def _store_misfits(config: Config) -> Iterator[tuple[str, bool, str]]:
    yield (
        "collection.delay_hours",
        bool(config.storage) and config.redirect.blobs and config.collection.delay_hours < _ADDRESS,
        "clients may fetch what they were given an address for within 20 minutes",
    )
    yield (
        "database",
        bool(config.database) and not re.match(r"postgres(ql)?://", config.database),
        "it is an address as postgresql://user@host/name, or empty",
    )
    yield (
        "database_connections",
        config.database_connections < 1,
        "each process needs a connection",
    )
    yield (
        "storage",
        bool(config.storage) and not _STORAGE.fullmatch(config.storage),
        "it is a bucket and a prefix as s3://bucket/prefix, or empty",
    )
    yield (
        "s3.endpoint",
        bool(config.s3.endpoint) and not _ENDPOINT.fullmatch(config.s3.endpoint),
        "it is the address of an object store, as https://s3.example, or empty for AWS",
    )
    yield (
        "s3.part_bytes",
        not (5 << 20) <= config.s3.part_bytes <= (1 << 30),
        "parts have from 5 MiB to 1 GiB",
    )
    yield (
        "s3.encryption_key",
        bool(config.s3.encryption_key) and config.s3.encryption != "aws:kms",
        'a key is for encryption = "aws:kms"',
    )
    for text in config.redirect.except_clients:
        yield "redirect.except_clients", not _is_network(text), f"{text!r} is no network"
    for text in config.outbound.allow:
        yield "outbound.allow", not _is_network(text), f"{text!r} is no network"
