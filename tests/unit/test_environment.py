"""The environment that a server finds itself in, much of which was not meant for it."""

import re
from pathlib import Path

import pytest

from moorage.cli import main
from moorage.config import Config, flatten, load
from moorage.errors import Refused

# What the program itself reads beside its settings.
OWN = sorted(set(re.findall(r"\bMOORAGE_[A-Z][A-Z_]*", Path(main.__file__).read_text())))


@pytest.mark.parametrize("name", OWN)
def test_our_own_variables_are_no_unknown_settings(name: str) -> None:
    load(None, {name: ""}, {})


def test_what_kubernetes_adds_for_a_service_is_no_setting() -> None:
    """A Service that is called `moorage` puts these into every pod beside it."""
    load(
        None,
        {
            "MOORAGE_SERVICE_HOST": "10.0.0.1",
            "MOORAGE_SERVICE_PORT": "5000",
            "MOORAGE_SERVICE_PORT_HTTP": "5000",
            "MOORAGE_PORT": "tcp://10.0.0.1:5000",
            "MOORAGE_PORT_5000_TCP": "tcp://10.0.0.1:5000",
            "MOORAGE_PORT_5000_TCP_ADDR": "10.0.0.1",
            "MOORAGE_PORT_5000_TCP_PORT": "5000",
            "MOORAGE_PORT_5000_TCP_PROTO": "tcp",
        },
        {},
    )


@pytest.mark.parametrize("text", ["inf", "nan", "-1"])
@pytest.mark.parametrize(
    "key", [key for key, value in flatten(Config()) if isinstance(value, float)]
)
def test_a_time_is_finite_and_not_negative(key: str, text: str) -> None:
    """Taken as it is, it would be an overflow in the middle of somebody's push."""
    name = "MOORAGE_" + key.upper().replace(".", "__")
    with pytest.raises(Refused):
        load(None, {name: text}, {})
    assert dict(flatten(load(None, {name: "2.5"}, {}).config))[key] == 2.5


def test_an_empty_list_of_addresses_is_told_as_such() -> None:
    with pytest.raises(Refused) as refused:
        load(None, {"MOORAGE_LISTEN": ""}, {})
    assert "listen" in refused.value.what
    assert refused.value.what.startswith("$MOORAGE_LISTEN")
