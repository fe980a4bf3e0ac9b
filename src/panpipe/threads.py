"""How many threads the kernels use: as many as this process may run at once, unless told otherwise."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from .errors import InvalidArgument

__all__ = ["available_cpus", "get_num_threads", "set_num_threads"]

VARIABLE = "PANPIPE_NUM_THREADS"

_CGROUPS = Path("/sys/fs/cgroup")
_chosen: int | None = None


def get_num_threads() -> int:
    """What `set_num_threads` was given; else PANPIPE_NUM_THREADS; else `available_cpus()`.

    Raises InvalidArgument if the variable is not a whole number of at least 1.
    """
    if _chosen is not None:
        return _chosen
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return available_cpus()
    if not given.isdecimal() or int(given) < 1:
        raise InvalidArgument(f"{VARIABLE} is {given!r}; it must be a whole number of threads, 1 or more.")
    return int(given)


def set_num_threads(count: int) -> None:
    """Use that many threads from the next operation on, in every Python thread.

    Raises InvalidArgument if count is not a whole number of at least 1.
    """
    global _chosen
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidArgument(f"set_num_threads: {count!r} is not a whole number of threads, 1 or more.")
    _chosen = count
    native = sys.modules.get(f"{__package__}._native")  # not imported for this: it reads the number when it is
    if native is not None:
        native.set_num_threads(count)


def available_cpus() -> int:
    """The CPUs this process may use: its affinity, and its control group's share of time (Linux), rounded up."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cpus = os.cpu_count() or 1
    quota = _cgroup_quota(_CGROUPS, Path("/proc/self/cgroup"))
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _cgroup_quota(root: Path, membership: Path) -> float | None:
    """The smallest quota of CPU time, in CPUs, of the process's control group and of those around it (v1 and v2)."""
    quotas = [quota for folder in _cgroup_folders(root, membership) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _cgroup_folders(root: Path, membership: Path) -> list[Path]:
    """The folders that may hold the quota, the process's own first. In a container its own is often the root."""
    folders = [root, root / "cpu", root / "cpu,cpuacct"]
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        inner = [part for part in path.split("/") if part not in ("", ".", "..")]
        folders += [base.joinpath(*inner[:depth]) for depth in range(len(inner), 0, -1)]
    return folders


def _quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():  # v2: "max 100000" or "150000 100000" (microseconds per period)
            quota, period = (folder / "cpu.max").read_text().split()
            return None if quota == "max" else int(quota) / int(period)
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())  # v1: -1 for none
        return None if quota_us <= 0 else quota_us / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
