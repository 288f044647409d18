"""`moorage k8s`: what a Kubernetes cluster needs to pull."""

import base64
import json
import re

import click

from moorage.cli.client import Client, client_command
from moorage.cli.sections import Group
from moorage.cli.token import token_document
from moorage.cli.words import Principal, robot_of
from moorage.client.operations.grants import (
    list_grants,
    list_repository_grants,
    put_grant,
    put_repository_grant,
)
from moorage.client.operations.robots import create_robot, create_robot_token, get_robot
from moorage.client.problems import ServerRefused
from moorage.errors import Refused

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?", re.ASCII)
_MANIFEST = """\
# {told}
apiVersion: v1
kind: Secret
metadata:
  name: {name}
  namespace: {namespace}
  annotations:
    moorage/robot: "{robot}"
    moorage/token: "{token}"
    moorage/expires-at: "{expires}"
type: kubernetes.io/dockerconfigjson
data:
  .dockerconfigjson: {data}
"""


@click.group(cls=Group)
def k8s() -> None:
    """Let Kubernetes clusters pull.

    \b
    moorage k8s pull-secret --namespace shop --may 'pull:web/**' | kubectl apply -f -
    moorage k8s pull-secret --namespace shop --may pull:web/shop --expires 30d
    moorage k8s pull-secret --namespace shop --may 'pull:web/**' --robot web+cluster
    """


@k8s.command("pull-secret")
@click.option("--namespace", required=True, help="The cluster's namespace.")
@click.option(
    "--may", "scopes", multiple=True, required=True, help="pull:REPOSITORY or pull:NAMESPACE/**."
)
@click.option("--expires", default="90d", show_default=True, help="90d, 12w, a date, or never.")
@click.option("--robot", default="", help="NAMESPACE+ROBOT; else made for the cluster's namespace.")
@click.option("--name", default="moorage", show_default=True, help="What to call the Secret.")
@click.option("--registry", default="", help="The host in images' names, if it is another one.")
@client_command
def pull_secret(  # noqa: PLR0913 - options
    client: Client,
    *,
    namespace: str,
    scopes: tuple[str, ...],
    expires: str,
    robot: str,
    name: str,
    registry: str,
) -> None:
    """Make a token of a robot that may only pull, and print it as a Secret for kubectl."""
    for text in (namespace, name):
        if not _NAME.fullmatch(text):
            raise Refused(f"{text!r} is no name in Kubernetes.", exit_code=2)
    document = token_document(f"pull secret {namespace}/{name}", scopes, expires)
    limits = document.get("scopes") or []
    homes = {each["pattern"].partition("/")[0] for each in limits}
    if any(each["actions"] != ["pull"] for each in limits) or len(homes) != 1:
        raise Refused(
            "A pull secret may only pull, and from one namespace.",
            do="Write --may pull:web/**; make a secret for each namespace.",
            exit_code=2,
        )
    of = robot_of(robot or f"{homes.pop()}+k8s-{namespace}")
    host = _host(client, registry)
    full = f"{of.namespace}+{of.name}"
    _have(client, of, f"pulls for Kubernetes, namespace {namespace}")
    _let_in(client, of.namespace, full, [each["pattern"] for each in limits])
    made = create_robot_token(client.api, of.namespace, of.name, document)
    token = made.get("token", {})
    ends = str(token.get("expires_at") or "never")
    told = _MANIFEST.format(
        told=f"Good until {ends}; run this again before.",
        name=name,
        namespace=namespace,
        robot=full,
        token=token.get("id", ""),
        expires=ends,
        data=_docker_config(host, full, str(made["secret"])),
    )
    click.echo(told, nl=False)


def _have(client: Client, of: Principal, description: str) -> None:
    """Make the robot, unless it is there."""
    try:
        get_robot(client.api, of.namespace, of.name)
    except ServerRefused as refused:
        if refused.status != 404:
            raise
        create_robot(client.api, of.namespace, {"name": of.name, "description": description})


def _docker_config(host: str, user: str, secret: str) -> str:
    auth = base64.b64encode(f"{user}:{secret}".encode()).decode()
    login = {"username": user, "password": secret, "auth": auth}
    return base64.b64encode(json.dumps({"auths": {host: login}}).encode()).decode()


def _host(client: Client, registry: str) -> str:
    host = registry or client.api.server
    if not _HOST.fullmatch(host):
        raise Refused(
            "How the cluster calls the registry is not known here.",
            do="Add --registry registry.example.",
            exit_code=2,
        )
    return host


def _let_in(client: Client, namespace: str, robot: str, patterns: list[str]) -> None:
    """Grant the robot what its token is confined to; what it has already stays."""
    for pattern in patterns:
        is_all = pattern.endswith("/**")
        place = namespace if is_all else pattern
        held = (list_grants if is_all else list_repository_grants)(client.api, place)
        if not any(each["principal"] == robot for each in held):
            put = put_grant if is_all else put_repository_grant
            put(client.api, place, "robot", robot, {"role": "reader"})
