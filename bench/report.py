"""Rows of figures, their targets, the table people read and the files it is kept in."""

import itertools
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bench import tools
from bench.tools import BenchError
from postgres import PROGRAMS
from s3 import GATEWAY

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
LATEST = HERE / "results.json"
THOUSAND = 1000
SIDES = ("Moorage", "docker-registry")
PREFACE = """# Results of the benchmark

`make bench` appends a section per run; `results.json` holds the latest run for programs.
Every figure is a median with the smallest and the largest of its rounds; the rounds of the two
servers alternate on one machine, in one run. "ratio" is Moorage divided by docker-registry with the
smallest and the largest ratio of a round. Both servers make a push durable before they answer 201.
CPU is user and system time of the server's whole process tree; memory is the peak of its
proportional set size. What a server writes lies apart on ext4, which for each file that it makes
looks through the inodes that were freed near by. The client runs on the same cores as the server:
"client" is the share of one core it took while Moorage / docker-registry was measured. Rows are
printed whether won or lost. Measurements `fleet-*` compare other pairs, which the head of their
table names: the fleet's shape (PostgreSQL and an S3 server on the same machine) beside the embedded
one, many entries beside few, three replicas beside one. Where a ratio has "95 %" behind it, many
short rounds were run against the same server, each in a random order of its own: the ratio is the
median of those of single rounds, and what it would lie between in 95 of 100 such runs is told.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach: the ratio, or our own value where the bound is absolute."""

    limit: float
    of: Literal["ratio", "value"] = "ratio"
    at_least: bool = True

    def held(self, row: "Row") -> bool:
        """Whether the row reaches it."""
        value = row.ratio if self.of == "ratio" else statistics.median(row.ours)
        if value is None:
            return False
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        """Return the target as the table prints it."""
        sign = ">=" if self.at_least else "<="
        return f"{sign} {number(self.limit)}{'x' if self.of == 'ratio' else ''}"


def least(limit: float) -> Target:
    """Return a ratio that may not be smaller."""
    return Target(limit)


def most(limit: float) -> Target:
    """Return a ratio that may not be larger."""
    return Target(limit, at_least=False)


def within(limit: float) -> Target:
    """Return a bound that our own value may not exceed."""
    return Target(limit, of="value", at_least=False)


def reaching(limit: float) -> Target:
    """Return a bound that our own value must reach."""
    return Target(limit, of="value")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one measurement for both servers, a value a round."""

    name: str
    figure: str
    ours: tuple[float, ...]
    peer: tuple[float, ...] = ()
    target: Target | None = None
    client: tuple[float, float] | None = None
    note: str = ""
    sides: tuple[str, str] = SIDES
    # Many short rounds, each with a ratio of its own: what disturbs a round disturbs both sides.
    paired: bool = False

    @property
    def ratio(self) -> float | None:
        """The ratio of the medians; of paired rounds, the median of their ratios."""
        if not self.peer or not statistics.median(self.peer):
            return None
        if self.paired:
            return statistics.median(self.ratios)
        return statistics.median(self.ours) / statistics.median(self.peer)

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each round."""
        pairs = zip(self.ours, self.peer, strict=False)
        return tuple(ours / peer for ours, peer in pairs if peer)

    def noted(self, note: str) -> "Row":
        """Return the row with a note under the table."""
        return replace(self, note=note)

    def verdict(self) -> str:
        """Return the target with what became of it."""
        if self.target is None:
            return ""
        return f"{self.target} {'held' if self.target.held(self) else 'MISSED'}"

    def cells(self) -> list[str]:
        """Return the row as the table prints it."""
        ratio = ""
        if self.ratio is not None:
            ratio = f"{number(self.ratio)}x"
            if self.paired:
                ratio += " (95 %: {}..{})".format(*map(number, sure(self.ratios)))
            elif len(self.ratios) > 1:
                ratio += f" ({number(min(self.ratios))}..{number(max(self.ratios))})"
        client = "{:.2f} / {:.2f}".format(*self.client) if self.client else ""
        figures = [spread(self.ours), spread(self.peer)]
        return [self.name, self.figure, *figures, ratio, client, self.verdict()]

    def as_json(self) -> dict[str, object]:
        """Return the row for programs."""
        facts = asdict(self)
        facts["target"] = str(self.target) if self.target else None
        held = self.target.held(self) if self.target else None
        return facts | {"ratio": self.ratio, "ratios": self.ratios, "held": held}


