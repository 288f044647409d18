"""Configurations of images, read for people (image-spec, config.md).

Whoever pushed one may have written anything: each part is read on its own, one that is not what it
must be is left out and named, and nothing is built of what nobody asks for. Values that look like
secrets are masked: whoever may pull can read the bytes, but no screen and no log need show them.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

# What is longer is no configuration that anybody wrote.
MAX_CONFIG = 4 << 20
_MOST_ENTRIES = 2_000
_MOST_TEXT = 8_192
MASK = "***"

_NAME = (
    r"(?=[A-Za-z0-9_.-]*?"
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|api[_-]?key|private[_-]?key|access[_-]?key))"
    r"[A-Za-z0-9_.-]++"
)
# Each of these goes over a text once, whatever it is: nothing in them is tried again at another
# length. Annotations may have megabytes.
_NAMED_SECRET = re.compile(rf"{_NAME}\Z", re.IGNORECASE | re.ASCII)
_ASSIGNED_SECRET = re.compile(
    rf"(?<![A-Za-z0-9_.-])({_NAME})=(\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s\"';&|]++)",
    re.IGNORECASE | re.ASCII,
)
_SPACED_SECRET = re.compile(rf"\b(ENV|ARG)(\s++)({_NAME})(\s++)(\S.*)", re.IGNORECASE | re.ASCII)
_IN_ADDRESS = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@", re.ASCII)
# Within a line, what turns round the order in which letters are shown: one reads another command
# than the one that ran (https://trojansource.codes). Nobody needs it to write in any language.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
# How builders write it: a step of Docker's classic builder, and the comment of BuildKit.
_NOP = re.compile(r"\A/bin/sh -c #\(nop\)\s*", re.ASCII)
_SHELL = re.compile(r"\A(?:\|\d+\s.*?)?/bin/sh -c\s+", re.ASCII | re.DOTALL)
_BUILDKIT = "# buildkit"

Part = TypeVar("Part")


class Step(msgspec.Struct, frozen=True):
    """One instruction of the history; `is_empty` says that it made no layer."""

    instruction: str
    created: str
    comment: str
    is_empty: bool


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration says of an image, with what looks like a secret masked.

    `problems` names the parts that were not what they must be; they are empty here.
    """

    created: str = ""
    author: str = ""
    architecture: str = ""
    os: str = ""
    variant: str = ""
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    history: tuple[Step, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """The platform as people write it, such as `linux/arm64/v8`; empty if it is not told."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def is_root(self) -> bool:
        """Whether it runs as root: nobody else is named, which Windows has another user for."""
        name = self.user.partition(":")[0]
        if not name:
            return self.os != "windows"
        return name == "root" or not name.strip("0")


_NOTHING = msgspec.Raw(b"null")


class _Top(msgspec.Struct):
    created: msgspec.Raw = _NOTHING
    author: msgspec.Raw = _NOTHING
    architecture: msgspec.Raw = _NOTHING
    os: msgspec.Raw = _NOTHING
    variant: msgspec.Raw = _NOTHING
    config: msgspec.Raw = _NOTHING
    history: msgspec.Raw = _NOTHING


class _Run(msgspec.Struct, rename="pascal"):
    user: msgspec.Raw = _NOTHING
    working_dir: msgspec.Raw = _NOTHING
    stop_signal: msgspec.Raw = _NOTHING
    entrypoint: msgspec.Raw = _NOTHING
    cmd: msgspec.Raw = _NOTHING
    env: msgspec.Raw = _NOTHING
    exposed_ports: msgspec.Raw = _NOTHING
    volumes: msgspec.Raw = _NOTHING
    labels: msgspec.Raw = _NOTHING


class _Entry(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _Nothing(msgspec.Struct):
    """The value of a port or a volume, which says nothing."""


def parse_config(raw: bytes) -> ImageConfig:
    """Return what the bytes say, with their problems if they are no configuration.

    Never raises, whatever they are; of text, so much is kept as a page can show.
    """
    problems: list[str] = []
    top = _part(msgspec.Raw(raw), _Top, "the configuration", problems) or _Top()
    run = _part(top.config, _Run, "config", problems) or _Run()

    def text(raw: msgspec.Raw, where: str) -> str:
        return _shown(_part(raw, str, where, problems) or "")

    def texts(raw: msgspec.Raw, where: str) -> tuple[str, ...]:
        found = _part(raw, list[str], where, problems) or []
        return tuple(_shown(each) for each in _bounded(found, where, problems))

    def keys(raw: msgspec.Raw, where: str) -> tuple[str, ...]:
        found = _part(raw, dict[str, _Nothing | None], where, problems) or {}
        return tuple(_shown(each) for each in _bounded(sorted(found), where, problems))

    labels = _part(run.labels, dict[str, str], "Labels", problems) or {}
    entries = _part(top.history, list[_Entry], "history", problems) or []
    return ImageConfig(
        created=text(top.created, "created"),
        author=text(top.author, "author"),
        architecture=text(top.architecture, "architecture"),
        os=text(top.os, "os"),
        variant=text(top.variant, "variant"),
        user=text(run.user, "User"),
        working_dir=text(run.working_dir, "WorkingDir"),
        stop_signal=text(run.stop_signal, "StopSignal"),
        entrypoint=texts(run.entrypoint, "Entrypoint"),
        cmd=texts(run.cmd, "Cmd"),
        env=tuple(masked(each) for each in texts(run.env, "Env")),
        ports=keys(run.exposed_ports, "ExposedPorts"),
        volumes=keys(run.volumes, "Volumes"),
        labels={
            _shown(key): masked_field(key, _shown(labels[key]))
            for key in _bounded(sorted(labels), "Labels", problems)
        },
        history=tuple(_step(each) for each in _bounded(entries, "history", problems)),
        problems=tuple(problems),
    )


def masked(text: str) -> str:
    """Return a text without the values in it that look like secrets, and as it can be shown.

    Those are what is assigned to a name such as `API_TOKEN`, and passwords in addresses.
    """
    text = _ASSIGNED_SECRET.sub(rf"\1={MASK}", text)
    text = _SPACED_SECRET.sub(rf"\1\2\3\4{MASK}", text)
    name, assigned, value = text.partition("=")
    if assigned and value and _NAMED_SECRET.match(name):
        text = f"{name}={MASK}"  # an environment's value may have spaces
    return _TURNS.sub("\N{REPLACEMENT CHARACTER}", _IN_ADDRESS.sub(rf"\1:{MASK}@", text))


def masked_field(name: str, value: str) -> str:
    """Return what may be shown of a field, such as a label, by its name and what it has."""
    return MASK if _NAMED_SECRET.match(name) else masked(value)


def instruction_of(created_by: str) -> str:
    """Return a step of the history as its Dockerfile may have had it."""
    text = created_by.rstrip()
    text = text.removesuffix(_BUILDKIT).rstrip() if text.endswith(_BUILDKIT) else created_by
    if _NOP.match(text):
        return _NOP.sub("", text)
    found = _SHELL.match(text)
    if found:
        return f"RUN {text[found.end() :]}"
    if text.startswith("RUN "):
        inner = _SHELL.match(text[4:])
        return f"RUN {text[4 + inner.end() :]}" if inner else text
    return text


def _step(entry: _Entry) -> Step:
    return Step(
        masked(instruction_of(_shown(entry.created_by or ""))),
        _shown(entry.created or ""),
        masked(_shown(entry.comment or "")),
        bool(entry.empty_layer),
    )


def _part(raw: msgspec.Raw, kind: type[Part], where: str, problems: list[str]) -> Part | None:
    try:
        return msgspec.json.decode(raw, type=kind | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_deep = isinstance(error, RecursionError)
        problems.append(f"{where} is {'nested too deeply' if is_deep else 'not as it must be'}")
        return None


def _bounded(found: Any, where: str, problems: list[str]) -> Any:
    if len(found) > _MOST_ENTRIES:
        problems.append(f"{where} has {len(found):,} entries, of which {_MOST_ENTRIES:,} are shown")
    return found[:_MOST_ENTRIES]


def _shown(text: str) -> str:
    # A surrogate alone is no text that could be sent anywhere.
    text = text[: _MOST_TEXT + 1].encode("utf-8", "replace").decode()
    text = _TURNS.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"{text[:_MOST_TEXT]}…" if len(text) > _MOST_TEXT else text
