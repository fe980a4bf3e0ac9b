"""What is said to the Hub: huggingface_hub signs in, asks and transfers, with its progress bar.

Works with its versions on requests (0.x) and on httpx (1.x, 2.x). Whatever they raise comes out as one of our errors.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn
from urllib.parse import quote, urljoin, urlsplit

from ..errors import CheckpointError, CheckpointNotFound, CorruptCheckpoint, HubUnavailable, PanpipeError

__all__ = ["Found", "HubClient"]

_MAX_REDIRECTS = 5
_MAX_RETRIES = 2  # of an overloaded server: after 1 and 2 seconds
_OVERLOADED = (429, 500, 502, 503, 504)
_LISTING_SECONDS = 30
_MAX_UNANNOUNCED = 1 << 27  # bytes of an answer without a length, as some proxies give for small files
_HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
_LOCAL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE}


class Found(NamedTuple):
    """What a server says of a file, unchecked."""

    commit: str | None
    etag: str | None
    size: int | None
    is_absent: bool = False


class HubClient:
    """Requests for the files of one model, or of a data set, whose id is then 'datasets/…'.

    revision: for messages.   Every method raises CheckpointNotFound, HubUnavailable, or CheckpointError.
    """

    def __init__(self, repo_id: str, revision: str, endpoint: str, token: str | bool | None) -> None:
        self._repo_id = repo_id
        self._revision = revision
        self._endpoint = endpoint
        self._token = token

    def url(self, name: str, revision: str) -> str:
        """Where the file is."""
        return f"{self._endpoint}/{self._repo_id}/resolve/{quote(revision, safe='')}/{quote(name)}"

    def listing(self) -> tuple[str, list[str]]:
        """The commit of a data set's revision, and the names of all of its files, unchecked."""
        from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]  # public

        url = f"{self._endpoint}/api/{self._repo_id}/revision/{quote(self._revision, safe='')}"
        with self._our_errors():
            response = get_session().get(url, headers=self._headers(), timeout=_LISTING_SECONDS)
            hf_raise_for_status(response)
            said = response.json()
            return str(said["sha"]), [str(file["rfilename"]) for file in said["siblings"]]

    def ask(self, url: str) -> Found:
        """HEAD: is there such a file, and what is it?"""
        from huggingface_hub import errors

        with self._our_errors():
            try:
                headers, is_redirect = self._head(url)
            except errors.EntryNotFoundError as error:
                response = getattr(error, "response", None)
                return Found(None if response is None else response.headers.get("X-Repo-Commit"), None, None, True)
            etag = headers.get("X-Linked-Etag") or headers.get("ETag") or ""
            size = headers.get("X-Linked-Size") or (None if is_redirect else headers.get("Content-Length"))
            return Found(headers.get("X-Repo-Commit"), etag.removeprefix("W/").strip('"'), _number(size))

    def _head(self, url: str) -> tuple[Any, bool]:
        """The headers, and whether they are of a redirect to another host (of a large file, to where it is stored)."""
        from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, but not in its __all__
            get_session,
            hf_raise_for_status,
            http_backoff,
        )

        do_not_follow = "follow_redirects" if hasattr(get_session(), "follow_redirects") else "allow_redirects"
        for _ in range(_MAX_REDIRECTS):
            response = http_backoff(
                "HEAD",
                url,
                headers={**self._headers(), "Accept-Encoding": "identity"},  # compressed, it has another length
                timeout=HF_HUB_ETAG_TIMEOUT,
                max_retries=_MAX_RETRIES,
                retry_on_exceptions=(),
                retry_on_status_codes=_OVERLOADED,
                **{do_not_follow: False},
            )
            hf_raise_for_status(response)
            location = response.headers.get("Location")
            if location is None or not 300 <= response.status_code < 400:
                return response.headers, False
            if urlsplit(location).scheme or urlsplit(location).netloc:
                return response.headers, True
            url = urljoin(url, location)  # a model that was renamed
        raise CheckpointError(f"{url} is only redirected, {_MAX_REDIRECTS} times and more.")

    def download(self, url: str, path: Path, size: int | None, name: str) -> None:
        """GET into the file at `path`, no more than `size` bytes."""
        from huggingface_hub.file_download import http_get

        with self._our_errors(), path.open("wb") as file:
            limited: Any = _Limited(file, _MAX_UNANNOUNCED if size is None else size, url)
            http_get(url, limited, headers=self._headers(), expected_size=size, displayed_filename=name)
            file.flush()
            os.fsync(file.fileno())

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public

        headers: dict[str, str] = build_hf_headers(token=self._token, library_name="panpipe")
        return headers

    @contextlib.contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except PanpipeError:
            raise
        except Exception as error:
            self._translate(error)

    def _translate(self, error: Exception) -> NoReturn:
        from huggingface_hub import errors

        name = self._repo_id.removeprefix("datasets/")
        kind = "model" if name == self._repo_id else "data set"
        model, where = f"the {kind} {name!r}", self._endpoint
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            raise CheckpointNotFound(
                f"{model} is gated: ask for access at {where}/{self._repo_id}, then give its token "
                "(token=…, HF_TOKEN, or `hf auth login`)."
            ) from error
        if isinstance(error, errors.RevisionNotFoundError):
            raise CheckpointNotFound(f"{model} has no branch, tag or commit {self._revision!r}.") from error
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
            raise CheckpointNotFound(
                f"{name!r} is neither a folder here nor a {kind} on {where} that you may read. "
                "If it is private, give a token (token=…, HF_TOKEN, or `hf auth login`)."
            ) from error
        if status == 403:
            raise CheckpointNotFound(f"{where} refuses access to {model}: {_first_line(error)}") from error
        if status is not None:
            raise HubUnavailable(f"{where} answered {status} for {model}: {_first_line(error)}") from error
        if isinstance(error, OSError) and error.errno in _LOCAL_ERRORS:
            raise error  # the disk's complaint, not the network's
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in _HTTP_LIBRARIES:
            raise HubUnavailable(
                f"{where} could not be reached for {model} ({_first_line(error)}). "
                "Connect and load it once; after that the cache serves it without a network. "
                "Or give the path of a folder."
            ) from error
        raise CheckpointError(f"{where} does not speak the Hub's protocol for {model}: {error!r:.300}") from error


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


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
