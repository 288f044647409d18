"""A field that can't be that is told in words, not as a regular expression."""

import msgspec
import pytest

from moorage.api.fields import Digest, Label, Name, Repository, misfit


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body with fields of several kinds."""

    name: Name = "web"
    repository: Repository = "web/shop"
    digest: Digest | None = None
    labels: list[Label] = []


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ('{"name": "Web"}', "the field name can't be that", "Names have lower-case letters"),
        ('{"repository": "Web/Shop"}', "the field repository can't be that", "as web/shop: its"),
        ('{"digest": "sha256:12"}', "the field digest can't be that", "Write it whole"),
        ('{"labels": ["a\\u0007b"]}', "the field labels[0] can't be that", "on one line"),
        ('{"nmae": "web"}', "the body is not what it must be: Object contains unknown field", ""),
        ('{"name": 1}', "the body is not what it must be: Expected `str`, got `int`", ""),
    ],
)
def test_misfits(body: str, message: str, hint: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(body, type=Body)
    told, words = misfit(error.value)
    assert told.startswith(message)
    assert hint in words
    assert bool(hint) == bool(words)
