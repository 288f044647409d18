"""Write-back begun early, so that the last fsync of a long file is short."""

import ctypes
import sys
from collections.abc import Callable
from typing import cast

_WRITE = 2  # SYNC_FILE_RANGE_WRITE


def _load_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None, use_errno=True).sync_file_range
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return cast("Callable[[int, int, int, int], int]", function)


_SYNC_FILE_RANGE = _load_sync_file_range()


def start_writeback(descriptor: int, offset: int, length: int) -> None:
    """Ask the kernel to begin writing that stretch of the file to the disk, and do not wait."""
    # Only a hint, so its failure changes nothing: the fsync at the end is what counts.
    if _SYNC_FILE_RANGE is not None:
        _SYNC_FILE_RANGE(descriptor, offset, length, _WRITE)
