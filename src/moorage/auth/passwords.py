"""Passwords: argon2id in a bounded pool, and a short memory of what was verified."""

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from moorage.errors import Invalid, TooManyRequests

_REMEMBERED_SECONDS = 60.0
_MAX_REMEMBERED = 10_000
# One verification takes 64 MiB and about 50 ms of a core.
_MAX_WAITING = 32
# How far behind everything else the hashing stands for a processor (`nice`): as far as it can and
# still get its share. A hash has four threads of its own, and 50 wrong passwords a second left a
# tenth of the pulls without it.
_NICENESS = 19


SHORTEST, LONGEST = 12, 1_024


def check_password(name: str, password: str) -> None:
    """Do nothing if the password will do for the account of that name.

    Raises:
        Invalid: it is too short, too long, or the name.
    """
    if len(password) < SHORTEST:
        raise Invalid(f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise Invalid(f"a password has at most {LONGEST} characters")
    if password.lower() == name.lower() or "\0" in password:
        raise Invalid("the password is too easy to guess, or has a character that none can have")


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with the library's current parameters."""
    return PasswordHasher().hash(password)


class Passwords:
    """Verifies passwords against hashes, one at a time, and each credential once a minute.

    Docker sends the password with every request; argon2 for each would let anybody stop the server
    with wrong ones. What is remembered is a keyed hash, and only who it is, never what it may.
    """

    def __init__(self) -> None:
        """Start with nothing remembered, under a key that no one else has."""
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, float] = {}
        self._pool = ThreadPoolExecutor(
            1, thread_name_prefix="argon2", initializer=_stand_behind_others
        )
        # What is being verified at this moment; whoever sends the same waits for the one answer.
        self._checks: dict[bytes, asyncio.Task[bool]] = {}

    async def verify(self, user: str, password: str, stored: str) -> bool:
        """Tell whether the password is the one that was hashed; none is, if nothing was.

        Raises:
            TooManyRequests: too many verifications are waiting already.
        """
        text = f"{user}\0{password}\0{stored}".encode()
        mark = hmac.digest(self._key, text, hashlib.sha256)
        if self._verified.get(mark, 0.0) > time.monotonic():
            return True
        check = self._checks.get(mark)
        if check is None:
            if len(self._checks) >= _MAX_WAITING:
                raise TooManyRequests("too many sign-ins at once")
            check = self._checks[mark] = asyncio.create_task(self._check(mark, stored, password))
        # One that goes away must not take the answer from the others.
        return await asyncio.shield(check)

    async def hash(self, password: str) -> str:
        """Return the hash of a new password, made in its turn.

        Raises:
            TooManyRequests: too many verifications are waiting already.
        """
        if len(self._checks) >= _MAX_WAITING:
            raise TooManyRequests("too many sign-ins at once")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, hash_password, password)

    async def _check(self, mark: bytes, stored: str, password: str) -> bool:
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._pool, _verify, stored, password)
        finally:
            del self._checks[mark]
        if right:
            if len(self._verified) >= _MAX_REMEMBERED:
                self._verified.clear()
            self._verified[mark] = time.monotonic() + _REMEMBERED_SECONDS
        return right


def _stand_behind_others() -> None:
    """Let whoever else wants the processor have it; a hash's own threads take after this one."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


@cache
def _nobodys() -> str:
    """Return a hash for those who have none, so that the answer takes as long for them."""
    return hash_password(secrets.token_hex(16))


def _verify(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored or _nobodys(), password)
    except VerifyMismatchError:
        return False
