"""Accounts: who there is, and what they sign in with."""

from moorage.auth.passwords import Passwords, hash_password
from moorage.clock import Clock
from moorage.db import principals
from moorage.db.engine import Database, Tx
from moorage.errors import Refused
from moorage.oci.names import is_component


async def put_administrator(db: Database, clock: Clock, name: str, password: str) -> None:
    """Make the account of that name an administrator with that password, whatever it was before.

    What it signed in with ends only if the password is another one.

    Raises:
        Refused: the name is no name of an account.
    """
    if not is_component(name):
        raise Refused(
            f"{name!r} can't be the name of an administrator.",
            why="Names have lower-case letters, digits, and single . _ or - between them.",
            do="Correct MOORAGE_ADMIN_USER.",
            exit_code=2,
        )

    async def read(tx: Tx) -> principals.Account | None:
        return await principals.find_account(tx, name)

    known = await db.read(read)
    same = known is not None and await Passwords().verify(name, password, known.password)
    hashed = "" if same else hash_password(password)

    async def write(tx: Tx) -> None:
        now = clock.now()
        if known is None:
            await principals.add_account(tx, name, password=hashed, administrator=True, now=now)
            return
        if not same:
            await principals.set_password(tx, known.id, hashed, now)
        await principals.set_standing(tx, known.id, enabled=True, administrator=True)

    await db.write(write)
