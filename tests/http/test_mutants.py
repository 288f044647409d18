"""Holes put into a copy of the program, which the matrix must find: it is no better than these."""

from __future__ import annotations

from pathlib import Path

import pytest

from cast import Cast
from matrix import PROBES, holes
from mutants import Mutant, spoiled, unchecked

pytestmark = pytest.mark.metadata

PULLS = "require(actor, Action.PULL, RepositoryTarget(name), found.facts)"
PUSHES = "require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)"
SESSION = f"target = UploadOf(name, route.reference)\n    {PUSHES}\n    upload ="
CATALOG = "require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))"
MUTANTS = [
    unchecked(
        "manifests are read unasked",
        "v2/manifests.py",
        "require(actor, Action.PULL, _target(name, reference), found.facts)",
    ),
    unchecked(
        "blobs are read unasked",
        "v2/blobs.py",
        "require(actor, Action.PULL, target, found.facts)",
    ),
    Mutant(
        "tags are listed unasked",
        "v2/listing.py",
        f"    {PULLS}\n",
        "",
    ),
    unchecked(
        "referrers are listed unasked",
        "v2/listing.py",
        "require(actor, Action.PULL, RepositoryTarget(name), target.facts)",
    ),
    Mutant(
        "extensions are told unasked",
        "v2/app.py",
        f"        {PULLS}\n",
        "",
    ),
    Mutant(
        "everybody lists the catalog",
        "v2/listing.py",
        f"    {CATALOG}\n    limit = _limit(request, listing.DEFAULT",
        "    limit = _limit(request, listing.DEFAULT",
    ),
    unchecked("everybody searches", "v2/listing.py", "await search.require_search(s, actor)"),
    unchecked(
        "everybody opens uploads",
        "v2/uploads.py",
        "require(actor, Action.PUSH, RepositoryTarget(name), "
        "(await rights.find(s, actor, name)).facts)",
    ),
    Mutant(
        "everybody asks for uploads",
        "v2/uploads.py",
        SESSION + " await uploads.find_upload",
        "upload = await uploads.find_upload",
    ),
    Mutant(
        "sessions are anybody's",
        "model/access.py",
        'return f"{self.kind}:{self.subject.principal_id}"',
        'return "somebody"',
    ),
    Mutant(
        "internal is public",
        "auth/policy.py",
        'action is Action.PULL and facts.visibility == "public"',
        'action is Action.PULL and facts.visibility != "private"',
    ),
    Mutant(
        "private is internal",
        "auth/policy.py",
        'facts.visibility != "private" and facts.exists',
        "facts.exists",
    ),
    Mutant(
        "scopes are ignored",
        "auth/policy.py",
        "is_for = _covers(actor.scopes, action, target)",
        "is_for = True",
    ),
    Mutant(
        "a scope is for every namespace",
        "model/access.py",
        "name.startswith(self.pattern[:-2])",
        "True",
    ),
    Mutant(
        "a scope is for every action",
        "model/access.py",
        "if not self.allows(action):",
        "if not self.actions:",
    ),
    Mutant(
        "what has ended goes on",
        "auth/policy.py",
        "    if not facts.standing:\n        return",
        "    if facts.standing is None:\n        return",
    ),
    unchecked(
        "a revoked token goes on",
        "db/access.py",
        ".where(_token.c.revoked_at == LIVE)",
    ),
    unchecked(
        "a disabled account goes on",
        "db/access.py",
        ".where(_principal.c.enabled == ONE)",
    ),
    Mutant(
        "an expired token goes on",
        "auth/credentials.py",
        "if holder.expires_at and holder.expires_at <= now:",
        "if holder.expires_at < 0:",
    ),
    Mutant(
        "a grant is for every namespace",
        "db/access.py",
        "        .where(_grant.c.namespace_id == sa.func.coalesce(namespace_id, _NOWHERE))\n",
        "",
    ),
    Mutant(
        "a grant is for every repository",
        "db/access.py",
        ".where(_grant.c.repository_id == place)",
        ".where(_grant.c.repository_id >= LIVE)",
    ),
    Mutant("readers push", "auth/policy.py", "Action.PUSH: 2,", "Action.PUSH: 1,"),
    Mutant("writers delete", "auth/policy.py", "Action.DELETE: 3,", "Action.DELETE: 2,"),
    Mutant("owners alone delete", "auth/policy.py", "Action.DELETE: 3,", "Action.DELETE: 4,"),
    Mutant(
        "auditors push",
        "auth/policy.py",
        "facts.rank >= needed else",
        "facts.rank + facts.audits >= needed else",
    ),
    Mutant(
        "everybody is an administrator",
        "auth/policy.py",
        'if facts.standing > 1:\n        return "administrator"',
        'if facts.standing > 0:\n        return "administrator"',
    ),
    Mutant(
        "blobs are mounted from anywhere",
        "registry/mounts.py",
        "if found.repository is not None\n        and decide(",
        "if found.repository is not None\n        or decide(",
    ),
    Mutant(
        "the catalog shows all",
        "registry/listing.py",
        "return actor.scopes is None and (await rights.find_standing(s, actor)).standing > 1",
        "return actor.is_signed_in",
    ),
    Mutant(
        "the catalog shows what one could read once",
        "db/readable.py",
        "        .where(shown(readable) == ONE)\n",
        "",
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_every_hole_can_still_be_made(mutant: Mutant) -> None:
    """The texts are those of the program: a hole that can't be made proves nothing."""
    assert mutant.can_be_made()


@pytest.mark.deep
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_the_matrix_finds_the_hole(mutant: Mutant, tmp_path: Path) -> None:
    """Some answer of the program with the hole is not the one expected."""
    place = spoiled(mutant, tmp_path)
    with Cast({"PYTHONPATH": str(place)}) as cast:
        assert next(holes(cast, PROBES), ""), "nothing was noticed"
