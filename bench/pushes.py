"""Pushes: large blobs, small images in numbers, and a real client both ways."""

import itertools
import json
import os
import shutil
import statistics
import zlib
from pathlib import Path

from bench import bodies, tools, uploads
from bench.bodies import MIB, NoiseFile
from bench.load import Stopwatch, Work
from bench.report import Row, least
from bench.rounds import BYTES, IMAGES, Bench, Pair, interleave
from bench.servers import DockerRegistry, Server
from bench.uploads import Batch, Source


def push_put(bench: Bench) -> list[Row]:
    """Push a large blob in one PUT."""
    return _push(bench, chunked=False)


def push_patch(bench: Bench) -> list[Row]:
    """Push a large blob in PATCHes of 5 MiB."""
    return _push(bench, chunked=True)


def _push(bench: Bench, *, chunked: bool) -> list[Row]:
    """Push fresh content each round: neither server may know the blob already."""
    mib = bench.size(1024, 256)
    noise = NoiseFile(bench.scratch / "pushed", mib * MIB)
    fresh: set[int] = set()

    def run(server: Server, number: int) -> Work:
        if number not in fresh:
            fresh.add(number)
            noise.freshen(f"push {chunked} {number}")
        source = Source(noise.path, noise.size, noise.digest)
        return bench.load(uploads.push_file, server.endpoint, "bench/push", source, chunked=chunked)

    with bench.pair() as pair:
        result = interleave(pair, bench.rounds, run, settle=True)
    noise.path.unlink()
    name = f"push {mib} MiB, {'5 MiB PATCHes' if chunked else 'one PUT'}"
    figure = "last PUT ms" if chunked else "PUT ms"
    return [*result.rows(name, BYTES, {"rate": least(1.2)}), result.waits(name, figure, max)]


def small_images(bench: Bench) -> list[Row]:
    """Small images with 1 and 16 pushers, to repositories of their own and to one."""
    rows: list[Row] = []
    for pushers, shared in itertools.product((1, 16), (False, True)):
        with bench.pair() as pair:
            rows += _images(bench, pair, pushers, shared=shared)
    return rows


def _images(bench: Bench, pair: Pair, pushers: int, *, shared: bool) -> list[Row]:
    """Push up to 2,000 images, 400 to the peer, or what fits into the time."""
    processes = min(pushers, 2)

    def run(server: Server, number: int) -> Work:
        images = bench.size(400, 200) if isinstance(server, DockerRegistry) else 2000
        batches = [
            Batch(
                seed=f"i{number}p{place}",
                images=images // processes,
                pushers=pushers // processes,
                seconds=bench.size(8, 3),
                repository=f"bench/shared{number}" if shared else None,
            )
            for place in range(processes)
        ]
        calls = [(uploads.push_images, server.endpoint, batch) for batch in batches]
        return bench.side_by_side(calls)

    result = interleave(pair, bench.long_rounds, run, settle=True)
    place = "one repository" if shared else "distinct repositories"
    who = "1 pusher" if pushers == 1 else f"{pushers} pushers"
    name = f"small images, {who}, {place}"
    counts = [int(max(one.work.operations for one in side)) for side in (result.ours, result.peer)]
    rate, *others = result.rows(name, IMAGES, {"rate": least(3.0)})
    return [
        rate.noted(f"most images in a round: {counts[0]} / {counts[1]}"),
        *others,
        result.waits(name, "median commit ms", statistics.median),
        result.waits(name, "longest commit ms", max),
    ]


def skopeo(bench: Bench) -> list[Row]:
    """Copy an image of 12 layers to and from the registries with skopeo."""
    size = bench.size(300, 60) * MIB
    layout, copy = bench.scratch / "layout", bench.scratch / "copy"
    made: set[int] = set()

    def push(server: Server, number: int) -> Work:
        if number not in made:
            made.add(number)
            shutil.rmtree(layout, ignore_errors=True)
            write_layout(layout, f"skopeo {number}", size)
        return _copy(f"oci:{layout}:v1", _image(server, number), size)

    def pull(server: Server, number: int) -> Work:
        shutil.rmtree(copy, ignore_errors=True)
        return _copy(_image(server, number), f"dir:{copy}", size)

    with bench.pair() as pair:
        pushed = interleave(pair, bench.long_rounds, push, settle=True)
        pulled = interleave(pair, bench.long_rounds, pull, settle=True)
    for directory in (layout, copy):
        shutil.rmtree(directory, ignore_errors=True)
    what = f"{size // MIB} MiB in 12 layers"
    return [
        *pushed.rows(f"skopeo push, {what}", BYTES),
        *pulled.rows(f"skopeo pull, {what}", BYTES),
    ]


def _image(server: Server, number: int) -> str:
    return f"docker://{server.endpoint.authority}/bench/app{number}:v1"


def _copy(source: str, target: str, size: int) -> Work:
    """Copy with skopeo; its own CPU is read from what the operating system says of children."""
    before = os.times()
    watch = Stopwatch()
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    tools.run(["skopeo", "--insecure-policy", "copy", "--quiet", *plain, source, target])
    seconds = watch.seconds
    after = os.times()
    cpu = after.children_user - before.children_user
    cpu += after.children_system - before.children_system
    return Work(size, seconds, cpu)


def write_layout(directory: Path, seed: str, size: int, layers: int = 12) -> None:
    """Write an OCI layout of one image whose gzip layers hold bytes that do not compress."""
    store = directory / "blobs" / "sha256"
    store.mkdir(parents=True)

    def keep(data: bytes, media_type: str) -> dict[str, object]:
        item = bodies.blob(data)
        (store / item.digest.partition(":")[2]).write_bytes(data)
        return bodies.descriptor(media_type, item)

    names: list[str] = []
    parts: list[dict[str, object]] = []
    for number in range(layers):
        content = bodies.noise(f"{seed}/{number}", size // layers)
        names.append(bodies.sha256(content))
        parts.append(keep(stored_gzip(content), bodies.LAYER))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": names},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": bodies.MANIFEST,
        "config": keep(json.dumps(config).encode(), bodies.CONFIG),
        "layers": parts,
    }
    entry = keep(json.dumps(manifest).encode(), bodies.MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def stored_gzip(content: bytes) -> bytes:
    """Return gzip that only stores its content, so that no client compresses it again."""
    packer = zlib.compressobj(level=0, wbits=31)
    return packer.compress(content) + packer.flush()
