"""Fetching one file of the Hub into its cache.

huggingface_hub asks, signs in and transfers, with its progress bar; the writing is ours, because the server's answers
become paths: huggingface_hub takes the commit and the ETag that a server names for folder and file names as they are.
Here they must be plain, a file may not be longer than announced, and its bytes must have the hash that names them
before it appears in the cache. The layout is huggingface_hub's, so that both share one cache.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import quote

from ..errors import (
    CheckpointError,
    CheckpointNotFound,
    CorruptCheckpoint,
    HubUnavailable,
    PanpipeError,
    UnsafeCheckpoint,
)
from .whole_file import whole_file

__all__ = ["fetch", "is_commit"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_MAX_UNANNOUNCED = 1 << 27  # bytes of an answer without a length, as some proxies give for small files
_LOCAL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE}


def fetch(
    repo_id: str, name: str, *, revision: str, label: str, folder: Path, endpoint: str, token: str | bool | None
) -> Path | None:
    """The file's path in the cache once it is there; None, noted in the cache, if the repository has no such file.

    revision: what to ask for, a commit if one is known.   label: the branch or tag that was asked for.
    folder: the model's folder in the cache.
    Raises CheckpointNotFound (repository, revision, rights), HubUnavailable, CorruptCheckpoint, UnsafeCheckpoint.
    """
    from huggingface_hub import errors, get_hf_file_metadata

    url = f"{endpoint}/{repo_id}/resolve/{quote(revision, safe='')}/{quote(name)}"
    cache = _Cache(folder, label)
    with _as_our_errors(repo_id, label, endpoint):
        try:
            found = get_hf_file_metadata(url, token=token, library_name="panpipe")
        except errors.EntryNotFoundError as error:
            cache.note_absent(_header(error, "X-Repo-Commit"), name)
            return None
        commit, etag = _plain(found.commit_hash, _COMMIT, "commit", url), _plain(found.etag, _ETAG, "ETag", url)
        blob = cache.blob(etag)
        if not blob.exists():
            _transfer(url, token, blob, etag, found.size, name)
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


def _transfer(url: str, token: str | bool | None, blob: Path, etag: str, size: int | None, name: str) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, but not in __all__

    blob.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(blob) as temporary:
        with temporary.open("wb") as file:
            headers = build_hf_headers(token=token, library_name="panpipe")
            limited: Any = _Limited(file, _MAX_UNANNOUNCED if size is None else size, url)
            http_get(url, limited, headers=headers, expected_size=size, displayed_filename=name)
            file.flush()
            os.fsync(file.fileno())
        if not _has_hash(temporary, etag):
            raise CorruptCheckpoint(f"what {url} sent does not have the hash {etag} it announced. Try again.")


class _Limited:
    """A file that refuses more bytes than it may have."""

    def __init__(self, file: IO[bytes], size: int, url: str) -> None:
        self._file = file
        self._size = size
        self._url = url

    def write(self, chunk: bytes) -> int:
        if self._file.tell() + len(chunk) > self._size:
            raise CorruptCheckpoint(f"{self._url} sends more than {self._size} bytes, which it did not announce.")
        return self._file.write(chunk)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


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


@contextlib.contextmanager
def _as_our_errors(repo_id: str, revision: str, endpoint: str) -> Iterator[None]:
    """What huggingface_hub and its HTTP library (requests, httpx …) raise, as our own classes."""
    try:
        yield
    except PanpipeError:
        raise
    except Exception as error:
        _translate(error, repo_id, revision, endpoint)


def _translate(error: Exception, repo_id: str, revision: str, endpoint: str) -> NoReturn:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        raise CheckpointNotFound(
            f"the model {repo_id!r} is gated: ask for access at {endpoint}/{repo_id}, then give its token "
            "(token=…, HF_TOKEN, or `hf auth login`)."
        ) from error
    if isinstance(error, errors.RevisionNotFoundError):
        raise CheckpointNotFound(f"the model {repo_id!r} has no branch, tag or commit {revision!r}.") from error
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        raise CheckpointNotFound(
            f"{repo_id!r} is neither a folder here nor a model on {endpoint} that you may read. "
            "If it is private, give a token (token=…, HF_TOKEN, or `hf auth login`)."
        ) from error
    if status == 403:
        raise CheckpointNotFound(f"{endpoint} refuses access to the model {repo_id!r}: {_first_line(error)}") from error
    if isinstance(error, errors.HfHubHTTPError):
        raise HubUnavailable(f"{endpoint} answered {status} for the model {repo_id!r}: {_first_line(error)}") from error
    if isinstance(error, OSError) and error.errno in _LOCAL_ERRORS:
        raise error  # the disk's complaint, not the network's
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in (
        "httpx",
        "httpx2",
        "httpcore",
        "requests",
    ):
        raise HubUnavailable(
            f"{endpoint} could not be reached for the model {repo_id!r} ({_first_line(error)}). "
            "Connect and load it once; after that the cache serves it without a network. Or give the path of a folder."
        ) from error
    raise CheckpointError(
        f"{endpoint} answered for the model {repo_id!r} what is not the Hub's protocol: {error!r:.200}"
    ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _header(error: Exception, name: str) -> str | None:
    value = getattr(error, "response", None)
    return None if value is None else value.headers.get(name)
