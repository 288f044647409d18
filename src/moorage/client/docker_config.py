"""Docker's own `config.json`: which helper knows the credentials of a registry."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.client.hosts import replace_file
from moorage.errors import Refused

HELPER = "moorage"


def config_file(environment: Mapping[str, str]) -> Path:
    """Return where docker, and those that do as it does, look."""
    named = environment.get("DOCKER_CONFIG", "")
    home = Path(environment.get("HOME") or Path.home())
    return (Path(named) if named else home / ".docker") / "config.json"


def has_helper(path: Path, host: str) -> bool:
    """Tell whether our helper is asked about that registry.

    Raises:
        Refused: the file is not JSON as docker writes it.
    """
    return bool(_helpers(_read(path)).get(host) == HELPER)


def put_helper(path: Path, host: str) -> None:
    """Let docker ask our helper about that registry; all else in the file stays as it is.

    Raises:
        Refused: the file is not JSON as docker writes it.
    """
    document = _read(path)
    document["credHelpers"] = {**_helpers(document), host: HELPER}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(path, document)


def remove_helper(path: Path, host: str) -> None:
    """Take that back, if it was so.

    Raises:
        Refused: the file is not JSON as docker writes it.
    """
    document = _read(path)
    helpers = _helpers(document)
    if helpers.get(host) != HELPER:
        return
    document["credHelpers"] = {key: value for key, value in helpers.items() if key != host}
    if not document["credHelpers"]:
        del document["credHelpers"]
    _write(path, document)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    if not isinstance(document, dict):
        raise _unusable(path, "It is not an object.")
    return document


def _helpers(document: Mapping[str, Any]) -> dict[str, Any]:
    found = document.get("credHelpers") or {}
    return dict(found) if isinstance(found, dict) else {}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    # It may have passwords of other registries in it, so it never becomes more readable.
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    replace_file(str(path), json.dumps(document, indent="\t") + os.linesep, mode)


def _unusable(path: Path, why: str) -> Refused:
    return Refused(f"{path} can't be changed.", why=why, do="Correct it; nothing was changed.")
