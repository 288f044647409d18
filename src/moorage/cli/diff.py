"""`moorage diff`: two images side by side."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from moorage.cli.alike import suggesting
from moorage.cli.clean import clean
from moorage.cli.client import Client, image_command
from moorage.cli.complete import images
from moorage.cli.output import Output
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Command
from moorage.cli.table import size_text
from moorage.cli.words import image_of, other_of
from moorage.client.operations.images import compare_images
from moorage.model.comparison_text import Row, Told, markdown

_MARKS = (("only_a", "-"), ("only_b", "+"), ("common", "~"))
_COLOURS = {"-": "red", "+": "green", "~": "yellow"}


def comparing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what of two images is compared, and how it is told."""
    for option in (
        click.option(
            "--format",
            "text",
            type=click.Choice(["text", "md"]),
            default="text",
            help="md is Markdown.",
        ),
        click.option("--platform", default="", help="Of indexes, that of this one: linux/amd64."),
        click.option("--layers", "part", flag_value="layers", help="Only their layers."),
    ):
        command = option(command)
    return command


@click.command("diff", cls=Command)
@click.argument("image", metavar="A", type=REFERENCE, shell_complete=images)
@click.argument("other", metavar="B", type=REFERENCE, shell_complete=images)
@click.option("--config", "part", flag_value="config", help="Only how they run.")
@comparing
@image_command
def diff(client: Client, image: str, other: str, **how: str | None) -> None:
    """Show how image B differs from image A, which may be of another repository.

    \b
    moorage diff web/shop:1.4 :1.5
    moorage diff web/shop:1.4 web/cart:2.0 --layers
    moorage diff web/shop:1.4 :1.5 --format md
    """
    repository, reference = image_of(image)
    compare(client, (repository, reference), other_of(other, repository), **how)


def compare(
    client: Client,
    image: tuple[str, str],
    other: tuple[str, str],
    *,
    part: str | None,
    platform: str | None,
    text: str | None,
) -> None:
    """Tell how the second image differs from the first, as the options of `comparing` say.

    Raises:
        Refused: one of them is not there.
    """
    repository, reference = image
    second, wanted = other
    with suggesting(client.api, second, wanted), suggesting(client.api, repository, reference):
        found = compare_images(
            client.api, repository, reference, with_=wanted, other=second, platform=platform or ""
        )
    if not client.output.is_for_people:
        client.output.document(found)
    elif text == "md":
        click.echo(_markdown(found, part or ""))
    else:
        _tell(client.output, found, part or "")


def _tell(output: Output, found: Mapping[str, Any], part: str) -> None:
    output.tell(output.styled(clean(found["summary"]), bold=True))
    lines: list[tuple[str, str]] = []
    for each in _changed(found) if part != "layers" else ():
        name = clean(f"{each['section']} {each['name']}")
        for side, mark in (("a", "-"), ("b", "+")):
            if each[side] is not None:
                lines.append((mark, f"{name}: {clean(each[side])}".rstrip(": ")))
    if part != "config":
        if found["shared"]:
            count = len(found["shared"])
            told = "1 layer is" if count == 1 else f"{count} layers are"
            lines.append((" ", f"{told} the same"))
        lines += [(mark, _layer(layer)) for key, mark in _MARKS for layer in found[key]]
    for pair in found["platforms"]:
        grown = size_text(pair["b_size"] - pair["a_size"], signed=True)
        lines.append((_mark(pair), f"{clean(pair['platform'])}  {grown}"))
    for mark, text in lines:
        output.tell(output.styled(f"{mark} {text}", fg=_COLOURS.get(mark)))


def _mark(pair: Mapping[str, Any]) -> str:
    if pair["a"] is None:
        return "+"
    if pair["b"] is None:
        return "-"
    return " " if pair["a"] == pair["b"] else "~"


def _changed(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in (*found["config"], *found["annotations"]) if not each["same"]]


def _layer(layer: Mapping[str, Any]) -> str:
    digest = str(layer["digest"])[:19]
    return f"{digest}  {size_text(layer['size']):>9}  {clean(layer['instruction'])[:80]}".rstrip()


def _markdown(found: Mapping[str, Any], part: str) -> str:
    """Return what a change request can have in its text."""
    layers = [(mark, layer) for key, mark in _MARKS for layer in found[key]]
    told = Told(
        summary=found["summary"],
        sides=[(found[side]["repository"], found[side]["digest"]) for side in "ab"],
        changed=[
            (each["section"], each["name"], each["a"], each["b"])
            for each in (_changed(found) if part != "layers" else ())
        ],
        layers=[
            Row(mark, layer["digest"], size_text(layer["size"]), layer["instruction"])
            for mark, layer in (layers if part != "config" else ())
        ],
        platforms=[
            (pair["platform"], size_text(pair["a_size"]), size_text(pair["b_size"]))
            for pair in found["platforms"]
        ],
    )
    return markdown(told)
