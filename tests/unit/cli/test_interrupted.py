"""Who interrupts a command is told how it goes on."""

import pytest

from moorage.cli.interrupted import going_on
from moorage.errors import Refused


def test_an_interruption_says_how_it_goes_on() -> None:
    with pytest.raises(Refused) as refused, going_on("Run it again."):
        raise KeyboardInterrupt
    assert (refused.value.do, refused.value.exit_code) == ("Run it again.", 130)
