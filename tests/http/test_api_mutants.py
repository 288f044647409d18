"""Holes put into a copy of the program, which the matrix of the API must find, each of them.

Most operations are decided on twice, by their handler and by what it calls: one of the two missing
is no hole. These are where there is one decision, or where both are wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from api_matrix import ANSWERS, SLOW, Stage, holes
from cast import Cast
from mutants import Mutant, spoiled, unchecked

pytestmark = pytest.mark.metadata

ADMINISTRATOR = "    await rights.require_administrator(s, actor)\n"
OWN = 'is_own = actor.kind == "account" and actor.name == '
SEES = "rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)\n    page"
CONFIGURES = (
    "    require(actor, Action.CONFIGURE, target, (await rights.find(s, actor, name)).facts)\n"
)
GROUPS_SEEN = "rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)\n    found"
GROUPS_READ = """await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        team = await belonging.present(tx, _KIND, namespace, name)
        return sorted"""
MUTANTS = [
    unchecked(
        "repositories are shown unasked",
        "api/repositories.py",
        "require(actor, Action.PULL, RepositoryTarget(name), found.facts)",
    ),
    unchecked(
        "search is for whatever token", "api/search.py", "await search.require_search(s, actor)"
    ),
    unchecked(
        "metrics are shown unasked",
        "api/app.py",
        "require(actor, Action.METRICS, System(), await rights.find_standing(s, actor))",
    ),
    unchecked(
        "namespaces are anybody's",
        "registry/rights.py",
        "require(actor, action, Namespace(name), found.facts)",
    ),
    Mutant(
        "repositories are anybody's to configure",
        "registry/rights.py",
        "    require(actor, action, RepositoryTarget(name), found.facts)\n",
        "",
        (
            (
                "registry/namespaces.py",
                CONFIGURES,
                "",
            ),
        ),
    ),
    Mutant(
        "everybody lists accounts",
        "api/accounts.py",
        ADMINISTRATOR + "    page",
        "    page",
        (
            (
                "registry/accounts.py",
                ADMINISTRATOR + "    return await s.db.read(lambda tx: accounts.list_accounts",
                "    return await s.db.read(lambda tx: accounts.list_accounts",
            ),
        ),
    ),
    Mutant(
        "everybody sees every account",
        "registry/accounts.py",
        "            await rights.allow_administrator(tx, actor)\n",
        "            pass\n",
    ),
    Mutant(
        "everybody lists issuers",
        "api/issuers.py",
        ADMINISTRATOR + "    page",
        "    page",
        (
            (
                "registry/issuers.py",
                ADMINISTRATOR + "    return await s.db.read(lambda tx: issuers.list_issuers",
                "    return await s.db.read(lambda tx: issuers.list_issuers",
            ),
        ),
    ),
    Mutant(
        "everybody lists providers",
        "api/providers.py",
        ADMINISTRATOR + "    page",
        "    page",
        (
            (
                "registry/providers.py",
                ADMINISTRATOR + "    return await s.db.read(lambda tx: providers.list_providers",
                "    return await s.db.read(lambda tx: providers.list_providers",
            ),
        ),
    ),
    Mutant(
        "everybody says whose an account is outside",
        "api/accounts.py",
        ADMINISTRATOR + "    asked = await call.asked(Identity)",
        "    asked = await call.asked(Identity)",
        (
            (
                "registry/providers.py",
                ADMINISTRATOR + "    provider, subject = identity",
                "    provider, subject = identity",
            ),
            (
                "registry/providers.py",
                "        await rights.hold_administration(tx, actor, [known.id])\n",
                "",
            ),
        ),
    ),
    Mutant(
        "readers see which groups teams are",
        "api/groups.py",
        GROUPS_SEEN,
        GROUPS_SEEN.replace("SEE_ACCESS", "PULL"),
        (("registry/teams.py", GROUPS_READ, GROUPS_READ.replace("SEE_ACCESS", "PULL")),),
    ),
    Mutant(
        "people sign in by a provider that is out of force",
        "registry/outside.py",
        "if found is None or not found.enabled:",
        "if found is None:",
    ),
    Mutant(
        "a sign-in is good in every browser",
        "registry/outside.py",
        'f"sign-in\\0{state}\\0{secret}"',
        'f"sign-in\\0{state}"',
    ),
    Mutant(
        "who has an account signs out everybody",
        "registry/passwords.py",
        OWN + "name",
        'is_own = actor.kind == "account"',
    ),
    Mutant(
        "who has a password takes away everybody's second factor",
        "registry/totp.py",
        OWN + "name",
        'is_own = actor.kind == "account"',
    ),
    Mutant(
        "a password is changed under any name",
        "api/accounts.py",
        '    if call.name("account") != actor.name:\n        raise NotFound\n',
        "",
    ),
    Mutant(
        "a confined token is good for its account",
        "auth/policy.py",
        "if actor.scopes is not None or actor.bound is not None:",
        "if actor.scopes is None and actor.bound is not None:",
    ),
    Mutant(
        "a bearer is good for all that its owner may",
        "auth/policy.py",
        "is_asked = _covers(actor.bound, action, target)",
        "is_asked = True",
    ),
    Mutant(
        "a bearer tells what its owner may",
        "auth/policy.py",
        "    if reason and is_for and _can_be_asked(action, target):\n",
        "    if reason and is_for:\n",
    ),
    Mutant(
        "auditors manage",
        "auth/policy.py",
        "{Action.AUDIT, Action",
        "{Action.MANAGE_ACCESS, Action",
    ),
    Mutant("maintainers manage", "auth/policy.py", "MANAGE_ACCESS: 4", "MANAGE_ACCESS: 3"),
    Mutant("writers configure", "auth/policy.py", "CONFIGURE: 3", "CONFIGURE: 2"),
    Mutant(
        "everybody makes organisations",
        "auth/policy.py",
        "{Action.PING, Action.CATALOG}",
        "{Action.PING, Action.CATALOG, Action.CREATE_NAMESPACE}",
    ),
    Mutant(
        "the first question tells that a place is there",
        "api/app.py",
        "if refused.disclose or not route.is_of_place:",
        "if refused.disclose or route.is_of_place:",
    ),
    Mutant(
        "what is there is disclosed to everybody",
        "auth/policy.py",
        "disclose = may_pull and covers(",
        "disclose = facts.has_namespace or covers(",
    ),
    Mutant(
        "everybody sees the whole trail",
        "registry/audit.py",
        "require(actor, Action.AUDIT, System(),",
        "require(actor, Action.CATALOG, System(),",
    ),
    Mutant(
        "readers see the trail of a namespace",
        "registry/audit.py",
        "require(actor, Action.AUDIT, Namespace(namespace)",
        "require(actor, Action.PULL, Namespace(namespace)",
    ),
    Mutant(
        "the trail of a namespace is that of all",
        "registry/audit.py",
        "    return by if all(by.values()) else None",
        "    return {}",
    ),
    Mutant(
        "readers see who may what",
        "api/grants.py",
        "rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)",
        "rights.require_namespace(s, actor, Action.PULL, call.namespace)",
        (
            (
                "registry/grants.py",
                "await _allow(tx, actor, Action.SEE_ACCESS, where)",
                "await _allow(tx, actor, Action.PULL, where)",
            ),
        ),
    ),
    Mutant(
        "readers see robots",
        "registry/belonging.py",
        "place = await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)",
        "place = await rights.allow_namespace(tx, actor, Action.PULL, namespace)",
        (
            (
                "api/robots.py",
                f"{SEES} = call.page()\n    rows = await robots",
                SEES.replace("SEE_ACCESS", "PULL") + " = call.page()\n    rows = await robots",
            ),
        ),
    ),
    Mutant(
        "readers have the tokens of robots",
        "registry/tokens.py",
        "await rights.allow_namespace(tx, actor, action, home)",
        "await rights.allow_namespace(tx, actor, Action.PULL, home)",
    ),
    Mutant(
        "tokens are anybody's who has an account",
        "registry/tokens.py",
        'elif actor.kind == "account" and actor.name == whose:',
        'elif actor.kind == "account":',
    ),
    Mutant(
        "administrators make tokens of others",
        "registry/tokens.py",
        'if is_making and known.kind == "account" and not _is_own(actor, known):',
        "if False:",
    ),
    Mutant(
        "everybody is told what others may",
        "registry/explain.py",
        "        if not is_own:\n            await _allow(tx, actor, where)\n",
        "",
    ),
    Mutant(
        "who asks about himself is told what is hidden",
        "registry/explain.py",
        "if is_own and not (decision.allowed or decision.disclose):",
        "if is_own and decision.ended:",
    ),
    Mutant(
        "namespaces are listed to everybody",
        "registry/namespaces.py",
        "sees_all = decide(actor, Action.ADMINISTER, System(), facts).allowed",
        "sees_all = actor.is_signed_in",
    ),
    Mutant(
        "robots and teams of all namespaces are listed",
        "db/members.py",
        '    .where(principal.c.namespace_id == sa.bindparam("namespace_id"))\n',
        '    .where(sa.bindparam("namespace_id") > sa.literal_column("0"))\n',
    ),
    Mutant(
        "trusts of all namespaces are listed",
        "db/trusts.py",
        '    _trusts.where(trust.c.namespace_id == sa.bindparam("namespace_id"))\n',
        '    _trusts.where(sa.bindparam("namespace_id") > sa.literal_column("0"))\n',
    ),
    Mutant(
        "tokens are given for what one may not",
        "registry/bearers.py",
        "if decide(actor, action, target, facts[each.name]).allowed",
        "if actor.is_signed_in",
    ),
    Mutant(
        "everybody is told who has done it",
        "auth/policy.py",
        "return not is_confined and (facts.standing > 1 or",
        "return not is_confined and (facts.standing > 0 or",
    ),
    Mutant(
        "a confined token is told who has done it",
        "auth/policy.py",
        "return not is_confined and (facts",
        "return (facts",
    ),
    Mutant(
        "readers are told by what it was done",
        "registry/history.py",
        "decide(actor, Action.AUDIT,",
        "decide(actor, Action.PULL,",
    ),
    Mutant(
        "what was public is told of in the trash",
        "registry/repositories.py",
        "require(actor, Action.DELETE, RepositoryTarget(name), hidden)",
        "require(actor, Action.DELETE, RepositoryTarget(name), found.facts)",
    ),
    Mutant("writers delete", "auth/policy.py", "DELETE: 3", "DELETE: 2"),
    Mutant(
        "readers see the trash",
        "registry/trash.py",
        "rights.allow_repository(tx, actor, Action.DELETE,",
        "rights.allow_repository(tx, actor, Action.PULL,",
        (("api/trash.py", "require(actor, Action.DELETE, R", "require(actor, Action.PULL, R"),),
    ),
    Mutant(
        "everybody purges",
        "api/purge.py",
        ADMINISTRATOR,
        "",
        (
            ("registry/purge.py", ADMINISTRATOR + "    change", "    change"),
            (
                "registry/purge.py",
                "        await rights.allow_administrator(tx, self._actor)\n",
                "",
            ),
        ),
    ),
    Mutant(
        "everybody sees jobs",
        "api/jobs.py",
        ADMINISTRATOR + "    page",
        "    page",
        (
            (
                "registry/jobs.py",
                ADMINISTRATOR + "    return await s.db.read(\n        lambda",
                "    return await s.db.read(\n        lambda",
            ),
        ),
    ),
    Mutant(
        "everybody begins checks",
        "api/verification.py",
        ADMINISTRATOR + "    asked",
        "    asked",
        (
            ("registry/verification.py", ADMINISTRATOR + "    steps_of", "    steps_of"),
            (
                "registry/verification.py",
                "        await rights.hold_administration(tx, actor)\n",
                "",
            ),
        ),
    ),
    Mutant(
        "everybody lets damage go",
        "api/verification.py",
        ADMINISTRATOR + "    await damage.discard",
        "    await damage.discard",
        (
            (
                "registry/damage.py",
                ADMINISTRATOR + "\n    async def write",
                "    async def write",
            ),
            ("registry/damage.py", "        await rights.hold_administration(tx, actor)\n", ""),
        ),
    ),
    Mutant(
        "pages sign in by any password",
        "registry/sign_in.py",
        "if account is None or not right:",
        "if account is None:",
    ),
]
NAMED = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)


@NAMED
def test_every_hole_can_still_be_made(mutant: Mutant) -> None:
    """The texts are those of the program: a hole that can't be made proves nothing."""
    assert mutant.can_be_made()


@NAMED
@pytest.mark.deep
@pytest.mark.timeout(300)
def test_the_matrix_finds_the_hole(mutant: Mutant, tmp_path: Path) -> None:
    """Some answer of the program with the hole is not the one expected."""
    place = spoiled(mutant, tmp_path)
    with Cast({"PYTHONPATH": str(place)}) as cast, Stage(cast) as stage:
        found = (
            hole for name in sorted(ANSWERS, key=SLOW.__contains__) for hole in holes(stage, name)
        )
        assert next(found, ""), "nothing was noticed"
