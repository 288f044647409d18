"""Is there one order of all operations on a register that explains what every client saw?

The search is that of Wing and Gong: take any operation that no unfinished one precedes, apply it,
go on, and step back where the register contradicts what was seen; states seen before are left out.
An operation whose client lost the connection ends at infinity: it happened at any later moment, or
never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Value = str | None
Kind = Literal["get", "put", "swap", "create", "delete"]
LOST = math.inf


@dataclass(frozen=True)
class Operation:
    """What a client asked of the register, when, and what it was told.

    `get` is told the value. `put` writes `value`, `swap` does so if the register is `expected`,
    `create` if it is nothing, `delete` writes nothing if the register is something; all of them
    are told whether they did, which is None for those whose answer was lost.
    """

    called: float
    returned: float
    kind: Kind
    value: Value = None
    expected: Value = None
    done: bool | None = None

    def apply(self, register: Value) -> tuple[bool, Value]:
        """Return whether it fits the register, and what the register is then."""
        if self.kind == "get":
            return self.returned == LOST or self.value == register, register
        may = {
            "put": True,
            "swap": register == self.expected,
            "create": register is None,
            "delete": register is not None,
        }[self.kind]
        fits = self.done is None or self.done == may
        return fits, self.value if may else register


def is_linearizable(history: list[Operation], start: Value = None) -> bool:
    """Return whether the history is one of a register that was `start` at first."""
    answered = sorted((one for one in history if one.returned != LOST), key=_called)
    lost = sorted((one for one in history if one.returned == LOST), key=_called)
    # What has been applied: all answered before the first that was not, some behind it, some lost.
    states: list[tuple[int, frozenset[int], frozenset[int], Value]] = [
        (0, frozenset(), frozenset(), start)
    ]
    seen = set(states)
    while states:
        first, behind, late, register = states.pop()
        while first in behind:
            behind -= {first}
            first += 1
        if first == len(answered):
            return True
        found, earliest = _next(answered, first, behind)
        following = [
            (first, behind, late | {number}, one)
            for number, one in enumerate(lost)
            if one.called <= earliest and number not in late
        ]
        following += [(first, behind | {number}, late, answered[number]) for number in found]
        for place, others, applied, one in following:
            fits, value = one.apply(register)
            state = (place, others, applied, value)
            if fits and state not in seen:
                seen.add(state)
                states.append(state)
    return False


def _called(operation: Operation) -> float:
    return operation.called


def _next(answered: list[Operation], first: int, behind: frozenset[int]) -> tuple[list[int], float]:
    """Return what may be applied next: what was called before any of what is left returned.

    With it, when the first of that returned.
    """
    found = []
    earliest = LOST
    for number in range(first, len(answered)):
        if answered[number].called > earliest:
            break
        if number not in behind:
            found.append(number)
            earliest = min(earliest, answered[number].returned)
    return found, earliest
