"""Ready rules for what issues tokens in practice: GitHub, GitLab, Jenkins, Kubernetes."""

import re
from collections.abc import Sequence

from moorage.model.trusts import Rule

# Who makes the tokens there, where it is the same for everybody.
GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
# By what its rules name, whose tokens a trust is for.
_KINDS = {"repository_id": "github", "project_id": "gitlab"}
_SERVICE_ACCOUNT = "system:serviceaccount:"

# What runs on commits that are in the repository already. Pull requests are others' commits, and
# `pull_request_target` and `workflow_run` are asked for by them with the repository's own rights.
_GITHUB_EVENTS = (
    "push",
    "workflow_dispatch",
    "repository_dispatch",
    "schedule",
    "release",
    "deployment",
    "merge_group",
    "create",
)
_GITLAB_SOURCES = (
    "push",
    "web",
    "api",
    "schedule",
    "trigger",
    "pipeline",
    "parent_pipeline",
    "chat",
)


def github(
    repository: str,
    repository_id: str,
    *,
    branch: str = "",
    tag: str = "",
    environment: str = "",
    pull_requests: bool = False,
) -> tuple[Rule, ...]:
    """Return the rules for workflows of one repository of GitHub.

    `branch` and `tag` may both be given, and either lets in. Runs for pull requests are let in only
    if they are asked for; with a branch, those into it are not told from others.
    """
    refs = [
        *([f"refs/heads/{branch}"] if branch else []),
        *([f"refs/tags/{tag}"] if tag else []),
    ]
    if refs and pull_requests:
        refs.append("refs/pull/*/merge")
    events = (*_GITHUB_EVENTS, "pull_request") if pull_requests else _GITHUB_EVENTS
    return (
        Rule("repository_id", (repository_id,)),
        Rule("repository", (repository,)),
        Rule("event_name", events),
        *([Rule("ref", tuple(refs))] if refs else []),
        *([Rule("environment", (environment,))] if environment else []),
    )


def gitlab(  # noqa: PLR0913 - each is one claim
    project: str,
    project_id: str,
    *,
    branch: str = "",
    tag: str = "",
    ref_protected: bool = False,
    environment: str = "",
    merge_requests: bool = False,
) -> tuple[Rule, ...]:
    """Return the rules for pipelines of one project of GitLab.

    Pipelines for merge requests are let in only if they are asked for. Of `branch` and `tag` one
    may be given.
    """
    sources: tuple[str, ...] = _GITLAB_SOURCES
    if merge_requests:
        sources = (*_GITLAB_SOURCES, "merge_request_event")
    ref, kind = (branch, "branch") if branch else (tag, "tag")
    return (
        Rule("project_id", (project_id,)),
        Rule("project_path", (project,)),
        Rule("pipeline_source", sources),
        *([Rule("ref_type", (kind,)), Rule("ref", (ref,))] if ref else []),
        *([Rule("ref_protected", ("true",))] if ref_protected else []),
        *([Rule("environment", (environment,))] if environment else []),
    )


def jenkins(jobs: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules for jobs of Jenkins, each by its address: the subject of its tokens."""
    return (Rule("sub", tuple(jobs)),)


def kubernetes(namespace: str, service_accounts: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules for service accounts of one namespace of a cluster."""
    names = tuple(f"system:serviceaccount:{namespace}:{name}" for name in service_accounts)
    return (Rule("sub", names),)


def named(kind: str, what: str) -> str:
    """Return a name for a trust; names are as those of repositories' parts."""
    return f"{kind}-{_NOT_IN_NAMES.sub('-', what.lower()).strip('-')}"[:60].rstrip("-")


def kind_of(rules: Sequence[Rule]) -> str:
    """Return whose tokens the rules are for: `github`, `gitlab`, `jenkins`, `kubernetes` or empty.

    Those of Jenkins are for the addresses of jobs.
    """
    for rule in rules:
        if rule.claim in _KINDS:
            return _KINDS[rule.claim]
        if rule.claim == "sub" and all(each.startswith(_SERVICE_ACCOUNT) for each in rule.patterns):
            return "kubernetes"
        if rule.claim == "sub" and all("/job/" in each for each in rule.patterns):
            return "jenkins"
    return ""
