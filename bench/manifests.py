"""Manifest requests: by tag, by digest, HEAD, and in a repository of many tags."""

from collections.abc import Mapping

from bench import bodies, load, seeds, uploads
from bench.bodies import MANIFEST, Image
from bench.report import Row, Target, least, most
from bench.rounds import REQUESTS, Bench, Comparison, Pair, interleave
from bench.wire import request

SMALL = "bench/small"
MANY = "bench/many"
TAGS = 10
CONNECTIONS = 16
TARGETS: Mapping[str, Target] = {"rate": least(6.0), "cpu": most(0.1)}


def small_repository(pair: Pair) -> Image:
    """Push a repository of ten tags whose manifests have about 2 KiB; return the first image."""
    images = [bodies.image(f"small{number}", padding=1400) for number in range(TAGS)]
    for server in pair:
        connection = server.connection()
        for number, image in enumerate(images):
            uploads.push_image(connection, SMALL, f"v{number}", image)
        connection.close()
    return images[0]


def wrk_get(
    bench: Bench, pair: Pair, path: str, accept: str | None = None, lua: str = ""
) -> Comparison:
    """Compare GETs of a path, or of what a script asks for, after an unmeasured second each."""
    script = bench.scratch / "get.lua"
    target = {server: (server.endpoint, path) for server in pair}
    for server in pair:
        load.wrk(target[server], script, 1, accept=accept, lua=lua)
    return interleave(
        pair,
        bench.rounds,
        lambda server, _: load.wrk(
            target[server], script, bench.seconds, CONNECTIONS, accept=accept, lua=lua
        ),
    )


def head(bench: Bench, pair: Pair, path: str) -> Comparison:
    """Compare HEADs of a path over 16 connections."""
    headers = {"Accept": MANIFEST}
    messages = {server: request(server.endpoint, "HEAD", path, headers) for server in pair}
    return interleave(
        pair,
        bench.rounds,
        lambda server, _: bench.load(
            load.ping, server.endpoint, messages[server], CONNECTIONS, bench.seconds
        ),
    )


def manifest_requests(bench: Bench) -> list[Row]:
    """GET by tag and by digest and HEAD by tag in a repository of ten tags."""
    with bench.pair() as pair:
        image = small_repository(pair)
        by_tag = wrk_get(bench, pair, f"/v2/{SMALL}/manifests/v0", MANIFEST)
        by_digest = wrk_get(bench, pair, f"/v2/{SMALL}/manifests/{image.manifest.digest}", MANIFEST)
        by_head = head(bench, pair, f"/v2/{SMALL}/manifests/v0")
    return [
        *by_tag.rows("manifest GET by tag", REQUESTS, TARGETS),
        by_tag.waits("manifest GET by tag", "p99 ms", max),
        *by_digest.rows("manifest GET by digest", REQUESTS, TARGETS),
        by_digest.waits("manifest GET by digest", "p99 ms", max),
        *by_head.rows("manifest HEAD by tag", REQUESTS, TARGETS),
    ]


def many_tags(bench: Bench) -> list[Row]:
    """GET by tag and by digest in a repository of 10,000 tags."""
    with bench.pair() as pair:
        image = bodies.image("many", padding=1400)
        for server in pair:
            connection = server.connection()
            uploads.push_image(connection, MANY, "first", image)
            connection.close()
            seeds.tags(server, MANY, image.manifest, 10_000)
        by_tag = wrk_get(bench, pair, f"/v2/{MANY}/manifests/{seeds.tag_name(5000)}", MANIFEST)
        by_digest = wrk_get(bench, pair, f"/v2/{MANY}/manifests/{image.manifest.digest}", MANIFEST)
    return [
        *by_tag.rows("manifest GET by tag of 10,000", REQUESTS, TARGETS),
        *by_digest.rows("manifest GET by digest beside 10,000 tags", REQUESTS, TARGETS),
    ]
