"""`moorage inspect`: one image, and what it is made of."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, image_command
from moorage.cli.complete import images
from moorage.cli.output import for_terminal
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Command
from moorage.cli.table import Column
from moorage.cli.words import image_of
from moorage.client.operations.images import get_image
from moorage.errors import Refused

IMAGE = (
    Column("repository", "repository"),
    Column("digest", "digest"),
    Column("tags", "tags"),
    Column("kind", "kind"),
    Column("type", "media_type", wide=True),
    Column("platform", "platform"),
    Column("size", "content_size", "size"),
    Column("pushed", "pushed_at", "time"),
    Column("by", "by.actor"),
    Column("through", "by.through"),
    Column("created", "config.created"),
    Column("user", "config.user"),
    Column("entrypoint", "config.entrypoint"),
    Column("cmd", "config.cmd"),
    Column("ports", "config.ports"),
    Column("labels", "config.labels", wide=True),
    Column("subject", "subject"),
    Column("problems", "problems"),
)
PLATFORMS = (
    Column("platform", "platform"),
    Column("digest", "digest", "digest"),
    Column("kind", "kind"),
    Column("size", "content_size", "size"),
)
LAYERS = (
    Column("size", "size", "size"),
    Column("digest", "digest", "digest"),
    Column("used in", "used_in"),
    Column("instruction", "instruction"),
    Column("type", "media_type", wide=True),
)
CONFIG = (
    Column("created", "created"),
    Column("author", "author"),
    Column("user", "user"),
    Column("working dir", "working_dir"),
    Column("entrypoint", "entrypoint"),
    Column("cmd", "cmd"),
    Column("env", "env"),
    Column("ports", "ports"),
    Column("volumes", "volumes"),
    Column("labels", "labels"),
)
ATTACHED = (
    Column("kind", "kind"),
    Column("digest", "digest", "digest"),
    Column("type", "artifact_type"),
    Column("size", "size", "size"),
)


@click.command("inspect", cls=Command)
@click.argument("image", metavar="IMAGE", type=REFERENCE, shell_complete=images)
@click.option("--layers", "part", flag_value="layers", help="Its steps, and who shares them.")
@click.option("--config", "part", flag_value="config", help="What it runs as.")
@click.option("--attached", "part", flag_value="attached", help="Signatures, SBOMs and the like.")
@click.option("--raw", "part", flag_value="raw", help="Its manifest, as it was pushed.")
@image_command
def inspect(client: Client, image: str, part: str | None) -> None:
    """Show an image: what it is, what it is made of, and what belongs to it.

    \b
    moorage inspect web/shop:1.4
    moorage inspect web/shop:1.4 --layers
    moorage inspect web/shop@sha256:9f86d081 -o json
    """
    repository, reference = image_of(image)
    with suggesting(client.api, repository, reference):
        found = get_image(client.api, repository, reference)
    _show(client, found, part or "")


def _show(client: Client, found: Mapping[str, Any], part: str) -> None:
    output = client.output
    if part == "raw":
        sys.stdout.write(for_terminal(found["raw"]))
    elif part == "layers":
        output.items(found["layers"], LAYERS, None)
    elif part == "attached":
        output.items(found["attached"], ATTACHED, None)
    elif part == "config":
        if not found["config"]:
            told = "; ".join(found["problems"]) or f"It is of the kind {found['kind']}."
            raise Refused("It has no configuration.", why=told, exit_code=3)
        output.one(found["config"], CONFIG)
    else:
        output.one(found, IMAGE)
        if output.is_for_people and found["platforms"]:
            click.echo()
            output.items(found["platforms"], PLATFORMS, None)
