"""The heap that the supervisor hands to its children: settled, so that they go on sharing it."""

import ctypes
import gc
import sys

# What free room is filled with, the largest first; the last is the least that malloc gives out.
_SIZES = (1 << 16, 1 << 13, 1 << 10, 512, 256, 128, 64, 32, 24)


class _Mallinfo(ctypes.Structure):
    """What glibc tells of its heap, `struct mallinfo2`, in bytes but for the counts."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def settle() -> None:
    """Collect what is garbage and keep the rest for good, to be called before the first fork."""
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        _fill_holes()


def _fill_holes() -> None:
    """Take the room that is free between what is in use, half a MB after all imports.

    A child would use it first: what it opens at its start is a few thousand small pieces, each of
    which made a page its own. That cost every process 3 MB; behind the heap's end it costs 0.3.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):  # musl, or a glibc before 2.33
        return
    libc.mallinfo2.restype = _Mallinfo
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    for size in _SIZES:
        while True:
            before = libc.mallinfo2()
            taken = libc.malloc(size)
            if taken is None:  # the process may have no more memory
                return
            after = libc.mallinfo2()
            if after.arena > before.arena or after.keepcost < before.keepcost:
                libc.free(taken)  # there was no hole of that size any more
                break
