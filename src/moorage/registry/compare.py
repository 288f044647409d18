"""Two images side by side: what their configurations, layers and platforms have and have not."""

from collections.abc import Mapping

from moorage.errors import NotFound
from moorage.model.access import Actor
from moorage.model.comparison import Comparison, Difference, PlatformPair, Side
from moorage.model.images import Image, Layer
from moorage.oci.config import ImageConfig
from moorage.oci.digest import Digest
from moorage.oci.kinds import INDEX
from moorage.oci.names import RepositoryName
from moorage.registry.images import find_image
from moorage.registry.services import Services

_STEP = 1000
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_MOST_NAMED = 3
_NO_PLATFORM = (None, 0, False)


async def compare(
    s: Services,
    actor: Actor,
    a: tuple[RepositoryName, str],
    b: tuple[RepositoryName, str],
    *,
    platform: str = "",
) -> Comparison:
    """Return how the second image differs from the first; each is a repository and a reference.

    A platform such as `linux/amd64` stands for that one of an index.

    Raises:
        Unauthorized, NotPermitted: the actor may not read one of the repositories.
        NotFound: there is no such repository, image or platform.
        Invalid, Conflicting: a reference is none, or may be several.
    """
    first, tags_a = await _find(s, actor, *a, platform)
    second, tags_b = await _find(s, actor, *b, platform)
    pairs = _platforms(first, second)
    old, new = (_real(each) if not pairs else [] for each in (first, second))
    start = _prefix(old, new)
    rest_a, rest_b = old[start:], new[start:]
    in_a, in_b = {each.digest for each in rest_a}, {each.digest for each in rest_b}
    config = [] if pairs else _configs(first.config, second.config)
    annotations = _fields("annotations", first.annotations, second.annotations)
    grown = second.content_size - first.content_size
    return Comparison(
        a=_side(first, tags_a),
        b=_side(second, tags_b),
        summary=_summary(first, second, config, pairs, start),
        grown=grown,
        config=tuple(config),
        annotations=tuple(annotations),
        shared=tuple(new[:start]),
        common=tuple(each for each in rest_b if each.digest in in_a),
        only_a=tuple(each for each in rest_a if each.digest not in in_b),
        only_b=tuple(each for each in rest_b if each.digest not in in_a),
        platforms=tuple(pairs),
        problems=first.problems + second.problems,
    )


async def _find(
    s: Services, actor: Actor, name: RepositoryName, text: str, platform: str
) -> tuple[Image, tuple[str, ...]]:
    """Return the image, or that one of an index, and the tags of what was asked for."""
    found = await find_image(s, actor, name, text)
    if not platform or found.kind != INDEX:
        return found, found.tags
    for each in found.platforms:
        if each.platform == platform and each.is_here:
            return await find_image(s, actor, name, each.digest), found.tags
    known = ", ".join(sorted({each.platform for each in found.platforms if each.platform}))
    raise NotFound(
        f"{name} {text} has no platform {platform[:40]!r}", hint=f"It has {known or 'none'}"
    )


def _side(image: Image, asked_tags: tuple[str, ...]) -> Side:
    return Side(
        image.repository,
        image.digest,
        image.tags,
        asked_tags,
        image.kind,
        image.platform,
        image.content_size,
        len(_real(image)),
        image.fields,
    )


def _real(image: Image) -> list[Layer]:
    return [each for each in image.layers if each.digest is not None]


def _prefix(old: list[Layer], new: list[Layer]) -> int:
    """Return how many layers both begin with."""
    for place, (a, b) in enumerate(zip(old, new, strict=False)):
        if a.digest != b.digest:
            return place
    return min(len(old), len(new))


def _configs(a: ImageConfig | None, b: ImageConfig | None) -> list[Difference]:
    old, new = a or ImageConfig(), b or ImageConfig()
    found = []
    for name, of_a, of_b in (
        ("platform", old.platform, new.platform),
        ("user", old.user, new.user),
        ("working dir", old.working_dir, new.working_dir),
        ("entrypoint", _command(old.entrypoint), _command(new.entrypoint)),
        ("cmd", _command(old.cmd), _command(new.cmd)),
        ("stop signal", old.stop_signal, new.stop_signal),
        ("author", old.author, new.author),
    ):
        if of_a or of_b:
            found.append(Difference("config", name, of_a or None, of_b or None))
    for section, listed_a, listed_b in (
        ("ports", old.ports, new.ports),
        ("volumes", old.volumes, new.volumes),
    ):
        found += _fields(section, dict.fromkeys(listed_a, ""), dict.fromkeys(listed_b, ""))
    found += _fields("env", _variables(old.env), _variables(new.env))
    return found + _fields("labels", old.labels, new.labels)


def _command(words: tuple[str, ...]) -> str:
    return " ".join(words)


def _variables(env: tuple[str, ...]) -> dict[str, str]:
    parts = (each.partition("=") for each in env)
    return {name: value for name, _, value in parts}


def _fields(section: str, a: Mapping[str, str], b: Mapping[str, str]) -> list[Difference]:
    return [Difference(section, name, a.get(name), b.get(name)) for name in sorted({*a, *b})]


def _platforms(first: Image, second: Image) -> list[PlatformPair]:
    """Return the platforms of both, where there are any to be told apart."""
    if INDEX not in (first.kind, second.kind):
        return []
    a, b = _by_platform(first), _by_platform(second)
    found = []
    for platform in sorted({*a, *b}):
        of_a, of_b = a.get(platform, _NO_PLATFORM), b.get(platform, _NO_PLATFORM)
        are_here = of_a[2] and of_b[2]
        found.append(PlatformPair(platform, of_a[0], of_b[0], of_a[1], of_b[1], are_here))
    return found


def _by_platform(image: Image) -> dict[str, tuple[Digest | None, int, bool]]:
    if image.kind != INDEX:
        return {image.platform: (image.digest, image.content_size, True)}
    return {
        each.platform or each.digest: (each.digest, each.content_size, each.is_here)
        for each in image.platforms
        if not each.attests
    }


def _summary(
    first: Image,
    second: Image,
    config: list[Difference],
    pairs: list[PlatformPair],
    shared: int,
) -> str:
    """Return one sentence for people."""
    if first.identity == second.identity:
        return "Both are the same image."
    grown = second.content_size - first.content_size
    told = [f"B is {size_text(abs(grown))} {'larger' if grown > 0 else 'smaller'} than A"]
    if not grown:
        told = ["B is as large as A"]
    if pairs:
        same = sum(each.a == each.b for each in pairs)
        told.append(f"has {same} of {len(pairs)} platforms in common with it")
        return f"{' and '.join(told)}."
    count = len(_real(second))
    told.append(f"shares the first {shared} of its {count} layers with it")
    changed = [each.name for each in config if not each.is_same]
    if changed:
        more = len(changed) - _MOST_NAMED
        named = ", ".join(changed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        told.append(f"has another configuration: {named}")
    else:
        told.append("has the same configuration")
    return f"{', '.join(told[:-1])}, and {told[-1]}."


def size_text(size: int) -> str:
    """Return a number of bytes as people write it, in steps of a thousand."""
    value, step = float(size), 0
    while value >= _STEP and step < len(_UNITS) - 1:
        value /= _STEP
        step += 1
    return f"{value:.1f} {_UNITS[step]}" if step else f"{size} {_UNITS[0]}"
