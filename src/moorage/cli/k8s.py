"""`moorage k8s`: what a Kubernetes cluster needs to pull."""

import base64
import json
import re

import click

from moorage.cli.client import Client, client_command
from moorage.cli.sections import Group
from moorage.cli.token import token_document
from moorage.cli.words import robot_of
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
    homes = {each["pattern"].partition("/")[0] for each in document["scopes"]}
    if any(each["actions"] != ["pull"] for each in document["scopes"]) or len(homes) != 1:
        raise Refused(
            "A pull secret may only pull, and from one namespace.",
            do="Write --may pull:web/**; make a secret for each namespace.",
            exit_code=2,
        )
    of = robot_of(robot or f"{homes.pop()}+k8s-{namespace}")
    host = _host(client, registry)
    full = f"{of.namespace}+{of.name}"
    if client.api.find("namespaces", of.namespace, "robots", of.name) is None:
        wanted = {"name": of.name, "description": f"pulls for Kubernetes, namespace {namespace}"}
        client.api.send("POST", "namespaces", of.namespace, "robots", document=wanted)
    _let_in(client, of.namespace, full, [each["pattern"] for each in document["scopes"]])
    path = ("namespaces", of.namespace, "robots", of.name, "tokens")
    made = client.api.send("POST", *path, document=document)
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
        if pattern.endswith("/**"):
            place: tuple[str, ...] = ("namespaces", namespace)
        else:
            place = ("repositories", pattern, "-")
        held = client.api.items(*place, "grants")
        if not any(each.get("principal") == robot for each in held):
            client.api.send("PUT", *place, "grants", "robot", robot, document={"role": "reader"})
