"""`contexts.toml`: read back as it was written, and refused in words where it is damaged."""

from pathlib import Path

import pytest

from moorage.client.contexts import Contexts, check_name, read_contexts, write_contexts
from moorage.errors import Refused


def test_contexts_are_kept(tmp_path: Path) -> None:
    assert read_contexts(str(tmp_path)) == Contexts("", {})
    kept = Contexts("prod", {"prod": "registry.example", "a.b": "localhost:5000"})
    write_contexts(str(tmp_path / "new"), kept)
    found = read_contexts(str(tmp_path / "new"))
    assert found == kept
    assert found.server_of("prod") == "registry.example"
    assert found.server_of("other.example") == "other.example"
    assert (tmp_path / "new" / "contexts.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["nonsense", "[contexts.x]\n", "contexts = 7", "contexts = [1]"])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "contexts.toml").write_text(text)
    with pytest.raises(Refused, match=r"contexts\.toml can't be read"):
        read_contexts(str(tmp_path))


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 65, "é"])
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(Refused):
        check_name(name)
