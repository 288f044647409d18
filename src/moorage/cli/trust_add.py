"""`moorage trust add`: ready rules for GitHub, GitLab, Jenkins and Kubernetes, and any others."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from moorage.cli.client import Client, client_command
from moorage.cli.sections import Group
from moorage.cli.words import robot_of, scopes_of
from moorage.client.operations.trusts import NewTrust, create_trust
from moorage.errors import Refused
from moorage.model import presets
from moorage.model.trusts import Rule


@click.group(cls=Group)
def add() -> None:
    """Let tokens of an issuer that an administrator has registered stand for a robot.

    \b
    moorage trust add github acme/shop --repository-id 17 --robot web+ci --branch main
    moorage trust add gitlab acme/shop --project-id 17 --robot web+ci --ref-protected
    moorage trust add kubernetes shop default --issuer https://prod.example --robot web+pull
    """


def _trusting(issuer: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command what all have; it returns the rules, and what the trust is to be called."""

    def decorate(run: Callable[..., tuple[str, Sequence[Rule]]]) -> Callable[..., Any]:
        @wraps(run)
        def command(client: Client, **options: Any) -> None:
            shared = {name: options.pop(name) for name in ("robot", "issuer", "audience", "name")}
            scopes = options.pop("scopes")
            suggested, rules = run(**options)
            _send(client, {**shared, "name": shared["name"] or suggested}, scopes, rules)

        for option in (
            click.option("--robot", required=True, help="NAMESPACE+ROBOT that they stand for."),
            click.option(
                "--issuer",
                default=issuer,
                required=not issuer,
                show_default=bool(issuer),
                help="Who makes the tokens.",
            ),
            click.option("--audience", default="", help="Whom they are for; else the url setting."),
            click.option("--may", "scopes", multiple=True, help="As of tokens; repeatable."),
            click.option("--name", default="", help="What to call the trust."),
        ):
            command = option(command)
        return client_command(command)

    return decorate


@add.command("github")
@click.argument("repository", metavar="OWNER/REPOSITORY")
@click.option("--repository-id", required=True, help="Its number, which nobody else ever gets.")
@click.option("--branch", default="", help="Only for this branch.")
@click.option("--tag", default="", help="Only for this tag; with --branch for either.")
@click.option("--environment", default="", help="Only for this environment.")
@click.option("--pull-requests", is_flag=True, help="For pull requests too.")
@_trusting(presets.GITHUB)
def add_github(
    repository: str,
    *,
    repository_id: str,
    branch: str,
    tag: str,
    environment: str,
    pull_requests: bool,
) -> tuple[str, Sequence[Rule]]:
    """Trust the workflows of a repository of GitHub."""
    rules = presets.github(
        repository,
        repository_id,
        branch=branch,
        tag=tag,
        environment=environment,
        pull_requests=pull_requests,
    )
    return presets.named("github", repository), rules


@add.command("gitlab")
@click.argument("project", metavar="GROUP/PROJECT")
@click.option("--project-id", required=True, help="Its number, which nobody else ever gets.")
@click.option("--branch", default="", help="Only for this branch.")
@click.option("--tag", default="", help="Only for this tag.")
@click.option("--ref-protected", is_flag=True, help="Only for protected branches and tags.")
@click.option("--environment", default="", help="Only for this environment.")
@click.option("--merge-requests", is_flag=True, help="For merge requests too.")
@_trusting(presets.GITLAB)
def add_gitlab(project: str, *, project_id: str, **claims: Any) -> tuple[str, Sequence[Rule]]:
    """Trust the pipelines of a project of GitLab."""
    if claims["branch"] and claims["tag"]:
        raise Refused("It is either --branch or --tag.", exit_code=2)
    return presets.named("gitlab", project), presets.gitlab(project, project_id, **claims)


@add.command("jenkins")
@click.argument("jobs", metavar="JOB-URL...", nargs=-1, required=True)
@_trusting("")
def add_jenkins(jobs: tuple[str, ...]) -> tuple[str, Sequence[Rule]]:
    """Trust jobs of Jenkins, each by its address; * is any one part."""
    return presets.named("jenkins", jobs[0].rstrip("/").rpartition("/")[2]), presets.jenkins(jobs)


@add.command("kubernetes")
@click.argument("cluster_namespace", metavar="NAMESPACE")
@click.argument("accounts", metavar="SERVICE-ACCOUNT...", nargs=-1, required=True)
@_trusting("")
def add_kubernetes(cluster_namespace: str, accounts: tuple[str, ...]) -> tuple[str, Sequence[Rule]]:
    """Trust service accounts of a namespace of a cluster."""
    rules = presets.kubernetes(cluster_namespace, accounts)
    return presets.named("kubernetes", cluster_namespace), rules


@add.command("claims")
@click.argument("claims", metavar="CLAIM=PATTERN...", nargs=-1, required=True)
@_trusting("")
def add_claims(claims: tuple[str, ...]) -> tuple[str, Sequence[Rule]]:
    """Trust tokens by any claims, all of which must hold; of one given twice, either will do."""
    patterns: dict[str, tuple[str, ...]] = {}
    for text in claims:
        claim, _, pattern = text.partition("=")
        if not claim or not pattern:
            raise Refused(
                f"{text!r} is not a claim.", do="Write it as ref=refs/heads/main.", exit_code=2
            )
        patterns[claim] = (*patterns.get(claim, ()), pattern)
    return presets.named("trust", claims[0]), [
        Rule(claim, each) for claim, each in patterns.items()
    ]


def _send(
    client: Client, wanted: dict[str, Any], scopes: tuple[str, ...], rules: Sequence[Rule]
) -> None:
    of = robot_of(wanted["robot"])
    document: NewTrust = {
        "name": wanted["name"],
        "issuer": wanted["issuer"],
        "robot": wanted["robot"],
        "audience": wanted["audience"],
        "rules": [{"claim": each.claim, "patterns": list(each.patterns)} for each in rules],
        "scopes": scopes_of(scopes) if scopes else None,
    }
    made = create_trust(client.api, of.namespace, document)
    told = f"{wanted['name']} is there: tokens of {wanted['issuer']} stand for {wanted['robot']}."
    client.output.done(told, made)
