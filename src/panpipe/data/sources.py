"""Where a data file's bytes come from: this machine, an address of the web, or a data set of the Hub."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ..errors import CheckpointNotFound, DataNotFound, HubUnavailable, UnsafeCheckpoint
from ..weights.hub import HubRepo, cache_folder, endpoint, is_offline
from ..weights.source import inside
from ..weights.whole_file import whole_file

__all__ = ["DataFile", "DataRepo", "HubFile", "LocalFile", "UrlFile", "is_url"]

_TIMEOUT_SECONDS = 30
_CHUNK = 1 << 20
_SETTLED_SECONDS = 2  # a file that was changed just now may change again without another time of change


def is_url(text: str) -> bool:
    """An address that is fetched?"""
    return text.lower().startswith(("http://", "https://"))


class DataFile(ABC):
    """One file.   name: for messages, and for its ending."""

    name: str

    @abstractmethod
    def local(self) -> Path:
        """The file on this machine, fetched first where it is not there."""

    def open(self) -> BinaryIO:
        """Its bytes as a stream, from the network without waiting for the whole."""
        return self.local().open("rb")

    def digest(self, memory: Path) -> str:
        """SHA-256 of the bytes.   memory: the folder in which digests of files that do not change are kept."""
        path = self.local()
        stat = path.stat()
        known = memory / (hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest() + ".json")
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        try:
            kept = json.loads(known.read_text("ascii"))
            if kept["state"] == state:
                return str(kept["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        digest = _sha256(path)
        if time.time() - stat.st_mtime > _SETTLED_SECONDS:
            memory.mkdir(parents=True, exist_ok=True)
            with whole_file(known) as file:
                file.write_text(json.dumps({"state": state, "sha256": digest}), "ascii")
        return digest


class LocalFile(DataFile):
    """A file of this machine."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = str(path) if name is None else name

    def local(self) -> Path:
        """The file."""
        return self.path


class UrlFile(DataFile):
    """A file of the web.   cache: the folder in which it is kept once it is whole."""

    def __init__(self, url: str, cache: Path, again: bool = False) -> None:
        self.name = url
        self._again = again
        ending = "".join(Path(unquote(urlsplit(url).path)).suffixes[-2:])
        self._path = cache / (hashlib.sha256(url.encode()).hexdigest() + (ending if ending.isascii() else ""))

    def local(self) -> Path:
        """The file, fetched once."""
        if self._again or not self._path.is_file():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as temporary, temporary.open("wb") as file, self._opened() as answer:
                size = 0
                while chunk := _read(answer, self.name):
                    size += file.write(chunk)
                expected = answer.headers.get("Content-Length")
                if expected is not None and expected.isdecimal() and size != int(expected):
                    raise HubUnavailable(f"{self.name} sent {size} of {expected} bytes. Try again.")
            self._again = False
        return self._path

    def open(self) -> BinaryIO:
        """The file's bytes, as they come."""
        return self._path.open("rb") if self._path.is_file() and not self._again else self._opened()

    def _opened(self) -> Any:
        return _request(self.name, {})


