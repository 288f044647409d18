"""Pushes as somebody makes them, with a client that people have."""

from __future__ import annotations

from pathlib import Path

from api import PASSWORD
from clients.copiers import Skopeo
from clients.engines import Docker
from clients.images import small_image
from registry import unique


def pushes(client: Docker | Skopeo, authority: str, user: str, reference: str, at: Path) -> None:
    """Push a small image as somebody does."""
    content, root = small_image(unique("i"), 10_000)
    layout = content.write(at / "layout", root)
    client.load(layout, reference)
    client.login(authority, user, PASSWORD).ok()
    client.push(reference).ok()
