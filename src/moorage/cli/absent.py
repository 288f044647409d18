"""What commands say where there is no registry."""

from pathlib import Path

from moorage.errors import Refused


def no_registry(place: Path | str, do: str, why: str = "It has no moorage.db.") -> Refused:
    """Return what is said of a place that the settings name, and that has none."""
    return Refused(f"There is no registry in {place}.", why=why, do=do, exit_code=3)
