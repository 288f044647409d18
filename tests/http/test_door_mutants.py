"""Holes put into what shows and changes images, search, storage and pages: tests must notice each.

A hole is noticed by the tests that stand beside it, which are run against a copy of the program
with the hole in it. Where both a handler and what it calls decide, both are wrong here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mutants import Mutant, spoiled, unchecked

pytestmark = pytest.mark.metadata

ROOT = Path(__file__).parents[2]
MATRIX = "http/test_api_matrix.py::test_the_matrix"
SEES = "http/test_pages.py::test_who_sees_it"
FORMS = "http/test_page_forms.py::test_no_form_does_anything_for_who_may_not"
OTHER_PAGE = "http/test_pages.py::test_no_other_page_sends_a_form"
OWN_FORM = "http/test_pages.py::test_a_form_is_of_its_own_session"

ADMINISTRATOR = "    await rights.require_administrator(s, actor)\n"
REPOSITORY = "await rights.require_repository(s, actor, Action.{}, name)"
PULLS = "require(actor, Action.PULL, RepositoryTarget(name), found.facts)"
FOUND = "require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name))"


def wider(title: str, *places: tuple[str, str], was: str = "PULL", now: str = "PING") -> Mutant:
    """Return the hole where another right will do, everywhere that it is decided on."""
    right = re.compile(rf"Action\.(?:{was})\b")
    changes = [(file, text, right.sub(f"Action.{now}", text)) for file, text in places]
    assert all(old != new for _, old, new in changes)
    return Mutant(title, *changes[0], also=tuple(changes[1:]))


IMAGE = (
    ("registry/images.py", "rights.require_repository(s, actor, Action.PULL, name)"),
    ("registry/images.py", PULLS),
)
TABLE = ("registry/tag_table.py", PULLS)
UNTAGGED = ("registry/untagged.py", "rights.allow_repository(tx, actor, Action.PULL, name)")
HISTORY = ("registry/history.py", PULLS)
USAGE = (
    (
        "registry/pulls.py",
        "place = await rights.allow_repository(tx, actor, Action.PULL, name)\n        since",
    ),
    (
        "registry/pulls.py",
        "place = await rights.allow_repository(tx, actor, Action.PULL, name)\n        return",
    ),
)
STORAGE = tuple(
    (
        "registry/storage.py",
        f"place = await rights.require_namespace(s, actor, Action.PULL, namespace)\n{behind}",
    )
    for behind in ("    wanted", "    found")
)
ABOUT_READ = ("registry/about.py", "rights.allow_repository(tx, actor, Action.PULL, name)")
ABOUT_WRITTEN = (
    "registry/about.py",
    "rights.hold(tx, actor, Action.CONFIGURE, RepositoryTarget(name))",
)
COPIED = (
    ("registry/tagging.py", "rights.require_repository(s, actor, Action.PULL, place)"),
    ("registry/tagging.py", "rights.allow_repository(tx, actor, Action.PULL, place)"),
)
TAGGED = "found = await rights.hold(tx, actor, Action.PUSH, TagOf(name, tag))\n        "
GUARDED = (
    "registry/delete.py",
    "found = await hold(tx, actor, Action.DELETE, RepositoryTarget(name))\n    if",
)
CONFIGURED = REPOSITORY.format("CONFIGURE") + "\n"
CHANGED = "    by = change_by(actor, visit.request)\n"
READ = "await call.asked"
RENAMED = "rights.require_repository(s, actor, "
SET = ("registry/tagging.py", TAGGED + "if found.repository is None")
COPY = ("registry/tagging.py", TAGGED + "there =")
NAMED = "require(actor, Action.PUSH, TagOf(name, tag), (await rights.find(s, actor, name)).facts)"

# The API, and what the command line has by it.
API = [
    (wider("everybody is told what a repository is about", ABOUT_READ), f"{MATRIX}[get-about]"),
    *(
        (
            wider(
                f"{who} say what a repository is about",
                ("api/about.py", "rights.require_repository(s, actor, Action.CONFIGURE"),
                ABOUT_WRITTEN,
                was="CONFIGURE",
                now=right,
            ),
            f"{MATRIX}[put-about]",
        )
        for who, right in (("readers", "PULL"), ("writers", "PUSH"))
    ),
    (
        Mutant(
            "what has been changed meanwhile is overwritten",
            "registry/about.py",
            "readme, expected=expected, now=now",
            "readme, expected=None, now=now",
        ),
        "http/test_about.py::test_the_second_of_two_is_told",
    ),
    (wider("everybody is told of pulls", USAGE[0]), f"{MATRIX}[get-pulls]"),
    (wider("everybody is told of pulls by tag", USAGE[1]), f"{MATRIX}[list-tag-pulls]"),
    (
        Mutant(
            "the list of images has all",
            "registry/repository_table.py",
            "whole = await sees_all(s, actor)",
            "whole = True",
            (("registry/repository_table.py", "is None or not may_read:", "is None:"),),
        ),
        f"{MATRIX}[list-images]",
    ),
    (
        wider(
            "everybody sees the table of tags",
            ("api/images.py", f"{FOUND}.facts)\n    page = call.page()\n    found"),
            TABLE,
        ),
        f"{MATRIX}[list-tag-lines]",
    ),
    (
        wider(
            "everybody sees what has no tag",
            ("api/images.py", f"{FOUND}.facts)\n    page = call.page()\n    after"),
            UNTAGGED,
        ),
        f"{MATRIX}[list-untagged]",
    ),
    (
        wider("everybody sees images", ("api/images.py", f"{FOUND}.facts)\n    found"), *IMAGE),
        f"{MATRIX}[get-image]",
    ),
    (
        wider(
            "images are compared with what is hidden",
            (
                "api/images.py",
                "require(actor, Action.PULL, RepositoryTarget(other), (await rights",
            ),
            *IMAGE,
        ),
        f"{MATRIX}[compare-images]",
    ),
    (
        Mutant(
            "layers tell of what is hidden",
            "registry/sharing.py",
            "        if whole:",
            "        if digest:",
        ),
        "contract/test_images.py::test_where_else_a_layer_is_tells_nothing_of_what_is_hidden",
    ),
    (
        Mutant(
            "layers tell of what a token is not for",
            "registry/sharing.py",
            "if each != own and is_covered(actor, each)",
            "if each != own",
        ),
        "contract/test_images.py::test_where_else_a_layer_is_tells_nothing_of_what_is_hidden",
    ),
    (
        Mutant(
            "search tells the names of what is hidden",
            "registry/search.py",
            "allowed = decide(actor, Action.PULL, RepositoryTarget(name), found.facts).allowed",
            "allowed = True",
        ),
        "http/test_search.py::test_exact_names_and_digests_are_not_told_to_strangers",
    ),
    (
        Mutant(
            "search finds everybody's",
            "registry/search.py",
            "allowed = decide(actor, Action.PULL, RepositoryTarget(name), found.facts).allowed",
            "allowed = True",
            (("registry/search.py", "limit, sees_all=sees_all)", "limit, sees_all=True)"),),
        ),
        f"{MATRIX}[search]",
    ),
    (
        Mutant(
            "search finds content that a token is not for",
            "registry/search.py",
            "if not content:",
            "if name:",
        ),
        "http/test_search.py::test_a_confined_token_finds_no_content_beyond_it",
    ),
    (
        Mutant(
            "bytes are told to who sees one repository",
            "registry/storage.py",
            "await usage.find_usage(tx, each.id) if may_read else None",
            "await usage.find_usage(tx, each.id)",
        ),
        f"{MATRIX}[list-storage]",
    ),
    *(
        (
            wider(f"everybody is told {what}", ("api/storage.py", door), room),
            f"{MATRIX}[{name}]",
        )
        for what, name, door, room in (
            (
                "what repositories take",
                "list-namespace-storage",
                "rights.require_namespace(s, actor, Action.PULL, call.namespace)\n    page",
                STORAGE[1],
            ),
            (
                "which blobs are large",
                "get-largest-blobs",
                "rights.require_namespace(s, actor, Action.PULL, call.namespace)\n    found",
                STORAGE[0],
            ),
        )
    ),
    (
        Mutant(
            "everybody is told what a clean-up would free",
            "api/storage.py",
            ADMINISTRATOR,
            "",
            (
                *(
                    ("registry/collection.py", ADMINISTRATOR + then, then)
                    for then in (
                        "    now = s.clock.now()\n\n    async def read(tx: Tx) -> State:",
                        "    now = s.clock.now()\n\n    async def read(tx: Tx) -> list[Planned]:",
                    )
                ),
            ),
        ),
        f"{MATRIX}[get-clean-up]",
    ),
    (
        wider("readers set tags", ("api/tagging.py", NAMED), SET, was="PUSH", now="PULL"),
        f"{MATRIX}[set-tag]",
    ),
    (
        wider("readers copy to tags", ("api/tagging.py", NAMED), COPY, was="PUSH", now="PULL"),
        f"{MATRIX}[set-tag]",
    ),
    (
        wider("what is hidden is copied", *COPIED),
        "contract/test_tagging.py::test_nothing_is_copied_from_what_the_actor_may_not_read",
    ),
    (
        Mutant(
            "protected tags are set by hand",
            "registry/tagging.py",
            "            guard=guard.of(tag),\n            change=change,",
            "            guard=guard.of(Tag('free')),\n            change=change,",
        ),
        "http/test_protected_tags.py::test_an_immutable_tag_is_not_set_by_hand",
    ),
    (
        Mutant(
            "tags are set whatever they name",
            "registry/tagging.py",
            "            digest,\n            condition=condition,",
            "            digest,\n            condition=Condition(),",
        ),
        "contract/test_tagging.py::test_a_tag_that_is_not_as_expected_stays",
    ),
    (
        wider(
            "writers delete tags",
            (
                "api/tagging.py",
                REPOSITORY.format("DELETE") + "\n    by = change_by(actor, call.request)\n"
                "    try:\n        await delete.delete_tag",
            ),
            (
                "registry/delete.py",
                "found = await hold(tx, actor, Action.DELETE, RepositoryTarget(name))\n    if",
            ),
            was="DELETE",
            now="PUSH",
        ),
        f"{MATRIX}[delete-tag]",
    ),
    (
        wider(
            "writers rename",
            ("registry/renaming.py", "rights.hold_repository(tx, actor, Action.CONFIGURE, name)"),
            (
                "api/repositories.py",
                f"{RENAMED}Action.CONFIGURE, call.repository)\n    asked = {READ}(Rename)",
            ),
            was="CONFIGURE",
            now="PUSH",
        ),
        f"{MATRIX}[rename-repository]",
    ),
    (
        unchecked(
            "a repository's owner names it as he may not push",
            "registry/renaming.py",
            "    require(actor, Action.PUSH, RepositoryTarget(wanted), there.facts)",
        ),
        "http/test_page_forms.py::test_who_owns_one_repository_names_it_as_he_may_push",
    ),
]

# The pages: first what they must not show, then forms that must not count.
PAGES = [
    *(
        (wider(title, (f"ui/{file}", door), *rooms), f"{SEES}[{page}]")
        for title, page, file, door, rooms in (
            (
                "everybody sees the page of tags",
                "repository",
                "repository.py",
                PULLS,
                (TABLE, ABOUT_READ),
            ),
            ("everybody sees the page of pulls", "usage", "pulls.py", PULLS, USAGE),
            ("everybody sees what is about", "about", "about.py", PULLS, (ABOUT_READ,)),
            ("everybody sees the history", "history", "history.py", PULLS, (HISTORY,)),
            (
                "everybody sees the page of what has no tag",
                "untagged",
                "untagged.py",
                PULLS,
                (UNTAGGED,),
            ),
            (
                "everybody is sent to images",
                "tag",
                "images.py",
                f"{PULLS}\n    try",
                IMAGE,
            ),
            (
                "everybody sees the page of an image",
                "image",
                "images.py",
                f"{PULLS}\n    place =",
                IMAGE,
            ),
            (
                "everybody is sent to comparisons",
                "compare-pick",
                "compare.py",
                f"{PULLS}\n    a, b",
                (),
            ),
            (
                "everybody sees comparisons",
                "compare",
                "compare.py",
                f"{PULLS}\n    place",
                IMAGE,
            ),
            (
                "everybody sees what a namespace takes",
                "namespace-storage",
                "storage.py",
                "rights.require_namespace(s, actor, Action.PULL, name)",
                STORAGE,
            ),
        )
    ),
    (
        wider(
            "readers see the settings",
            ("ui/settings.py", f"{CONFIGURED}    place"),
            ("registry/rules.py", "require(actor, Action.CONFIGURE, place, found.facts)"),
            ("registry/trash.py", "rights.allow_repository(tx, actor, Action.DELETE, name)"),
            was="CONFIGURE|DELETE",
            now="PULL",
        ),
        f"{SEES}[settings]",
    ),
    (
        Mutant(
            "everybody sees the page of jobs",
            "ui/jobs.py",
            ADMINISTRATOR + "    state = visit",
            "    state = visit",
            (
                (
                    "registry/jobs.py",
                    ADMINISTRATOR + "    return await s.db.read(\n        lambda",
                    "    return await s.db.read(\n        lambda",
                ),
            ),
        ),
        f"{SEES}[jobs]",
    ),
    (
        unchecked(
            "pages search for whatever token",
            "ui/search.py",
            "await search.require_search(s, actor)",
        ),
        "http/test_pages.py::test_a_confined_token_searches_no_page",
    ),
    (
        Mutant(
            "pages tell what is hidden from what is not there",
            "ui/app.py",
            "if refused.disclose or not page.is_of_place:",
            "if refused.disclose or page.is_of_place:",
        ),
        f"{SEES}[repository]",
    ),
    (
        Mutant(
            "a namespace without anything to see is shown",
            "ui/namespaces.py",
            "if found.namespace is None or not (page.rows or may_see):",
            "if found.namespace is None:",
        ),
        "http/test_pages.py::test_a_namespace_that_nobody_may_see_is_not_there",
    ),
    (
        Mutant(
            "open pages are told of all pushes",
            "registry/feed.py",
            "        if await _readable(tx, actor, push.repository) != push.repository_id:\n"
            "            return False\n",
            "",
        ),
        "http/test_live.py::test_only_those_are_told_who_may_read_it",
    ),
    (
        Mutant(
            "the first page has all pushes",
            "registry/feed.py",
            "if readable[name] == push.repository_id:",
            "if True:",
        ),
        "http/test_pages.py::test_the_first_page_has_no_push_of_what_is_hidden",
    ),
    (
        Mutant("texts are markup", "ui/rendering.py", "autoescape=True,", "autoescape=False,"),
        "http/test_pages.py::test_hostile_texts_are_texts",
    ),
    (
        Mutant(
            "links of a README are of any kind",
            "ui/markdown.py",
            '_LINK = re.compile(r"(?:https?://|mailto:|#)"',
            '_LINK = re.compile(r""',
        ),
        "unit/ui/test_markdown.py",
    ),
    (
        Mutant("scripts read the cookie of a session", "web/cookies.py", "; HttpOnly", ""),
        "http/test_pages.py::test_the_cookie_of_a_session_is_for_no_script_and_no_other_site",
    ),
    (
        Mutant(
            "signing in leads to another site",
            "ui/page.py",
            'return text if is_own_place(text) else "/"',
            'return text or "/"',
        ),
        "http/test_pages.py::test_nobody_is_sent_away_from_here",
    ),
    (
        Mutant(
            "signing out ends nothing",
            "ui/sessions.py",
            "await sign_in.sign_out(s, visit.session, ",
            "(s, visit.session, ",
        ),
        "http/test_pages.py::test_signing_in_and_out",
    ),
    (
        Mutant(
            "any page sends forms",
            "ui/page.py",
            "if not is_own_page(self.request, self.url):",
            "if not self.request:",
        ),
        OTHER_PAGE,
    ),
    (
        Mutant(
            "any origin is ours",
            "web/origin.py",
            "[own_origin(request, url)] and _is_own(request)",
            'request.headers.getall("Origin", []) and _is_own(request)',
        ),
        OTHER_PAGE,
    ),
    (
        Mutant(
            "what the browser says of the site is ignored",
            "web/origin.py",
            "[own_origin(request, url)] and _is_own(request)",
            "[own_origin(request, url)]",
        ),
        OTHER_PAGE,
    ),
    (
        Mutant("any body is a form", "ui/page.py", "if kind != _FORM_TYPE:", "if not _FORM_TYPE:"),
        OTHER_PAGE,
    ),
    (
        Mutant(
            "a form needs no token",
            "ui/page.py",
            "if not self._is_own_form():",
            "if not self._form:",
        ),
        OWN_FORM,
    ),
    (
        Mutant(
            "a form is of every session",
            "ui/page.py",
            'hashlib.sha256(b"form\\0" + self._form_secret.encode())',
            'hashlib.sha256(b"form\\0")',
        ),
        OWN_FORM,
    ),
    *(
        (wider(title, *places, was=was, now="PULL"), FORMS)
        for title, was, *places in (
            (
                "readers send the form of what is about",
                "CONFIGURE",
                ("ui/about.py", REPOSITORY.format("CONFIGURE")),
                ABOUT_WRITTEN,
            ),
            (
                "readers send the form for visibility",
                "CONFIGURE",
                ("ui/settings.py", CONFIGURED + CHANGED + "    await namespaces.set_visibility"),
                (
                    "registry/namespaces.py",
                    "    require(actor, Action.CONFIGURE, target, (await rights.find",
                ),
                (
                    "registry/namespaces.py",
                    "before = await rights.hold_repository(tx, actor, Action.CONFIGURE, name)",
                ),
            ),
            (
                "readers send the form for names",
                "CONFIGURE",
                ("ui/settings.py", CONFIGURED + "    wanted = RepositoryName"),
                (
                    "registry/renaming.py",
                    "rights.hold_repository(tx, actor, Action.CONFIGURE, name)",
                ),
            ),
            (
                "readers send the form that deletes",
                "DELETE",
                ("ui/settings.py", REPOSITORY.format("DELETE") + "\n    if"),
                (
                    "registry/repositories.py",
                    "rights.hold_repository(tx, actor, Action.DELETE, name)",
                ),
            ),
            (
                "readers send the form that deletes tags",
                "DELETE",
                ("ui/repository.py", REPOSITORY.format("DELETE")),
                GUARDED,
            ),
            (
                "readers send the form that deletes images",
                "DELETE",
                ("ui/images.py", REPOSITORY.format("DELETE") + "\n    by"),
                GUARDED,
            ),
            (
                "readers send the form that restores tags",
                "PUSH",
                ("ui/history.py", NAMED),
                (
                    "registry/restore.py",
                    "hold(tx, actor, Action.PUSH, TagOf(name, tag))",
                ),
            ),
        )
    ),
    (
        wider(
            "readers bring images back from the trash",
            ("ui/images.py", REPOSITORY.format("DELETE") + "\n    place"),
            ("registry/restore.py", "hold(tx, actor, Action.DELETE, RepositoryTarget(name))"),
            was="DELETE",
            now="PULL",
        ),
        "http/test_page_forms.py::test_who_may_not_delete_brings_no_image_back",
    ),
    (
        Mutant(
            "everybody starts clean-ups",
            "ui/clean_up.py",
            ADMINISTRATOR + "    await collection.start",
            "    await collection.start",
            (
                (
                    "registry/collection.py",
                    ADMINISTRATOR + "\n    async def write(tx: Tx) -> None:\n"
                    "        await rights.hold_administration(tx, actor)\n",
                    "\n    async def write(tx: Tx) -> None:\n",
                ),
            ),
        ),
        FORMS,
    ),
    (
        Mutant(
            "a repository is deleted by a slip",
            "ui/settings.py",
            'if visit.field("name").strip() != name:',
            "if not name:",
        ),
        "http/test_page_forms.py::test_settings_of_a_repository",
    ),
]
HOLES = [*API, *PAGES]
NAMED_HOLES = pytest.mark.parametrize(
    ("mutant", "tests"), HOLES, ids=[mutant.title for mutant, _ in HOLES]
)


@NAMED_HOLES
def test_every_hole_can_still_be_made(mutant: Mutant, tests: str) -> None:
    """The texts are those of the program: a hole that can't be made proves nothing."""
    assert mutant.can_be_made()
    assert (ROOT / "tests" / tests.partition("::")[0]).is_file()


@NAMED_HOLES
@pytest.mark.deep
@pytest.mark.timeout(300)
def test_the_tests_notice_the_hole(mutant: Mutant, tests: str, tmp_path: Path) -> None:
    """One of them fails, with the program started and asked."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=line", "-k", "not postgres"]
    done = subprocess.run(
        [*command, f"tests/{tests}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(spoiled(mutant, tmp_path))},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    sys.stdout.write(done.stdout[-3_000:])
    assert done.returncode == 1, f"nothing was noticed: {done.stdout[-2_000:]}{done.stderr}"
    assert "1 failed" in done.stdout, "the tests could not be run"
