"""Finding a checkpoint: a folder, or a model id of the Hub.

An id that is in the cache is read from there without a question to the network, and without importing huggingface_hub:
the cache's layout is models--owner--name/{refs/<revision>, snapshots/<commit>/<file>, .no_exist/<commit>/<file>}
(https://huggingface.co/docs/huggingface_hub/guides/manage-cache). What is missing, `download` fetches.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import CheckpointNotFound, HubUnavailable, InvalidArgument
from .embedded import embedded_base
from .source import WEIGHT_FILES, Folder, Source, inside

__all__ = ["HubRepo", "cache_folder", "endpoint", "is_offline", "resolve"]

_log = logging.getLogger("panpipe")

_TRUE = {"1", "ON", "YES", "TRUE"}
_ID = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)?[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _Group:
    """Files that are loaded together.

    Satellites are fetched before a carrier. So a cache that holds a carrier's whole set holds the group: a file of it
    that is not in the cache is one that the repository does not have, and the network need not be asked.
    """

    satellites: tuple[str, ...]
    carriers: tuple[tuple[str, ...], ...]

    def has(self, name: str) -> bool:
        return name in self.satellites or any(name in carrier for carrier in self.carriers)


_CONFIG = _Group(("generation_config.json", "adapter_config.json"), (("config.json",),))
_TOKENIZER = _Group(
    ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    (
        ("tokenizer.json",),
        ("vocab.txt",),
        ("vocab.json", "merges.txt"),
        ("vocab.json", "source.spm", "target.spm"),
        ("spiece.model",),
        ("sentencepiece.bpe.model",),
        ("tokenizer.model",),
    ),
)
_ALONE = [_Group((), ((name,),)) for name in ("target_vocab.json", "additional_chat_templates/tool_use.jinja")]
_WEIGHTS = _Group((), tuple((name,) for name in WEIGHT_FILES))
_ADAPTER = _Group((), (("adapter_model.safetensors",), ("adapter_model.bin",)))


def resolve(
    id_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = None,
    prefer_embedded: bool = False,
) -> Source:
    """The folder of that path, else the Hub's model of that id. Reads and fetches nothing yet.

    revision: a branch, tag or commit (default: main).
    cache_dir: default as huggingface_hub's (HF_HUB_CACHE, HF_HOME).
    token: a string; True or None: the one that is logged in; False: none.
    local_files_only: fetch nothing, as HF_HUB_OFFLINE=1 does.
    A model of which the cache has no weights is read from the copy that came with panpipe, if there is one, where
    nothing may be fetched.   prefer_embedded: also where it could be.
    Raises CheckpointNotFound (no such folder, and no id), InvalidArgument (a revision or subfolder that cannot be).
    """
    typed = os.fspath(id_or_path)
    subfolder = (subfolder or "").strip("/")
    for folder in (Path(typed), Path(typed).expanduser()):
        if typed and folder.is_dir():
            return Folder(folder, typed, subfolder, hides_an_id=_is_id(typed))
        if typed and folder.is_file():
            raise CheckpointNotFound(
                f"{typed!r} is a file; give the folder that holds it, together with its config.json."
            )
    if not isinstance(id_or_path, str) or _looks_like_path(typed):
        raise CheckpointNotFound(f"there is no folder {typed!r}{_seen_from()}.")
    if not _is_id(typed):
        raise CheckpointNotFound(f"{typed!r} is neither a folder here nor a model id ('name' or 'owner/name').")
    folder = cache_folder() if cache_dir is None else Path(cache_dir).expanduser()
    repo = HubRepo(typed, revision or "main", folder, token, local_files_only, subfolder)
    if not (prefer_embedded or local_files_only or is_offline()) or (copy := repo.embedded_copy()) is None:
        return repo
    if not prefer_embedded:
        _say_embedded(typed)
    return copy


@cache
def _say_embedded(name: str) -> None:
    _log.warning("%s is not in the cache and may not be fetched: the copy that came with panpipe serves.", name)


def _looks_like_path(typed: str) -> bool:
    return typed.startswith((".", "/", "~", "\\")) or "\\" in typed or typed[1:2] == ":" or typed.count("/") > 1


def _is_id(typed: str) -> bool:
    whole = _ID.fullmatch(typed) and len(typed) <= 96
    return bool(whole) and "--" not in typed and ".." not in typed and not typed.endswith((".git", "-", "."))


def _seen_from() -> str:
    return f" (looked for from {str(Path.cwd())!r})"


class HubRepo(Source):
    """A model of the Hub, through the cache.

    revision: as given.   folder: its folder in the cache, which need not exist yet.
    """

    def __init__(
        self,
        repo_id: str,
        revision: str = "main",
        cache: Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        subfolder: str = "",
    ) -> None:
        self.name = repo_id
        self.revision = revision
        self.subfolder = subfolder
        self.folder = (cache_folder() if cache is None else cache) / ("models--" + repo_id.replace("/", "--"))
        self._token = token
        self._local_files_only = local_files_only
        self._commit: str | None = None
        self._whole: dict[_Group, bool] = {}
        for label, value in (("revision", revision), ("subfolder", subfolder)):
            if not _is_plain(value):
                raise InvalidArgument(f"{label}={value!r} cannot be: it would lead outside of the cache.")

    @property
    def finding(self) -> dict[str, Any]:
        """What `resolve` is given to look for another model in the same places."""
        return {"cache_dir": self.folder.parent, "token": self._token, "local_files_only": self._local_files_only}

    def embedded_copy(self) -> Folder | None:
        """The copy that came with panpipe of a model's main branch, where the cache has no weights of it."""
        if self.revision != "main" or self.subfolder or set(self.files()) & set(WEIGHT_FILES):
            return None
        folder = embedded_base(self.name)
        return None if folder is None else Folder(folder, self.name)

    def file(self, name: str) -> Path | None:
        """An optional file: from the cache, else fetched, unless it is known (or follows) that there is none."""
        return self._find(name, optional=True)

    def require(self, name: str) -> Path:
        """A file that must be there."""
        if (path := self._find(name, optional=False)) is None:
            raise CheckpointNotFound(f"the model {self.name!r} has no file {self._inside(name)}{self._at_revision()}.")
        return path

    def files(self) -> list[str]:
        """The names in the cache's snapshot, sorted."""
        if (commit := self.commit) is None:
            return []
        snapshot = inside(self.folder / "snapshots" / commit, self.subfolder)
        return sorted(path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file())

    @property
    def commit(self) -> str | None:
        """The revision's commit in the cache, or None; one for the life of this object, though the branch may move."""
        if self._commit is None:
            self._commit = self._cached_commit()
        return self._commit

    def _cached_commit(self) -> str | None:
        try:
            commit = (self.folder / "refs").joinpath(*self.revision.split("/")).read_text("ascii").strip()
        except (OSError, ValueError):
            commit = self.revision
        is_name = bool(commit) and _is_plain(commit) and "/" not in commit
        is_there = is_name and any((self.folder / kind / commit).is_dir() for kind in ("snapshots", ".no_exist"))
        return commit if is_there else None

    def _find(self, name: str, optional: bool) -> Path | None:
        if (path := self._cached(name)) is not None:
            return path
        if self._is_known_absent(name) or (optional and self._is_whole(_group(name))):
            return None
        if self._local_files_only or is_offline():
            if optional and self.commit is not None:
                return None
            raise HubUnavailable(self._offline_message(name))
        group = _group(name)
        if name not in group.satellites:
            for satellite in group.satellites:
                if self._cached(satellite) is None and not self._is_known_absent(satellite):
                    self._fetch(satellite)
        return self._fetch(name)

    def _cached(self, name: str) -> Path | None:
        if self.commit is None:
            return None
        path = inside(self.folder / "snapshots" / self.commit, self._inside(name))
        return path if path.is_file() else None

    def _is_known_absent(self, name: str) -> bool:
        return self.commit is not None and inside(self.folder / ".no_exist" / self.commit, self._inside(name)).is_file()

    def _is_whole(self, group: _Group) -> bool:
        """Whether the group was fetched before this object was made: while it is being fetched it is not."""
        if group not in self._whole:
            self._whole[group] = any(all(map(self._cached, carrier)) for carrier in group.carriers)
        return self._whole[group]

    def _fetch(self, name: str) -> Path | None:
        from . import download  # huggingface_hub takes longer to import than a small model to load

        return download.fetch(
            self.name,
            self._inside(name),
            revision=self.commit if self.commit is not None and download.is_commit(self.commit) else self.revision,
            label=self.revision,
            folder=self.folder,
            endpoint=endpoint(),
            token=self._token,
        )

    def _inside(self, name: str) -> str:
        return f"{self.subfolder}/{name}" if self.subfolder else name

    def _at_revision(self) -> str:
        return "" if self.revision == "main" else f" at the revision {self.revision!r}"

    def _offline_message(self, name: str) -> str:
        why = "local_files_only=True" if self._local_files_only else "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set"
        what = f"{self._inside(name)} of the model {self.name!r}{self._at_revision()} is not in {self.folder.parent}"
        return f"{what}, and may not be fetched: {why}. Load it once with the network, or give the path of a folder."


def _group(name: str) -> _Group:
    return next((group for group in (_TOKENIZER, _WEIGHTS, _ADAPTER, *_ALONE) if group.has(name)), _CONFIG)


def _is_plain(path: str) -> bool:
    return re.fullmatch(r"[\w.+@-]+(/[\w.+@-]+)*|", path) is not None and ".." not in path.split("/")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE asks that nothing be fetched."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The cache: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else `hub` in HF_HOME, in XDG_CACHE_HOME or in ~/.cache."""
    environ = os.environ if environ is None else environ
    home = environ.get("HF_HOME") or str(Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or str(Path(home) / "hub")
    return Path(os.path.expandvars(cache)).expanduser()
