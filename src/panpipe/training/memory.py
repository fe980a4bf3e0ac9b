"""What a step of training frees, the next one gets again, without the system between them."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of malloc.h


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory, up to 2 GB, instead of handing every large piece back; True where it does.

    Each tensor of a megabyte or more is otherwise mapped anew, and the system fills it with zeros, page by page: 8 to
    24 % of the time of a step, by the length of texts. Linux with glibc only, and not where MALLOC_ variables are set:
    the user has chosen then.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