def number(value: float) -> str:
    """Return a figure with three significant digits or all of its integer part."""
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:#.3g}".rstrip(".")


def sure(values: Sequence[float]) -> tuple[float, float]:
    """Return between which two of the values the true median is, in 95 of 100 cases.

    Nothing is taken for granted of how they are spread: half of them are expected below it, give
    or take 0.98 square roots of their number (a binomial's 1.96 standard deviations).
    """
    placed = sorted(values)
    place = max(0, int(len(placed) / 2 - 0.98 * math.sqrt(len(placed))))
    return placed[place], placed[-1 - place]


def spread(values: Sequence[float]) -> str:
    """Return the median and, of several values, the smallest and the largest."""
    if not values:
        return ""
    middle = number(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))}..{number(max(values))})"


@dataclass(slots=True)
class Report:
    """The rows of a run, in the order they were measured."""

    kind: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the run as a section of RESULTS.md."""
        groups = itertools.groupby(self.rows, key=lambda row: row.sides)
        tables = [table(sides, [row.cells() for row in rows]) for sides, rows in groups]
        title = f"## {self.started:%Y-%m-%d %H:%M} UTC, {self.kind}"
        facts = [f"- {name}: {value}" for name, value in machine().items()]
        # What others did on the machine: a figure of a fleet suffers from it more than a ratio.
        facts.append(f"- load average before the run: {self.load:.1f}")
        notes = [f"- {row.name}, {row.figure}: {row.note}" for row in self.rows if row.note]
        failed = [f"- NOT MEASURED {name}: {why}" for name, why in self.failures.items()]
        blocks = [[title], facts, *tables, [self.score()], notes, failed]
        return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"

    def score(self) -> str:
        """Return how many of the targets are held."""
        targets = [row.target.held(row) for row in self.rows if row.target]
        return f"Targets held: {sum(targets)} of {len(targets)}."

    def save(self, directory: Path) -> None:
        """Append the section and replace the latest results."""
        results = directory / RESULTS.name
        before = results.read_text() if results.exists() else PREFACE
        results.write_text(f"{before}\n{self.markdown()}")
        document = {
            "started": self.started.isoformat(),
            "kind": self.kind,
            "machine": machine(),
            "rows": [row.as_json() for row in self.rows],
            "failures": self.failures,
        }
        (directory / LATEST.name).write_text(json.dumps(document, indent=1) + "\n")


def table(sides: tuple[str, str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of rows that compare the same two."""
    heads = ["measurement", "figure", *sides, "ratio", "client", "target"]
    widths = [max(len(line[place]) for line in (heads, *lines)) for place in range(len(heads))]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)) + " |"
        for line in (heads, rule, *lines)
    ]


def machine() -> dict[str, str]:
    """Return the facts a figure means nothing without."""
    model = _line_after("/proc/cpuinfo", "model name")
    memory = int(_line_after("/proc/meminfo", "MemTotal").split()[0]) // (1 << 20)
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "memory": f"{memory} GiB",
        "kernel": platform.release(),
        "python": f"{platform.python_version()}, {_build()}",
        "Moorage": _moorage(),
        "docker-registry": _first_line(["docker-registry", "--version"]),
        "PostgreSQL": _first_line([str(PROGRAMS / "postgres"), "--version"]),
        "object store": "versitygw" if GATEWAY.exists() else "swift",
        "wrk": _first_line(["dpkg-query", "-W", "-f", "${Version}", "wrk"]),
        "skopeo": _first_line(["skopeo", "--version"]),
    }


def _build() -> str:
    """Tell whose Python it is: a distribution's is built with profiles, and faster."""
    return "the system's" if sys.base_prefix == "/usr" else "not the system's"


def _line_after(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "0")


def _first_line(command: list[str]) -> str:
    try:
        return tools.run(command, limit=10).strip().splitlines()[0]
    except (BenchError, IndexError):
        return "unknown"


def _moorage() -> str:
    text = (HERE.parent / "src" / "moorage" / "__init__.py").read_text()
    version = text.partition("__version__")[2].split('"')[1] if "__version__" in text else "unknown"
    commit = _first_line(["git", "-C", str(HERE.parent), "rev-parse", "--short", "HEAD"])
    return f"{version} ({commit})"
