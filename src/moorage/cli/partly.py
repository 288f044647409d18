"""One act on several things: each that can be done is done, and what could not is told."""

from collections.abc import Callable, Sequence

from moorage.cli.output import Output
from moorage.errors import Refused

_UNREACHABLE = 8
_PARTLY = 6


def for_each(output: Output, names: Sequence[str], act: Callable[[str], None]) -> None:
    """Act on each; running it again is safe.

    Raises:
        Refused: the one there is was refused; or, with exit code 6, some of several were; none
            was done where it is another.
    """
    if len(names) == 1:
        act(names[0])
        return
    failed: list[str] = []
    exit_code = 0
    for number, name in enumerate(names):
        try:
            act(name)
        except Refused as refused:
            output.refuse(refused)
            exit_code = refused.exit_code
            failed.append(name)
            if exit_code == _UNREACHABLE:
                failed += names[number + 1 :]
                break
    if failed:
        raise Refused(
            f"{len(failed)} of {len(names)} were not done: {', '.join(failed)}.",
            do="The others are done: give only these again." if len(failed) < len(names) else "",
            exit_code=_PARTLY if len(failed) < len(names) else exit_code,
        )
