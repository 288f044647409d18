"""The scripts by which shells complete commands, options and the server's own names."""

import click
from click.shell_completion import get_completion_class

from moorage.errors import Refused

_VARIABLE = "_MOORAGE_COMPLETE"


def script(shell: str, commands: click.Command) -> str:
    """Return the script of a shell.

    Raises:
        Refused: there is none for it.
    """
    found = get_completion_class(shell)
    if found is None:
        raise Refused(f"There is no completion for {shell}.", exit_code=2)
    made = found(commands, {}, "moorage", _VARIABLE).source()
    # Else bash takes what stands before the colon of a tag for another word.
    return f'COMP_WORDBREAKS="${{COMP_WORDBREAKS//:}}"\n{made}' if shell == "bash" else made
