"""Fetching one file of the Hub into its cache, in huggingface_hub's layout, so that both share one cache.

The writing is ours, because a server's answers become paths: huggingface_hub takes the commit and the ETag that a
server names for folder and file names as they are. Here they must be plain, and a file's bytes must have the hash that
names them before it appears in the cache. What is said over the network is in `hub_http`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ..errors import CorruptCheckpoint, HubUnavailable, UnsafeCheckpoint
from .hub_http import HubClient
from .whole_file import whole_file

__all__ = ["fetch", "is_commit"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def fetch(
    repo_id: str, name: str, *, revision: str, label: str, folder: Path, endpoint: str, token: str | bool | None
) -> Path | None:
    """The file's path in the cache once it is there; None, noted in the cache, if the repository has no such file.

    revision: what to ask for, a commit if one is known.   label: the branch or tag that was asked for.
    folder: the model's folder in the cache.
    Raises CheckpointNotFound (repository, revision, rights), HubUnavailable, CorruptCheckpoint, UnsafeCheckpoint.
    """
    client = HubClient(repo_id, label, endpoint, token)
    url = client.url(name, revision)
    cache = _Cache(folder, label)
    found = client.ask(url)
    if found.is_absent:
        cache.note_absent(found.commit, name)
        return None
    commit, etag = _plain(found.commit, _COMMIT, "commit", url), _plain(found.etag, _ETAG, "ETag", url)
    blob = cache.blob(etag)
    if not blob.exists():
        blob.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(blob) as temporary:
            client.download(url, temporary, found.size, name)
            if not _has_hash(temporary, etag):
                raise CorruptCheckpoint(f"what {url} sent does not have the hash {etag} it announced. Try again.")
    return cache.point(commit, name, blob)


def is_commit(revision: str) -> bool:
    """Whether this is a commit's full hash, which can never mean anything else later."""
    return _COMMIT.fullmatch(revision) is not None


def _plain(value: str | None, pattern: re.Pattern[str], what: str, url: str) -> str:
    if not value:
        raise HubUnavailable(f"the answer for {url} names no {what}: that server is not a Hub. Look at HF_ENDPOINT.")
    if not pattern.fullmatch(value):
        raise UnsafeCheckpoint(f"the server of {url} names the {what} {value!r:.100}, which must not become a path.")
    return value


class _Cache:
    """One model's folder in the cache: what may be written there, each by making it whole aside and renaming it."""

    def __init__(self, folder: Path, label: str) -> None:
        self._folder = folder
        self._label = label

    def blob(self, etag: str) -> Path:
        return self._folder / "blobs" / etag

    def point(self, commit: str, name: str, blob: Path) -> Path:
        """snapshots/<commit>/<name>, a relative link to the blob, or its copy where links are not to be had."""
        pointer = self._folder.joinpath("snapshots", commit, *name.split("/"))
        pointer.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(pointer) as temporary:
            try:
                temporary.unlink()
                temporary.symlink_to(os.path.relpath(blob, pointer.parent))
            except OSError:  # Windows without the right to make links
                shutil.copyfile(blob, temporary)
        self._note_commit(commit)
        return pointer

    def note_absent(self, commit: str | None, name: str) -> None:
        if commit is None or not is_commit(commit):
            return
        marker = self._folder.joinpath(".no_exist", commit, *name.split("/"))
        with contextlib.suppress(OSError):  # a cache that may only be read: the question will be asked again
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
            self._note_commit(commit)

    def _note_commit(self, commit: str) -> None:
        if self._label == commit:
            return
        ref = self._folder.joinpath("refs", *self._label.split("/"))
        ref.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(ref) as temporary:
            temporary.write_text(commit, encoding="ascii")


def _has_hash(path: Path, etag: str) -> bool:
    """The Hub names large files by sha256 and small ones by git's sha1 (mirrors: by sha1); other names say nothing."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        return etag == _hash(path, hashlib.sha256())
    if re.fullmatch(r"[0-9a-f]{40}", etag):
        git = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        return etag in (_hash(path, git), _hash(path, hashlib.sha1(usedforsecurity=False)))
    return True


def _hash(path: Path, algorithm: Any) -> str:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            algorithm.update(chunk)
    return str(algorithm.hexdigest())
