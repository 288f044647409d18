"""`moorage api`: a request to the management API, as a person writes it."""

import json
import sys
from pathlib import Path

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import for_terminal
from moorage.cli.sections import Command
from moorage.client.api import PREFIX
from moorage.errors import Refused

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@click.command("api", cls=Command)
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path")
@click.option("-d", "--body", default="", help="JSON; @FILE is a file, - standard input.")
@client_command
def api(client: Client, method: str, path: str, body: str) -> None:
    """Send a request to the API, signed in as commands are, and print what it answers.

    \b
    moorage api GET /whoami
    moorage api GET '/repositories?limit=5'
    moorage api PATCH /repositories/web/shop -d '{"visibility": "public"}'
    """
    answer = client.api.raw(method.upper(), _path(path), _body(body))
    if not answer.body:
        return
    is_json = "json" in answer.headers.get("content-type", "")
    if is_json and (client.output.form != "table" or sys.stdout.isatty()):
        client.output.document(json.loads(answer.body))
    else:
        click.echo(for_terminal(answer.body.decode("utf-8", "replace")))


def _path(text: str) -> str:
    """Return the address on the server, below the API's own if it does not say so.

    Raises:
        Refused: it is no path.
    """
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise Refused(
            f"{text!r} is not a path.", do="Write it as /repositories?limit=5.", exit_code=2
        )
    return text if text.startswith(("/api/", "/v2/")) else PREFIX + text


def _body(text: str) -> bytes | None:
    if not text:
        return None
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise Refused(f"{text[1:]} can't be read.", why=str(error), exit_code=2) from error
