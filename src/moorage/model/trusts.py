"""Which tokens of other issuers stand for which robot: rules on claims, and whether they hold.

Pure: signatures, issuers and times are looked at before (`auth/assertions.py`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from moorage.model.access import Scope

IssuerKind = Literal["github", "gitlab", "jenkins", "kubernetes", "generic"]

# What says which workload it is whatever that is renamed to, where strangers have some as well.
PINS: dict[str, tuple[str, ...]] = {"github": ("repository_id",), "gitlab": ("project_id",)}
_PIN_OTHERWISE = ("sub",)
_WORKLOADS = ("repository_id", "repository", "project_id", "project_path")
# Looked at for every token alike; no rule is to be needed for them.
_CHECKED_ANYWAY = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
_MOST_RULES = 20
_MOST_PATTERNS = 20
_LONGEST_PATTERN = 512
_LONGEST_SHOWN = 100
_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}", re.ASCII)
_PATTERN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_PLAIN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_SEPARATOR = re.compile(r"([/:])")
_REF_KINDS = (("refs/heads/", "branch"), ("refs/tags/", "tag"))


class RuleRefused(Exception):
    """Rules that would let in more than whoever wrote them can mean."""


class Issuer(msgspec.Struct, frozen=True):
    """Somebody who issues identity tokens to machines; `shared` if to those of strangers as well.

    `jwks` are its keys where they can't be fetched, else empty.
    """

    id: int
    url: str
    kind: str
    shared: bool
    jwks: bytes
    ca_file: str
    enabled: bool
    created_at: int = 0
    created_by: str = ""


class Rule(msgspec.Struct, frozen=True):
    """One claim that must be as one of the patterns says, from its first character to its last.

    A `*` in a pattern is one or more characters without `/`, `:` and spaces.
    """

    claim: str
    patterns: tuple[str, ...]

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the claim is there and is one of what the rule allows."""
        value = text_of(claims.get(self.claim))
        return value is not None and any(_matches(each, value) for each in self.patterns)

    @property
    def is_exact(self) -> bool:
        """Whether it names whole values only."""
        return not any("*" in each for each in self.patterns)

    @property
    def shown(self) -> str:
        """What it allows, for a person."""
        told = [_shown(self.claim, each) for each in self.patterns]
        if self.claim == "ref":
            return " or ".join(told)
        return f"{self.claim} {' or '.join(told)}"


class Verdict(msgspec.Struct, frozen=True):
    """What one rule says of a token."""

    claim: str
    value: str
    allowed: tuple[str, ...]
    holds: bool


class Trust(msgspec.Struct, frozen=True):
    """Tokens of an issuer that stand for a robot: those of that audience that all rules hold for.

    `token_id` is the row that its bearers' rights hang on; `robot` and `namespace` are names.
    """

    id: int
    namespace_id: int
    namespace: str
    name: str
    issuer_id: int
    robot_id: int
    robot: str
    token_id: int
    audience: str
    rules: tuple[Rule, ...]
    scopes: tuple[Scope, ...] | None
    enabled: bool
    created_at: int = 0
    created_by: str = ""
    last_used_at: int = 0

    def judge(self, claims: Mapping[str, Any]) -> list[Verdict]:
        """Return what each rule says, the audience first."""
        audience = Verdict(
            "aud", _printed(claims.get("aud")), (self.audience,), self.is_for(claims.get("aud"))
        )
        return [
            audience,
            *(
                Verdict(
                    rule.claim,
                    _printed(claims.get(rule.claim)),
                    rule.patterns,
                    rule.holds(claims),
                )
                for rule in self.rules
            ),
        ]

    def is_for(self, audience: Any) -> bool:
        """Tell whether a token of that audience is for this trust, and for nobody besides."""
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        return isinstance(audience, str) and audience == self.audience

    def refusal(self, claims: Mapping[str, Any]) -> str:
        """Return why the token is not let in, in one sentence; empty if it is."""
        subject = f"subject {_printed(claims.get('sub'))}"
        if not self.is_for(claims.get("aud")):
            told = _printed(claims.get("aud"))
            return f"{subject}: its audience is {told}, this trust only allows {self.audience}"
        for rule in self.rules:
            if not rule.holds(claims):
                value = text_of(claims.get(rule.claim))
                told = f"{rule.claim} {_cut(value)}" if value is not None else f"no {rule.claim}"
                return f"{subject}: it has {told}, this trust only allows {rule.shown}"
        return ""

    def is_near(self, claims: Mapping[str, Any], pins: Sequence[str]) -> bool:
        """Tell whether the token is of a workload that the trust is about, let in or not.

        Only such a token's bearer is told of the rules, and only its use is written down. Among
        strangers that is the very workload; at an issuer of our own it may be a neighbour of it,
        where all that is known of a workload is its subject.
        """
        about = [rule for rule in self.rules if rule.claim in (pins or _WORKLOADS)]
        if about:
            return all(rule.holds(claims) for rule in about)
        subjects = [rule for rule in self.rules if rule.claim == "sub"]
        if subjects:
            return any(
                rule.holds(claims) or _is_beside(rule, claims.get("sub")) for rule in subjects
            )
        return any(rule.holds(claims) for rule in self.rules)


