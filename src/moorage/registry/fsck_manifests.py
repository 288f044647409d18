"""The step of a check that reads manifests: their bytes, what they name, and whose referrers."""

from collections.abc import Sequence

from moorage.db import checking
from moorage.db.checking import Whole
from moorage.db.engine import Tx
from moorage.db.verifications import Finding
from moorage.errors import ManifestInvalid
from moorage.oci.descriptor import listed
from moorage.oci.digest import Digest, digest_of
from moorage.oci.manifest import Manifest, parse_manifest
from moorage.registry.verifying import Part, Verifying

_PAGE = 100
# Each has up to 4 MiB; so many bytes are read at once.
_MOST_BYTES = 8 << 20


async def check_manifests(run: Verifying) -> None:
    """Read some manifests, live or not (I2, I5, I10)."""
    after = int(run.place or 0)

    async def read(tx: Tx) -> list[Whole]:
        found = []
        for number in _some(await checking.list_sizes(tx, after, _PAGE)):
            whole = await checking.find_whole(tx, number)
            if whole is not None:
                found.append(whole)
        return found

    page = await run.s.db.read(read, pages=True)

    async def work(tx: Tx) -> Part:
        findings = []
        for whole in page:
            findings += await _check(tx, run, whole)
        repaired = sum(bool(each.repair) for each in findings)
        last = page[-1].id if page else None
        return Part(findings, last, len(page), repaired=repaired)

    await run.write(work)


def _some(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return the first manifests, of so many bytes at most, but for one."""
    chosen: list[int] = []
    total = 0
    for number, size in sizes:
        total += size
        if chosen and total > _MOST_BYTES:
            break
        chosen.append(number)
    return chosen


async def _check(tx: Tx, run: Verifying, whole: Whole) -> list[Finding]:
    subject = f"{whole.repository or 'a repository that is gone'}@{_shown(whole.identity)}"
    if digest_of(whole.raw).key != whole.identity or len(whole.raw) != whole.size:
        return [Finding("I5", subject, "the manifest's bytes have not its digest")]
    try:
        manifest = parse_manifest(whole.raw, whole.media_type)
    except ManifestInvalid as error:
        return [Finding("I5", subject, f"the manifest can't be read: {error.message}")]
    findings = []
    if sorted(whole.named) != sorted(_named(manifest)):
        findings.append(Finding("I2", subject, "what it names is not what was noted of it"))
    found = await _check_subject(tx, run, whole, manifest, subject)
    return [*findings, found] if found else findings


def _named(manifest: Manifest) -> list[tuple[str, bytes]]:
    """Return what the manifest names, as a push notes it."""
    single = (("config", manifest.config), ("subject", manifest.subject))
    several = (("layer", manifest.layers), ("manifest", manifest.manifests))
    found = [(role, each.digest.key) for role, each in single if each is not None]
    return found + [(role, each.digest.key) for role, listed_ in several for each in listed_]


async def _check_subject(
    tx: Tx, run: Verifying, whole: Whole, manifest: Manifest, subject: str
) -> Finding | None:
    """See that the manifest is found as a referrer of what it refers to, and of nothing else."""
    wanted: tuple[bytes, ...] = (b"",)
    if manifest.subject is not None:
        wanted = await checking.find_names(tx, whole.repository_id, manifest.subject.digest)
    if bytes(whole.subject) in wanted:
        return None
    problem = "it is not listed as a referrer of its subject"
    if manifest.subject is None:
        problem = "it is listed as a referrer, and has no subject"
    repair = ""
    entry = _entry(whole, manifest)
    if run.run.repairs and await checking.mend_subject(tx, whole, wanted[0], entry):
        repair = "its subject is what its bytes say"
    return Finding("I10", subject, problem, repair)


def _entry(whole: Whole, manifest: Manifest) -> bytes:
    if manifest.subject is None:
        return b""
    identity = Digest.from_key(whole.identity)
    return listed(
        manifest.media_type, identity, whole.size, manifest.artifact_type, manifest.annotations
    )


def _shown(key: bytes) -> str:
    return Digest.from_key(key)
