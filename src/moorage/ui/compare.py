"""`/r/NAME/-/compare/A...B`: how one image differs from another, also of two repositories."""

from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, RepositoryTarget
from moorage.model.comparison import Comparison, Difference, PlatformPair, Side
from moorage.model.comparison_text import Row, Told, markdown
from moorage.model.images import Layer
from moorage.oci.names import RepositoryName
from moorage.registry import compare, rights
from moorage.registry.services import Services
from moorage.ui import source
from moorage.ui.caller import authenticate
from moorage.ui.page import TWIN, Page, View, Visit, go
from moorage.ui.references import BETWEEN, compare_place, image_place
from moorage.ui.repository import opened
from moorage.ui.words import short, size
from moorage.web.response import Response

# A digest is called by so many of its tags.
_MOST_NAMED = 2


async def pick(s: Services, visit: Visit) -> Response:
    """Send the browser to the comparison that the form asks for."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    a, b = visit.parameter("a"), visit.parameter("b")
    if not a or not b:
        raise Invalid("two images are needed", hint="Write a tag or a digest for each")
    return go(compare_place(name, a, b))


async def show(s: Services, visit: Visit) -> View:
    """Show both side by side; B may be `NAME:TAG` or `NAME@DIGEST` of another repository."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    a, between, b = visit.text("pair").partition(BETWEEN)
    if not between or not a or not b:
        raise Invalid(
            "a comparison is of A...B", hint="Write two tags or digests, with ... between"
        )
    platform = visit.parameter("platform")
    other = _reference(name, b)
    made = await compare.compare(s, actor, (name, a), other, platform=platform)
    names = _name(name, a, made.a), _name(name, other[1], made.b)
    both = " and ".join(names)
    facts = {
        **place.facts(),
        "from": a,
        "to": b,
        "platform": platform,
        "swap": compare_place(other[0], other[1], a if other[0] == name else _elsewhere(name, a)),
        "commits": source.commits_between(
            *(source.source_of(each.labels) for each in (made.a, made.b))
        ),
        "markdown": _markdown(made),
        "summary": made.summary,
        "grown": made.grown,
        "a": {**_side(made.a), "name": names[0]},
        "b": {**_side(made.b), "name": names[1]},
        "config": [_difference(each) for each in (*made.config, *made.annotations)],
        "shared": [_layer(each) for each in made.shared],
        "common": [_layer(each) for each in made.common],
        "only_a": [_layer(each) for each in made.only_a],
        "only_b": [_layer(each) for each in made.only_b],
        "platforms": [_pair(visit, name, other[0], each) for each in made.platforms],
        "problems": list(made.problems),
    }
    crumbs = place.crumbs((both, ""))
    return View("compare.html", f"{both} of {name}", facts, "images", "compare", crumbs)


def _name(here: RepositoryName, asked: str, side: Side) -> str:
    """Return what people call a side: the tag that was asked for, or those of the digest."""
    name = asked
    if ":" in asked or asked not in side.asked_tags:
        some = side.asked_tags[:_MOST_NAMED]
        more = len(side.asked_tags) - len(some)
        name = ", ".join(some) + (f" +{more}" if more else "") or short(side.digest)
    return name if side.repository == here else f"{side.repository}:{name}"


def _reference(name: RepositoryName, text: str) -> tuple[RepositoryName, str]:
    """Return the repository and the reference that a side names, of this one if it names none."""
    if "@" in text:
        other, _, rest = text.partition("@")
        return RepositoryName.parse(other), rest
    other, colon, rest = text.rpartition(":")
    if colon and "/" in other:
        return RepositoryName.parse(other), rest
    return name, text


def _elsewhere(name: RepositoryName, reference: str) -> str:
    """Return a side as it is written in a comparison of another repository."""
    return f"{name}{'@' if ':' in reference else ':'}{reference}"


def _side(side: Side) -> dict[str, object]:
    return {
        "repository": side.repository,
        "digest": side.digest,
        "image": image_place(side.repository, side.digest),
        "tags": list(side.asked_tags),
        "kind": side.kind,
        "platform": side.platform,
        "content_size": side.content_size,
        "layers": side.layers,
    }


def _markdown(made: Comparison) -> str:
    """Return it for the text of a change request, as the command line has it."""
    marked = (("-", made.only_a), ("+", made.only_b), ("~", made.common))
    return markdown(
        Told(
            summary=made.summary,
            sides=[(each.repository, each.digest) for each in (made.a, made.b)],
            changed=[
                (each.section, each.name, each.a, each.b)
                for each in (*made.config, *made.annotations)
                if not each.is_same
            ],
            layers=[
                Row(mark, str(each.digest), size(each.size), each.instruction)
                for mark, layers in marked
                for each in layers
            ],
            platforms=[
                (each.platform, size(each.a_size), size(each.b_size)) for each in made.platforms
            ],
        )
    )


def _difference(each: Difference) -> dict[str, object]:
    return {
        "section": each.section,
        "name": each.name,
        "a": each.a,
        "b": each.b,
        "is_same": each.is_same,
    }


def _layer(each: Layer) -> dict[str, object]:
    return {"digest": each.digest, "size": each.size, "instruction": each.instruction}


def _pair(visit: Visit, a: str, b: str, pair: PlatformPair) -> dict[str, object]:
    """Return a platform of the repositories `a` and `b`."""
    both = pair.are_here and pair.a != pair.b
    return {
        "platform": pair.platform,
        "a": pair.a,
        "b": pair.b,
        "a_image": image_place(a, pair.a) if pair.a is not None and pair.are_here else "",
        "b_image": image_place(b, pair.b) if pair.b is not None and pair.are_here else "",
        "a_size": pair.a_size,
        "b_size": pair.b_size,
        "compare": f"{visit.request.path.removesuffix(TWIN)}?platform={pair.platform}"
        if both
        else "",
    }


PAGES = (
    Page(
        name="compare-pick",
        path="/r/{repository}/-/compare",
        action=Action.PULL,
        show=pick,
        twin=False,
    ),
    Page(
        name="compare",
        path="/r/{repository}/-/compare/{pair}",
        action=Action.PULL,
        show=show,
    ),
)
