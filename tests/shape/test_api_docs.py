"""The table in docs/reference/api.md is that of the routes."""

from pathlib import Path

from moorage.api.routes import PREFIX, ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()


def rows() -> list[str]:
    """Return the table as the routes have it: one row for each address."""
    found: dict[str, list[str]] = {}
    for route in ROUTES:
        needs = f" ({route.action})" if route.action else " (open)"
        found.setdefault(PREFIX + route.path, []).append(f"{route.method}{needs}")
    return [f"| `{path}` | {', '.join(methods)} |" for path, methods in found.items()]


def test_every_address() -> None:
    listed = [line for line in PAGE.splitlines() if line.startswith(f"| `{PREFIX}/")]
    assert listed == rows()