class DataRepo:
    """A data set of the Hub, through huggingface_hub's cache.

    revision: a branch, tag or commit.   cache: where this machine's list of its files is kept.
    Every method raises DataNotFound, HubUnavailable, and CheckpointError for a server or name that cannot be trusted.
    """

    def __init__(self, repo_id: str, revision: str, token: str | bool | None, cache: Path, again: bool = False) -> None:
        self.repo_id = repo_id
        self.revision = revision
        self._token = token
        self._again = again
        HubRepo(repo_id, revision)  # checks that these may be part of a path
        self.folder = cache_folder() / ("datasets--" + repo_id.replace("/", "--"))
        key = hashlib.sha256("\n".join((endpoint(), repo_id, revision)).encode()).hexdigest()
        self._list = cache / "files" / f"{key}.list.json"
        self._known: tuple[str, list[str]] | None = None

    def listing(self) -> tuple[str, list[str]]:
        """(commit, names of the files). What was listed once is not asked for again."""
        if self._known is None:
            self._known = None if self._again else self._kept()
        if self._known is None:
            if is_offline():
                raise HubUnavailable(
                    f"the data set {self.repo_id!r} is not in the cache, and HF_HUB_OFFLINE is set. "
                    "Load it once with the network, or give the path of a folder."
                )
            from ..weights.download import is_commit
            from ..weights.hub_http import HubClient

            client = HubClient(f"datasets/{self.repo_id}", self.revision, endpoint(), self._token)
            try:
                self._known = client.listing()
            except CheckpointNotFound as error:
                raise DataNotFound(str(error)) from error
            if not is_commit(self._known[0]):
                raise UnsafeCheckpoint(f"{endpoint()} names the commit {self._known[0]!r:.100}, which is none.")
            self._list.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._list) as file:
                file.write_text(json.dumps(self._known), "utf-8")
        return self._known

    def _kept(self) -> tuple[str, list[str]] | None:
        try:
            commit, names = json.loads(self._list.read_text("utf-8"))
            return str(commit), [str(name) for name in names]
        except (OSError, ValueError, TypeError):
            return None

    def path(self, name: str) -> Path:
        """A file, fetched where it is not in the cache."""
        from ..weights import download

        commit, _ = self.listing()
        cached = inside(self.folder / "snapshots" / commit, name)
        if cached.is_file():
            return cached
        if is_offline():
            raise HubUnavailable(
                f"{name} of the data set {self.repo_id!r} is not in the cache, and HF_HUB_OFFLINE is set."
            )
        fetched = download.fetch(
            f"datasets/{self.repo_id}",
            name,
            revision=commit,
            label=self.revision,
            folder=self.folder,
            endpoint=endpoint(),
            token=self._token,
        )
        if fetched is None:
            raise DataNotFound(f"the data set {self.repo_id!r} lists a file {name!r}, but does not have it.")
        return fetched

    def stream(self, name: str) -> BinaryIO:
        """A file's bytes as they come."""
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public

        from ..weights.hub_http import HubClient

        commit, _ = self.listing()
        cached = inside(self.folder / "snapshots" / commit, name)
        if cached.is_file() or is_offline():
            return self.path(name).open("rb")
        url = HubClient(f"datasets/{self.repo_id}", self.revision, endpoint(), self._token).url(name, commit)
        return _request(url, build_hf_headers(token=self._token, library_name="panpipe"))  # type: ignore[no-any-return]


class HubFile(DataFile):
    """A file of a data set of the Hub."""

    def __init__(self, repo: DataRepo, path: str) -> None:
        self.name = f"{repo.repo_id}/{path}"
        self._repo = repo
        self._path = path

    def local(self) -> Path:
        """The file in the cache."""
        return self._repo.path(self._path)

    def open(self) -> BinaryIO:
        """The file's bytes as they come."""
        return self._repo.stream(self._path)


class _Careful(urllib.request.HTTPRedirectHandler):
    """The token is for the host that was asked, not for where that sends us."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            following.headers = {k: v for k, v in following.headers.items() if k.lower() != "authorization"}
        return following


def _request(url: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "panpipe", "Accept-Encoding": "identity", **headers})
    try:
        return urllib.request.build_opener(_Careful).open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403, 404, 410):
            raise DataNotFound(f"{url}: the server answered {error.code} {error.reason}.") from None
        raise HubUnavailable(f"{url}: the server answered {error.code} {error.reason}.") from None
    except (OSError, ValueError) as error:
        raise HubUnavailable(f"{url} could not be reached ({error}).") from None


def _read(answer: Any, url: str) -> bytes:
    try:
        return answer.read(_CHUNK)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise HubUnavailable(f"{url} broke off ({error}).") from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
