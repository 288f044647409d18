"""Whether there is room for what somebody is about to send."""

from moorage.errors import InsufficientStorage
from moorage.registry.services import Services


async def check_space(s: Services) -> None:
    """Refuse to take bytes when the disk is below its watermark; pulls and deletes go on.

    Raises:
        InsufficientStorage: it is.
    """
    free = await s.blobs.free()
    if free is not None and free < s.config.limits.free_bytes:
        raise InsufficientStorage(
            hint="Free some space, or lower limits.free_bytes; the client may try again later"
        )
