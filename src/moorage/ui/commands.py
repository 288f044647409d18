"""What pages show and do, as commands: so that whoever knows a page comes to know the command line.

A word in capitals is to be filled in. Values are quoted for a shell, and one that no terminal could
show as it is leaves its command out.
"""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from moorage.ui.page import View

_Facts = Mapping[str, Any]


class Command(msgspec.Struct, frozen=True):
    """A command of `moorage`: what it does, its name, and what is behind that.

    Whatever stands in `values` may be somebody's text; options are whole words, as `--a=b`.
    """

    does: str
    name: str
    values: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as it is typed into a shell."""
        # A text may begin like an option, and is none.
        end = ["--"] if any(each.startswith("-") for each in self.values) else []
        return shlex.join(["moorage", *self.name.split(), *self.options, *end, *self.values])

    @property
    def is_plain(self) -> bool:
        """Whether a terminal shows all of it as it is."""
        return all(map(str.isprintable, (*self.values, *self.options)))


def of_view(view: View) -> tuple[Command, ...]:
    """Return the commands that show and do what a page does; none for what is no such page."""
    make = _OF.get(view.template)
    if make is None or view.status >= 300:
        return ()
    return tuple(each for each in make(view.facts) if each.is_plain)


def _tags(facts: _Facts) -> list[Command]:
    name = facts["repository"]
    options = ["--newest"] if facts["sort"] == "newest" else []
    options += [f"--filter={facts['filter']}"] if facts["filter"] else []
    made = [Command("List the tags", "tag list", (name,), tuple(options))]
    if "delete" in facts["may"]:
        made.append(Command("Delete a tag, not its image", "tag delete", (f"{name}:TAG",)))
    if "push" in facts["may"]:
        made.append(Command("Move a tag", "tag set", (f"{name}:TAG", ":OTHER_TAG")))
    return made


def _delete_tags(facts: _Facts) -> list[Command]:
    tags = tuple(f"{facts['repository']}:{each['name']}" for each in facts["going"])
    return [Command("Delete them, not their images", "tag delete", tags or ("REPOSITORY:TAG",))]


def _history(facts: _Facts) -> list[Command]:
    name, tag = facts["repository"], facts["tag"]
    if not tag:
        if facts["is_of_deleted"]:
            made = [Command("List the tags that were deleted", "tag list", (name,), ("--deleted",))]
            if "push" in facts["may"]:
                made.append(Command("Have one back", "tag undelete", (f"{name}:TAG",)))
            return made
        as_of = (f"--as-of={facts['at']}",) if facts["then"] else ()
        return [
            Command(
                "List the tags as they were" if as_of else "List the tags",
                "tag list",
                (name,),
                as_of,
            ),
            Command("Show how one came to be so", "tag history", (f"{name}:TAG",)),
        ]
    made = [Command("Show how it came to be so", "tag history", (f"{name}:{tag}",))]
    if "push" in facts["may"]:
        to = ("--to=VERSION",)
        made.append(Command("Restore a version", "tag restore", (f"{name}:{tag}",), to))
    return made


def _settings(facts: _Facts) -> list[Command]:
    name = facts["repository"]
    visibility = (f"--visibility={facts['visibility']}",)
    return [
        Command("Change the visibility", "repo set", (name,), visibility),
        Command("Add a rule for tags: nobody moves or deletes them", "rule add", (name, "v*")),
        Command("List the rules", "rule list", (name,)),
        Command("Remove a rule", "rule remove", (name, "ID")),
        Command("List what is in the trash", "trash list", (name,)),
        Command("Restore an image", "manifest restore", (f"{name}@DIGEST",)),
        Command("Rename it", "repo rename", (name, f"{facts['namespace']}/NEW_NAME")),
        Command("Delete it", "repo delete", (name,)),
        Command("Restore it when it is deleted", "repo restore", (name,)),
    ]


def _about(facts: _Facts) -> list[Command]:
    name = facts["repository"]
    made = [Command("Show the README", "repo readme show", (name,))]
    if "configure" in facts["may"]:
        made += [
            Command("Change the description", "repo set", (name,), ("--description=TEXT",)),
            Command("Change the README", "repo readme push", (name, "README.md")),
        ]
    return made


def _usage(facts: _Facts) -> list[Command]:
    return [Command("Show it, with its pulls", "repo show", (facts["repository"],))]


def _untagged(facts: _Facts) -> list[Command]:
    return [Command("List them", "manifest untagged", (facts["repository"],))]


def _image(facts: _Facts) -> list[Command]:
    name = facts["repository"]
    image = f"{name}:{facts['tag']}" if facts["tag"] else f"{name}@{facts['digest']}"
    tab = facts["tab"]
    options = (f"--{tab}",) if tab in ("layers", "config", "attached", "raw") else ()
    return [
        Command("Show the image", "inspect", (image,), options),
        Command("Compare it with another", "diff", (image, f"{name}:TAG")),
        Command("Give it a tag, here or elsewhere", "tag copy", (image, f"{name}:NEW_TAG")),
    ]


def _compare(facts: _Facts) -> list[Command]:
    a, b = (f"{facts[each]['repository']}@{facts[each]['digest']}" for each in ("a", "b"))
    return [
        Command("Compare them", "diff", (a, b)),
        Command("The same in Markdown", "diff", (a, b), ("--format=md",)),
    ]


def _images(facts: _Facts) -> list[Command]:
    chosen = ((key, facts[key]) for key in ("namespace", "visibility", "type", "pulled"))
    options = [f"--{key}={value}" for key, value in chosen if value]
    options += ["--newest"] if facts["sort"] == "changed" else []
    return [Command("List the repositories", "repo list", (), tuple(options))]


def _search(facts: _Facts) -> list[Command]:
    return [Command("Search", "search", (facts["q"],))] if facts["q"] else []


def _tokens(_: _Facts) -> list[Command]:
    may, expires = "--may=pull:REPOSITORY", "--expires=90d"
    return [
        Command("Make a token", "token create", ("NAME",), (may, expires)),
        Command("List yours", "token list"),
        Command("Rotate one", "token rotate", ("ID",)),
        Command("Revoke one", "token revoke", ("ID",)),
    ]


def _robots(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    return [
        Command("List the robots", "robot list", (namespace,)),
        Command("Make one", "robot create", (f"{namespace}+ROBOT",)),
    ]


def _robot(facts: _Facts) -> list[Command]:
    name = f"{facts['namespace']}+{facts['robot'].rpartition('+')[2]}"
    may = ("--may=pull:REPOSITORY",)
    return [
        Command("Make a token of it", "robot token", (name,), may),
        Command("Rotate a token of it", "token rotate", ("ID",)),
        Command("End it with its tokens", "robot delete", (name,)),
    ]


def _teams(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    return [
        Command("List the teams", "team list", (namespace,)),
        Command("Make one", "team create", (f"{namespace}/TEAM",)),
    ]


def _team(facts: _Facts) -> list[Command]:
    name = f"{facts['namespace']}/{facts['team'].rpartition('/')[2]}"
    return [
        Command("List who is in it", "team list", (name,)),
        Command("Put somebody in", "team add", (name, "ACCOUNT")),
        Command("Take somebody out", "team remove", (name, "ACCOUNT")),
        Command("End the team", "team delete", (name,)),
    ]


def _grants(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    return [
        Command("List what was granted", "access list", (namespace,)),
        Command("Grant a role", "access grant", (namespace, "WHO", "reader")),
        Command("Take it back", "access revoke", (namespace, "WHO")),
        Command("List who may do anything", "access report", (namespace,)),
    ]


def _access(facts: _Facts) -> list[Command]:
    asked = (facts["who"], facts["action"], facts["where"])
    is_asked = all(asked) and facts["action"] in ("pull", "push", "delete")
    return [Command("Ask", "access can", asked if is_asked else ("WHO", "pull", "REPOSITORY"))]


def _trusts(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    by = ("--repository-id=ID", f"--robot={namespace}+ROBOT")
    return [
        Command("List the trusts", "trust list", (namespace,)),
        Command("Trust workflows of GitHub", "trust add github", ("OWNER/REPOSITORY",), by),
        Command("Put one out of force", "trust disable", (namespace, "TRUST")),
        Command("End one", "trust remove", (namespace, "TRUST")),
    ]


def _trust(facts: _Facts) -> list[Command]:
    return [Command("List its uses", "trust uses", (facts["namespace"], facts["trust"]))]


def _storage(facts: _Facts) -> list[Command]:
    made = [Command("List what each namespace takes", "storage list")]
    if facts["clean_up"]:
        made += [
            Command("Say what a clean-up would free", "storage clean-up"),
            Command("Clean up now", "gc", (), ("--now",)),
            Command("Let it go on that has paused", "gc resume"),
        ]
    return made


def _clean_up(_: _Facts) -> list[Command]:
    return [
        Command("Say what would go, and why the rest stays", "gc", (), ("--dry-run",)),
        Command("Say what keeps some content", "gc", (), ("--explain=DIGEST",)),
        Command("Clean up now", "gc", (), ("--now",)),
    ]


def _usage_of_namespace(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    return [
        Command("List what each repository takes", "storage list", (namespace,)),
        Command("List the largest layers", "storage top", (namespace,)),
    ]


def _jobs(_: _Facts) -> list[Command]:
    return [
        Command("List the jobs", "job list"),
        Command("Have one run now", "job retry", ("ID",)),
        Command("Give one up", "job cancel", ("ID",)),
    ]


def _accounts(_: _Facts) -> list[Command]:
    return [
        Command("List the accounts", "user list"),
        Command("Invite somebody", "invite", ("PERSON",)),
        Command("List the links that are still good", "api", ("GET", "/links")),
        Command("Withdraw one", "api", ("DELETE", "/links/ID")),
        Command("Make an account", "user add", ("NAME",)),
        Command("Let one do nothing more", "user disable", ("NAME",)),
    ]


def _namespaces(facts: _Facts) -> list[Command]:
    made = [Command("List the namespaces", "namespace list")]
    if facts["may_create"]:
        made.append(Command("Make one", "namespace create", ("NAME",)))
    return made


def _namespace(facts: _Facts) -> list[Command]:
    namespace = facts["namespace"]
    made = [Command("List its repositories", "repo list", (), (f"--namespace={namespace}",))]
    if "configure" in facts["may"]:
        visibility = (f"--visibility={facts['visibility']}",)
        made += [
            Command("List what is in the trash", "trash list", (namespace,)),
            Command("Restore a repository", "repo restore", (f"{namespace}/NAME",)),
            Command("Say how new ones are", "namespace set", (namespace,), visibility),
        ]
    return made


def _providers(_: _Facts) -> list[Command]:
    return [
        Command("List the providers", "provider list"),
        Command("Register one", "provider add", ("NAME", "URL"), ("--client-id=ID",)),
        Command("Put one out of force", "provider disable", ("NAME",)),
        Command("Put one in force", "provider enable", ("NAME",)),
        Command("Forget one", "provider remove", ("NAME",)),
    ]


def _issuers(_: _Facts) -> list[Command]:
    return [
        Command("List the issuers", "issuer list"),
        Command("Register one", "issuer add", ("URL",)),
        Command("Put one out of force", "issuer disable", ("ID",)),
        Command("Put one in force", "issuer enable", ("ID",)),
        Command("Forget one", "issuer remove", ("ID",)),
    ]


def _condition(_: _Facts) -> list[Command]:
    return [
        Command("Look further, on the server's host", "doctor"),
        Command("Show the settings, on the server's host", "config show", (), ("--origin",)),
        Command("Make a backup, on the server's host", "backup create", ("DIRECTORY",)),
        Command("List the jobs that have failed", "job list", (), ("--state=dead",)),
    ]


_OF: Mapping[str, Callable[[_Facts], list[Command]]] = {
    "about.html": _about,
    "access.html": _access,
    "accounts.html": _accounts,
    "clean_up.html": _clean_up,
    "compare.html": _compare,
    "condition.html": _condition,
    "delete_tags.html": _delete_tags,
    "grants.html": _grants,
    "history.html": _history,
    "image.html": _image,
    "images.html": _images,
    "issuers.html": _issuers,
    "jobs.html": _jobs,
    "namespace.html": _namespace,
    "namespaces.html": _namespaces,
    "providers.html": _providers,
    "pulls.html": _usage,
    "robot.html": _robot,
    "robots.html": _robots,
    "search.html": _search,
    "settings.html": _settings,
    "storage.html": _storage,
    "tags.html": _tags,
    "team.html": _team,
    "teams.html": _teams,
    "tokens.html": _tokens,
    "trust.html": _trust,
    "trusts.html": _trusts,
    "untagged.html": _untagged,
    "usage.html": _usage_of_namespace,
}
