"""An example of each place in addresses, and of each body; a test holds them against the routes."""

from collections.abc import Mapping
from typing import Any

_DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PASSWORD = "correct horse battery staple"  # noqa: S105 - an example
_CI = "https://gitlab.example.com"

PARAMETERS: Mapping[str, Any] = {
    "namespace": "web",
    "account": "alice",
    "team": "dev",
    "robot": "ci",
    "repository": "web/shop",
    "principal": "alice",
    "token": 17,
    "issuer": 1,
    "provider": "corp",
    "rule": 3,
    "link": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "job": 42,
    "run": 8,
    "damage": 5,
    "trust": "shop",
    "tag": "1.0",
    "digest": _DIGEST,
    "reference": "1.0",
    "with": "1.1",
    "q": "shop",
    "action": "push",
}
# What an operation is asked about that could as well be asked about something else.
QUERIES: Mapping[str, str] = {"explain-access": "repository", "report-access": "namespace"}
# Where a word is one of several, the account's.
KINDS = "account"
BODIES: Mapping[str, Mapping[str, Any]] = {
    "set-up": {"secret": "mrg_…", "name": "alice", "password": _PASSWORD},
    "create-link": {"kind": "invitation", "name": "bob", "teams": ["web/dev"]},
    "find-link": {"secret": "mrg_…"},
    "redeem-link": {"secret": "mrg_…", "name": "bob", "password": _PASSWORD},
    "begin-session": {"name": "alice", "password": _PASSWORD},
    "create-account": {"name": "bob", "full_name": "Bob Builder", "email": "bob@example.com"},
    "change-account": {"enabled": False},
    "change-password": {"old": _PASSWORD, "new": "a quite different one"},
    "bind-account": {"provider": "corp", "subject": "3f9c-72"},
    "confirm-totp": {"ticket": "…", "code": "123456", "password": _PASSWORD},
    "remove-totp": {"password": _PASSWORD},
    "create-namespace": {"name": "web", "visibility": "private"},
    "change-namespace": {"visibility": "internal"},
    "create-team": {"name": "dev", "description": "who makes the shop"},
    "add-group": {"provider": "corp", "group": "developers"},
    "remove-group": {"provider": "corp", "group": "developers"},
    "create-robot": {"name": "ci", "description": "builds of the shop"},
    "change-robot": {"enabled": False},
    "create-robot-token": {
        "name": "pipeline",
        "scopes": [{"pattern": "web/shop", "actions": ["pull", "push"]}],
        "days": 90,
    },
    "put-grant": {"role": "writer"},
    "put-repository-grant": {"role": "reader"},
    "create-token": {
        "name": "laptop",
        "scopes": [{"pattern": "web/**", "actions": ["pull"]}],
        "days": 30,
    },
    "rotate-token": {"overlap_hours": 2},
    "create-rule": {"pattern": "v*", "exceptions": ["v*-rc*"]},
    "create-repository-rule": {"pattern": "latest", "move": "maintainer", "delete": "owner"},
    "try-rule": {"pattern": "v*"},
    "create-provider": {
        "name": "corp",
        "url": "https://login.example.com",
        "client_id": "moorage",
        "client_secret": "…",
    },
    "change-provider": {"enabled": False},
    "create-issuer": {"url": _CI, "kind": "gitlab"},
    "change-issuer": {"enabled": False},
    "create-trust": {
        "name": "shop",
        "issuer": _CI,
        "robot": "ci",
        "rules": [
            {"claim": "project_id", "patterns": ["20"]},
            {"claim": "ref", "patterns": ["main"]},
        ],
        "scopes": [{"pattern": "web/shop", "actions": ["pull", "push"]}],
    },
    "try-identity-token": {"token": "eyJhbGciOi.eyJpc3Mi.c2ln"},
    "change-trust": {"enabled": False},
    "exchange-token": {"token": "eyJhbGciOi.eyJpc3Mi.c2ln"},
    "create-repository": {"name": "web/shop", "visibility": "private"},
    "change-repository": {"visibility": "public"},
    "rename-repository": {"name": "web/store"},
    "put-about": {"description": "The shop of example.com", "readme": "# Shop\n"},
    "restore-tag": {"version": 3},
    "set-tag": {"reference": "1.0"},
    "preview-tags-deletion": {"tags": ["1.0", "1.1"]},
    "delete-tags": {"tags": [{"name": "1.0", "digest": _DIGEST}]},
    "restore-tags": {"tags": ["1.0", "1.1"]},
    "restore-repository": {"name": "web/old-shop"},
    "purge-content": {"digest": _DIGEST, "dry_run": True, "reason": "a key in a layer"},
    "start-verification": {"kind": "full", "repair": False},
}
