"""One image for people to look at: what it is, what it is made of, and what belongs to it."""

import re
from datetime import UTC, datetime

import msgspec

from moorage.auth.policy import require
from moorage.db import access, history, images, manifests, naming, trash
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.db.images import Part, Shown
from moorage.errors import Conflicting, Invalid, NotFound, RegistryError
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Blob, Repository, TagChange
from moorage.model.images import Attached, Image, Layer, Parent, Platform, Use
from moorage.oci.config import MAX_CONFIG, ImageConfig, masked_field, parse_config
from moorage.oci.contents import Contents, Listed, read_contents, read_listed
from moorage.oci.digest import Digest, digest_of
from moorage.oci.kinds import IMAGE_CONFIGS, PROVENANCE, kind_of
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.registry import pull, rights, suggest
from moorage.registry import trash as deleted
from moorage.registry.history import by_for
from moorage.registry.listing import sees_all
from moorage.registry.services import Services
from moorage.registry.sharing import list_uses

_NEWEST = 2**62
_MOST_TAGS = 100
_MOST_ATTACHED = 100
_MOST_PLATFORMS = 500
_MOST_PARENTS = 20
_NAMES_OF_PARENT = 5
# So many layers are looked for elsewhere; images have at most 127.
_MOST_SHARED = 200
_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})", re.ASCII)


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading transaction found."""

    stored: Shown
    digest: Digest
    contents: Contents
    digests: tuple[Digest, ...]
    tags: tuple[tuple[Tag, Digest], ...]
    by: TagChange | None
    parts: tuple[Part, ...]
    absent: frozenset[Digest]
    has_subject: bool
    parents: tuple[Parent, ...]
    attached: tuple[Attached, ...]
    config: Blob | None


async def find_image(s: Services, actor: Actor, name: RepositoryName, text: str) -> Image:
    """Return the image behind a tag, a digest, or the first 8 or more digits of its sha256.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository or image.
        Invalid: the text is no reference.
        Conflicting: more than one digest begins so.
    """
    repository = await rights.require_repository(s, actor, Action.PULL, name)
    reference = await resolve(s, repository, text)
    whole = await sees_all(s, actor)

    async def read(tx: Tx) -> _Seen:
        found = await access.find_target(tx, actor.subject, name)
        require(actor, Action.PULL, RepositoryTarget(name), found.facts)
        known = (
            await images.find_by(tx, found.repository.id, reference) if found.repository else None
        )
        if found.repository is None or known is None:
            hint = await _kept(s, tx, found.repository, reference)
            raise NotFound(f"{name} has no {reference}", hint=hint)
        return await _look(tx, actor, found, found.repository, known)

    seen = await s.db.read(read, pages=True)
    config, problems = await _read_config(s, seen)

    async def shared(tx: Tx) -> dict[Digest, Use]:
        layers = [each.digest for each in seen.contents.layers[:_MOST_SHARED]]
        return await list_uses(tx, actor, name, layers, whole=whole)

    return _image(name, seen, config, problems, await s.db.read(shared, pages=True))


async def _kept(
    s: Services, tx: Tx, repository: Repository | None, reference: Reference
) -> str | None:
    """Return that what is not there was deleted, and until when it can be restored."""
    if repository is None or not isinstance(reference, Digest):
        return None
    until = await deleted.find_until(s, tx, repository, reference)
    if not until:
        return None
    day = datetime.fromtimestamp(until / 1000, UTC).date()
    return f"It was deleted, and can be restored until {day}"


async def resolve(s: Services, repository: Repository, text: str) -> Reference:
    """Return the tag or the whole digest that was meant; a tag comes before digits.

    The actor may read the repository. Raises as `find_image`.
    """
    try:
        reference: Reference | None = Digest.parse(text) if ":" in text else Tag.parse(text)
    except RegistryError:
        reference = None
    begun = _PREFIX.fullmatch(text)
    if reference is None and begun is None:
        raise Invalid(
            f"{text[:140]!r} is neither a tag nor a digest",
            hint="Write a tag, or 8 or more of the digits of a digest",
        )

    async def read(tx: Tx) -> Reference:
        if isinstance(reference, Tag):
            state = await suggest.find_tag(tx, repository.id, reference)
            if state is not None:
                return reference
        elif reference is not None:
            return reference
        known = await images.list_by_prefix(tx, repository.id, begun[1], 2) if begun else []
        if len(known) > 1:
            raise Conflicting(
                f"more than one digest in {repository.name} begins with {text}",
                hint="Write more of its digits",
            )
        if known:
            return known[0]
        if isinstance(reference, Tag):
            hint = await suggest.tags_like(tx, repository.id, reference)
            raise NotFound(f"{repository.name} has no tag {reference}", hint=hint)
        raise NotFound(f"{repository.name} has no digest that begins with {text}")

    return await s.db.read(read, pages=True)


async def _look(
    tx: Tx,
    actor: Actor,
    found: Found,
    repository: Repository,
    known: tuple[Shown, Digest],
) -> _Seen:
    stored, digest = known
    contents = read_contents(stored.raw)
    names = await images.list_tags_of(tx, repository.id, stored.id, _MOST_TAGS + 1)
    by = None
    for tag, named in names[:1]:
        move = await history.find_move_to(tx, repository.id, tag, named)
        by = by_for(actor, repository.name, found, move.by) if move is not None else None
    listed = await manifests.list_referrers(
        tx, repository.id, stored.identity, "", _NEWEST, _MOST_ATTACHED + 1
    )
    config, subject = contents.config, contents.subject
    return _Seen(
        stored=stored,
        digest=digest,
        contents=contents,
        digests=tuple(await trash.list_digests(tx, stored.id)),
        tags=tuple(names),
        by=by,
        parts=tuple(await images.list_listed(tx, stored.id, _MOST_PLATFORMS)),
        absent=frozenset(await images.list_absent(tx, stored.id)),
        has_subject=subject is not None
        and await manifests.find_live(tx, repository.id, subject.digest) is not None,
        parents=await _parents(tx, repository, stored.id),
        attached=tuple(map(_attached, filter(None, (read_listed(raw) for _, raw in listed)))),
        config=await images.find_linked(tx, repository.id, config.digest) if config else None,
    )


async def _parents(tx: Tx, repository: Repository, manifest_id: int) -> tuple[Parent, ...]:
    found = await naming.list_parents(tx, repository.id, naming.MANIFEST, manifest_id)
    parents: list[Parent] = []
    for number, identity, until in found:
        if not until and len(parents) < _MOST_PARENTS:
            tags = await images.list_tags_of(tx, repository.id, number, _NAMES_OF_PARENT)
            parents.append(Parent(identity, tuple(tag for tag, _ in tags)))
    return tuple(parents)


def _attached(listed: Listed) -> Attached:
    kind = kind_of(listed.media_type, listed.artifact_type)
    return Attached(
        listed.digest,
        listed.media_type,
        listed.artifact_type,
        kind,
        listed.size,
        {key: masked_field(key, value) for key, value in listed.annotations.items()},
    )


async def _read_config(s: Services, seen: _Seen) -> tuple[ImageConfig | None, tuple[str, ...]]:
    """Return the configuration, or why there is none to show."""
    listed, blob = seen.contents.config, seen.config
    if listed is None or listed.media_type not in IMAGE_CONFIGS:
        return None, ()
    if blob is None:
        return None, (f"its configuration {listed.digest} is not here",)
    if blob.size > MAX_CONFIG:
        return None, (f"its configuration has {blob.size:,} bytes, more than are read",)
    try:
        raw = b"".join([chunk async for chunk in s.blobs.read(blob.location, 0, blob.size)])
    except FileNotFoundError:
        raw = b""
    if digest_of(raw, listed.digest.algorithm) != listed.digest:
        await pull.note_damage(s, blob)
        return None, (f"its configuration {listed.digest} is damaged in the store",)
    config = parse_config(raw)
    return config, config.problems


def _image(
    name: RepositoryName,
    seen: _Seen,
    config: ImageConfig | None,
    problems: tuple[str, ...],
    uses: dict[Digest, Use],
) -> Image:
    stored, contents = seen.stored, seen.contents
    media_types = (each.media_type for each in contents.layers)
    platforms = tuple(_platforms(seen))
    return Image(
        repository=name,
        digest=seen.digest,
        identity=stored.identity,
        digests=tuple(sorted(seen.digests)),
        media_type=stored.media_type,
        artifact_type=stored.artifact_type,
        kind=kind_of(stored.media_type, stored.artifact_type, media_types),
        size=stored.size,
        content_size=contents.size + sum(each.content_size for each in platforms),
        pushed_at=stored.created_at,
        by=seen.by,
        tags=tuple(tag for tag, _ in seen.tags[:_MOST_TAGS]),
        more_tags=len(seen.tags) > _MOST_TAGS,
        platform=config.platform if config is not None else "",
        platforms=platforms,
        config_digest=contents.config.digest if contents.config is not None else None,
        config=config,
        layers=tuple(_layers(seen, config, uses)),
        annotations={key: masked_field(key, value) for key, value in contents.annotations.items()},
        subject=contents.subject.digest if contents.subject is not None else None,
        has_subject=seen.has_subject,
        attached=seen.attached[:_MOST_ATTACHED],
        more_attached=len(seen.attached) > _MOST_ATTACHED,
        parents=seen.parents,
        problems=problems,
        raw=stored.raw,
    )


def _platforms(seen: _Seen) -> list[Platform]:
    found = []
    # Both are in the order of the index.
    for listed, part in zip(seen.contents.manifests, seen.parts, strict=False):
        is_here = part.artifact_type is not None
        kind = kind_of(listed.media_type, part.artifact_type or "") if is_here else ""
        if listed.attests:
            kind = PROVENANCE
        found.append(
            Platform(
                listed.digest,
                listed.media_type,
                listed.platform,
                kind,
                part.bytes,
                is_here,
                listed.attests,
            )
        )
    return found


def _layers(seen: _Seen, config: ImageConfig | None, uses: dict[Digest, Use]) -> list[Layer]:
    """Return the steps of the image in order, with those that made no layer.

    Where the history tells of more or fewer layers than there are, it is not of this image.
    """
    layers = list(seen.contents.layers)
    steps = config.history if config is not None else ()
    if sum(not step.is_empty for step in steps) != len(layers):
        return [_layer(seen, each, "", "", uses) for each in layers]
    found = []
    left = iter(layers)
    for step in steps:
        if step.is_empty:
            found.append(Layer(None, instruction=step.instruction, created=step.created))
        else:
            found.append(_layer(seen, next(left), step.instruction, step.created, uses))
    return found


def _layer(
    seen: _Seen, listed: Listed, instruction: str, created: str, uses: dict[Digest, Use]
) -> Layer:
    return Layer(
        listed.digest,
        listed.media_type,
        listed.size,
        instruction,
        created,
        listed.digest not in seen.absent,
        uses.get(listed.digest, Use()),
    )
