"""Ends a server whose database has been restored from a backup beneath it.

It was begun with another database in mind: it knows ids of uploads, and secrets, that this one
has never given out.
"""

import asyncio
from collections.abc import Callable

from moorage.db import backups
from moorage.errors import Unavailable
from moorage.registry.services import Services

EVERY_SECONDS = 5.0


async def watch(s: Services, began: int, end: Callable[[], None]) -> None:
    """Look now and then whether the database is still the one that the server began with.

    `began` is when that was last restored, 0 if it never was; `end` is called once it is not.
    """
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            found = await s.db.read(backups.find_restored)
        except Unavailable:  # it may be being restored just now
            continue
        if found != began:
            s.telemetry.log.error("the database was restored from a backup: this server ends")
            end()
            return
