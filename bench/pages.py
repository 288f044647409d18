"""Pages of long lists: tags of a repository and the catalog; and the start over many tags."""

import hashlib
import json
import statistics
from collections.abc import Callable

from bench import bodies, load, seeds, uploads
from bench.load import Work
from bench.report import Row, least
from bench.resources import cold_starts
from bench.rounds import PAGES, Bench, Comparison, Pair, interleave, say
from bench.servers import Server
from bench.wire import request

REPOSITORY = "bench/tags"
MOST_PAGES = 2000
PAGE = 100


def tags_at_scale(bench: Bench) -> list[Row]:
    """Tag pages of a repository of 100,000 tags, and cold starts over them."""
    amount = bench.size(100_000, 10_000)
    with bench.pair() as pair:
        image = bodies.image("tags")
        for server in pair:
            connection = server.connection()
            uploads.push_image(connection, REPOSITORY, "first", image)
            connection.close()
            seeds.tags(server, REPOSITORY, image.manifest, amount)
            say("s")

        def path(number: int) -> str:
            return f"/v2/{REPOSITORY}/tags/list?n={PAGE}&last={seeds.tag_name(number)}"

        result, note = _pages(bench, pair, amount, path)
        starts = cold_starts(bench, pair, f"cold start, {amount:,} tags")
    return [*_rows(f"tags page of {amount:,}", result, note), *starts]


def catalog_at_scale(bench: Bench) -> list[Row]:
    """Catalog pages of a registry of 100,000 repositories."""
    with bench.pair() as pair:
        amount = seeds.repositories(bench, pair.ours, bench.size(100_000, 3_000))
        seeds.repositories(bench, pair.peer, amount)

        def path(number: int) -> str:
            return f"/v2/_catalog?n={PAGE}&last={seeds.repository_name(number)}"

        result, note = _pages(bench, pair, amount, path)
    return _rows(f"catalog page of {amount:,}", result, note)


def _pages(
    bench: Bench, pair: Pair, amount: int, path: Callable[[int], str]
) -> tuple[Comparison, str]:
    """Ask for pages at random places, one after another, for a few seconds a round."""
    limit = bench.seconds
    sizes = [_entries(server, path(amount // 2)) for server in pair]
    note = f"entries in an answer to n={PAGE}: {sizes[0]} / {sizes[1]}"

    def run(server: Server, number: int) -> Work:
        messages = [
            request(server.endpoint, "GET", path(_place(f"{number}/{page}", amount - PAGE)))
            for page in range(MOST_PAGES)
        ]
        return bench.load(load.walk, server.endpoint, messages, limit)

    return interleave(pair, bench.rounds, run), note


def _place(seed: str, below: int) -> int:
    """Return a place that looks random and is the same for both servers."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % below


def _entries(server: Server, path: str) -> int:
    """Return how many entries a page has."""
    connection = server.connection()
    answer = connection.exchange(request(server.endpoint, "GET", path)).expect(200)
    connection.close()
    document = json.loads(answer.body)
    return len(document.get("tags") or document.get("repositories") or [])


def _rows(name: str, result: Comparison, note: str) -> list[Row]:
    rate, *others = result.rows(name, PAGES, {"rate": least(10.0)})
    latency = result.waits(name, "median ms", statistics.median)
    return [rate.noted(note), *others, latency]