class Use(msgspec.Struct, frozen=True):
    """One sign-in by a trust, or why there was none; `claims` are those that rules look at."""

    at: int
    accepted: bool
    reason: str
    claims: Mapping[str, str]


def pins_of(kind: str, *, shared: bool) -> tuple[str, ...]:
    """Return which claims a trust in such an issuer must name by whole values, all of them."""
    return PINS.get(kind, _PIN_OTHERWISE) if shared else ()


def check_rules(rules: Sequence[Rule], pins: Sequence[str]) -> None:
    """Let rules pass that say enough about who is let in.

    Raises:
        RuleRefused: they don't; says what is missing.
    """
    if not 1 <= len(rules) <= _MOST_RULES:
        raise RuleRefused(f"a trust has from 1 to {_MOST_RULES} rules")
    claims = [rule.claim for rule in rules]
    if len(set(claims)) != len(claims):
        raise RuleRefused("there are two rules on one claim; one rule may have several patterns")
    for rule in rules:
        _check_rule(rule)
    for pin in pins:
        found = next((rule for rule in rules if rule.claim == pin), None)
        if found is None or not found.is_exact:
            raise RuleRefused(
                f"others run workloads at this issuer too: a rule must name the {pin}, "
                "without any *, since names can be taken by others later"
            )


def _check_rule(rule: Rule) -> None:
    if not _CLAIM.fullmatch(rule.claim):
        raise RuleRefused("the name of a claim has letters, digits and _ . : / -")
    if rule.claim in _CHECKED_ANYWAY:
        raise RuleRefused(f"{rule.claim} is looked at anyway; rules are on other claims")
    if not 1 <= len(rule.patterns) <= _MOST_PATTERNS:
        raise RuleRefused(f"a rule has from 1 to {_MOST_PATTERNS} patterns")
    for pattern in rule.patterns:
        if len(pattern) > _LONGEST_PATTERN or not _PATTERN.fullmatch(pattern):
            raise RuleRefused(
                f"a pattern has up to {_LONGEST_PATTERN} printable characters of ASCII"
            )
        if "**" in pattern:
            raise RuleRefused("a * stands for characters within one segment; ** has no meaning")
        if not re.search(r"[^*/:]", pattern):
            raise RuleRefused("a pattern must name something: a * alone lets everything in")


def text_of(value: Any) -> str | None:
    """Return the text that patterns are held against; None for what has none, such as a list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else None


def shown_claims(claims: Mapping[str, Any], rules: Sequence[Rule]) -> dict[str, str]:
    """Return what is written down of a token: its subject, and the claims that rules look at."""
    named = dict.fromkeys(("sub", "aud", *(rule.claim for rule in rules)))
    return {claim: _printed(claims.get(claim)) for claim in named if claim in claims}


def _matches(pattern: str, value: str) -> bool:
    if "*" not in pattern:
        return value == pattern
    if not _PLAIN.fullmatch(value):
        return False
    wanted, found = _SEPARATOR.split(pattern), _SEPARATOR.split(value)
    return len(wanted) == len(found) and all(map(_matches_segment, wanted, found))


def _matches_segment(pattern: str, text: str) -> bool:
    """Tell whether the text is the pattern's parts with something between them, in linear time.

    Not by a regular expression: several `*` could keep one busy for hours.
    """
    first, *parts = pattern.split("*")
    if not parts:
        return text == pattern
    if not text.startswith(first):
        return False
    place = len(first)
    for part in parts[:-1]:
        found = text.find(part, place + 1)
        if found < 0:
            return False
        place = found + len(part)
    return text.endswith(parts[-1]) and len(text) - len(parts[-1]) > place


def _is_beside(rule: Rule, subject: Any) -> bool:
    """Tell whether the subject differs in its last segment only from one that is allowed."""
    if not isinstance(subject, str):
        return False
    return any(_home_of(pattern) == _home_of(subject) for pattern in rule.patterns)


def _home_of(subject: str) -> list[str]:
    return _SEPARATOR.split(subject.rstrip("/"))[:-1] or [subject]


def _shown(claim: str, pattern: str) -> str:
    if claim == "ref":
        for prefix, kind in _REF_KINDS:
            if pattern.startswith(prefix):
                return f"{kind} {pattern.removeprefix(prefix)}"
    return pattern


def _printed(value: Any) -> str:
    if isinstance(value, list):
        return _cut(", ".join(each if isinstance(each, str) else "?" for each in value))
    text = text_of(value)
    return "none" if text is None else _cut(text)


def _cut(text: str) -> str:
    plain = "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in text)
    return plain if len(plain) <= _LONGEST_SHOWN else plain[: _LONGEST_SHOWN - 3] + "..."
