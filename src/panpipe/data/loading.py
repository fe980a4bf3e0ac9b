"""`load_dataset`: what the user named, as files by split; their rows as tables or streams."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import CheckpointNotFound, DataError, DataNotFound, InvalidArgument, did_you_mean
from ..weights.hub import resolve
from .cache import cached, data_cache
from .card import Config, chosen, configs_of
from .dataset import Dataset
from .dataset_dict import DatasetDict
from .features import Feature
from .files import FORMATS, as_splits, format_of, is_data, matching, most_common_format, splits_by_name
from .fingerprint import fingerprint
from .iterable import IterableDataset
from .slices import select_split
from .sources import DataFile, DataRepo, HubFile, LocalFile, UrlFile, is_url
from .storing import is_table
from .tables import Reader

__all__ = ["load_dataset"]

_CONVERTED = "refs/convert/parquet"
_AGAIN = ("force_redownload",)
_MODES = (None, "reuse_dataset_if_exists", "reuse_cache_if_exists", *_AGAIN)


@dataclass
class _Found:
    """The files of each split, and how they are read."""

    format: str
    splits: dict[str, list[DataFile]]
    options: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)


def load_dataset(
    path: str | os.PathLike[str],
    name: str | None = None,
    data_dir: str | None = None,
    data_files: Any = None,
    split: str | Sequence[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    features: Mapping[str, Any] | None = None,
    download_mode: str | None = None,
    keep_in_memory: bool = False,
    revision: str | None = None,
    token: str | bool | None = None,
    streaming: bool = False,
    strict: bool = False,
    num_proc: int | None = None,
    **options: Any,
) -> Any:
    """The data set of a format and files, of a folder, of a file, or of an id of the Hub.

    path: 'csv', 'tsv', 'json', 'text', 'parquet' or 'arrow' (with data_files); a folder; a file; or 'owner/name'.
    name: the configuration, where a data set has several.
    data_files: a name, pattern or address; a list; or a dictionary of splits.   data_dir: the folder they are in.
    split: 'train', 'train[:10%]+test[5:]', or a list of such; None: a DatasetDict of all.
    streaming: rows come as they are asked for, and nothing is kept; else tables, which the cache keeps.
    strict: a row that needs a wider column than the rows before it is an error; else columns widen to hold all rows.
    features: column → feature, of columns that are to be other than they are found.
    num_proc: taken for compatibility; files are read by one process.
    options: of the format: delimiter, column_names, field, sample_by, encoding, columns …
    Raises DataNotFound, DataError (with file and line), InvalidArgument, HubUnavailable, MissingDependency.
    """
    options.pop("trust_remote_code", None)  # a data set's code is never run
    if download_mode not in _MODES:
        raise InvalidArgument(f"download_mode={download_mode!r}: choose one of {', '.join(map(repr, _MODES[1:]))}.")
    cache = data_cache(cache_dir)
    found = _Finder(
        str(os.fspath(path)), name, data_dir, data_files, revision, token, cache, download_mode in _AGAIN
    ).find()
    reader = Reader.of(found.format, {**found.options, **options}, strict)
    if streaming:
        wanted = {**found.features, **(features or {})}
        streams = {
            each: IterableDataset.of_rows(partial(reader.rows, files), wanted, each)
            for each, files in found.splits.items()
        }
        return select_split(DatasetDict(streams), split)
    tables = {
        each: _table(reader, files, cache, each, keep_in_memory, download_mode in _AGAIN)
        for each, files in found.splits.items()
        if split is None or _may_need(each, split)
    }
    for each, table in tables.items():
        told = {column: feature for column, feature in found.features.items() if column in table.column_names}
        tables[each] = table.cast({**told, **(features or {})})
    return select_split(DatasetDict(tables), split, list(found.splits))


def _may_need(split: str, wanted: str | Sequence[str]) -> bool:
    texts = [wanted] if isinstance(wanted, str) else list(wanted)
    return any(split in text or "all" in text for text in texts)


def _table(reader: Reader, files: list[DataFile], cache: Path, split: str, in_memory: bool, again: bool) -> Dataset:
    if in_memory:
        columns, length = reader.write(files, None)
        return Dataset(columns, length, split=split)
    digests = [(format_of(file.name), file.digest(cache / "files")) for file in files]
    name = fingerprint(*reader.key(), digests)
    stored = cached(cache, name, partial(reader.write, files), again)
    return Dataset.of_stored(stored, cache, name, split)


class _Finder:
    """What `path` means."""

    def __init__(
        self,
        path: str,
        name: str | None,
        data_dir: str | None,
        data_files: Any,
        revision: str | None,
        token: str | bool | None,
        cache: Path,
        again: bool,
    ) -> None:
        self.path, self.name, self.data_dir, self.data_files = path, name, data_dir, data_files
        self.revision, self.token, self.cache, self.again = revision, token, cache, again

    def find(self) -> _Found:
        """The files, by split.   Raises DataNotFound, InvalidArgument."""
        place = Path(self.path).expanduser()
        if self.path in FORMATS and (self.data_files is not None or self.data_dir is not None or not place.is_dir()):
            return self._of_format()
        if place.is_dir():
            return self._of_folder(place)
        if is_url(self.path) or place.is_file():
            return self._of_files({"train": [self._one(self.path)]})
        if is_data(place.name) or place.is_absolute():  # a pattern, or a file that is not there: no id is such
            return self._of_files({"train": self._several(self.path)})
        return self._of_hub()

    def _of_format(self) -> _Found:
        if self.data_files is None and self.data_dir is None:
            raise InvalidArgument(f"load_dataset({self.path!r}) needs data_files=… (names, patterns or addresses).")
        if self.data_files is None:
            folder = Path(str(self.data_dir)).expanduser()
            names = [name for name in _names_in(folder) if is_data(name) and _same_format(format_of(name), self.path)]
            splits = _some(splits_by_name(names), f"the folder {str(folder)!r}", names)
            return _Found(self.path, {split: [LocalFile(folder / n) for n in names] for split, names in splits.items()})
        return _Found(self.path, {s: self._all(patterns) for s, patterns in as_splits(self.data_files).items()})

    def _of_files(self, splits: dict[str, list[DataFile]], config: Config | None = None) -> _Found:
        names = [file.name for files in splits.values() for file in files]
        format = most_common_format([Path(name).name for name in names])
        if format is None:
            raise DataError(
                f"the ending of {names[0]!r} says no format; give it: load_dataset('csv', data_files={names[0]!r})."
            )
        return _Found(format, splits, *(() if config is None else (config.options, config.features)))

    def _all(self, patterns: list[str]) -> list[DataFile]:
        return [file for pattern in patterns for file in self._several(pattern)]

    def _several(self, pattern: str) -> list[DataFile]:
        """The files of a name, pattern or address."""
        if is_url(pattern):
            return [self._one(pattern)]
        base = Path(self.data_dir).expanduser() if self.data_dir else Path()
        whole = base / Path(pattern).expanduser()
        if whole.is_file():
            return [LocalFile(whole, pattern)]
        fixed = _folder_without_wildcards(whole)
        if not fixed.is_dir() or fixed == whole:
            near = did_you_mean(
                whole.name, [path.name for path in whole.parent.iterdir()] if whole.parent.is_dir() else []
            )
            raise DataNotFound(f"there is no file {pattern!r} (looked for from {str(Path.cwd())!r}).{near}")
        names = matching(whole.relative_to(fixed).as_posix(), _names_in(fixed), f"the folder {str(fixed)!r}")
        return [LocalFile(fixed / name) for name in names]

    def _one(self, place: str) -> DataFile:
        if is_url(place):
            return UrlFile(place, self.cache / "files", self.again)
        return LocalFile(Path(place).expanduser(), place)

    def _of_folder(self, folder: Path) -> _Found:
        if is_table(folder) or (folder / "dataset_dict.json").is_file():
            raise InvalidArgument(
                f"{self.path!r} was written by save_to_disk: read it with load_from_disk({self.path!r})."
            )
        readme = folder / "README.md"
        card = readme.read_text("utf-8", "replace") if readme.is_file() else ""
        return self._of_names(
            _names_in(folder),
            card,
            lambda name: LocalFile(folder / name, str(folder / name)),
            f"the folder {self.path!r}",
        )

    def _of_names(self, names: list[str], card: str, opened: Any, what: str) -> _Found:
        """The files of a folder or of a repository."""
        configs = [] if self.data_files is not None or self.data_dir is not None else configs_of(card)
        if self.name is not None and not configs and self.data_files is None and self.data_dir is None:
            raise DataNotFound(f"{what} has no configurations, so none is named {self.name!r}.")
        config = chosen(configs, self.name, self.path) if configs else Config("default")
        folder = self.data_dir or config.data_dir
        inside = [name for name in names if name.startswith(folder.strip("./") + "/")] if folder else names
        patterns = as_splits(self.data_files) if self.data_files is not None else config.splits
        if patterns is not None:
            prefix = folder.strip("./") + "/" if folder and self.data_files is not None else ""
            chosen_names = {
                split: [name for one in each for name in matching(prefix + one, names, what)]
                for split, each in patterns.items()
            }
        else:
            format = most_common_format(inside)
            data = [name for name in inside if is_data(name) and format_of(name) == format]
            chosen_names = _some(splits_by_name(data), what, names)
        return self._of_files({split: [opened(name) for name in each] for split, each in chosen_names.items()}, config)

    def _of_hub(self) -> _Found:
        try:
            resolve(self.path)
        except CheckpointNotFound:
            raise DataNotFound(
                f"{self.path!r} is no format ({', '.join(FORMATS)}), and there is no such file or folder "
                f"(looked for from {str(Path.cwd())!r}).{did_you_mean(self.path, FORMATS)}"
            ) from None
        repo = DataRepo(self.path, self.revision or "main", self.token, self.cache, self.again)
        _, names = repo.listing()
        what = f"the data set {self.path!r}"
        is_script = f"{self.path.split('/')[-1]}.py" in names
        if is_script and self.data_files is None:
            return self._of_converted(what)
        card = repo.path("README.md").read_text("utf-8", "replace") if "README.md" in names else ""
        return self._of_names(names, card, partial(HubFile, repo), what)

    def _of_converted(self, what: str) -> _Found:
        """A data set that is made by a script: the Hub's own parquet files of it. The script is not run."""
        converted = DataRepo(self.path, _CONVERTED, self.token, self.cache, self.again)
        try:
            _, names = converted.listing()
        except DataNotFound:
            raise DataNotFound(
                f"{what} is made by a script, which panpipe never runs, and the Hub has no parquet files of it "
                f"({_CONVERTED}). Look for a copy with data files, or name such files: data_files=…."
            ) from None
        parts = [name.split("/") for name in names if name.endswith(".parquet") and name.count("/") == 2]
        configs = [Config(config) for config in dict.fromkeys(part[0] for part in parts)]
        if not configs:
            raise DataNotFound(f"{what}: the Hub's parquet files ({_CONVERTED}) are empty.")
        config = chosen(configs, self.name, self.path)
        splits: dict[str, list[DataFile]] = {}
        for folder, split, file in sorted(parts):
            if folder == config.name:
                whole = split.removeprefix("partial-")
                splits.setdefault(whole, []).append(HubFile(converted, f"{folder}/{split}/{file}"))
        return _Found("parquet", splits)


def _names_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataNotFound(f"there is no folder {str(folder)!r} (looked for from {str(Path.cwd())!r}).")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _folder_without_wildcards(path: Path) -> Path:
    parts = path.parts
    plain = next((place for place, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))
    return Path(*parts[:plain])


def _same_format(format: str | None, wanted: str) -> bool:
    return format == {"jsonl": "json", "feather": "arrow"}.get(wanted, wanted)


def _some(splits: dict[str, list[str]], what: str, names: list[str]) -> dict[str, list[str]]:
    if not splits:
        there = ", ".join(map(repr, names[:12])) or "nothing"
        raise DataNotFound(
            f"{what} has no files of rows (csv, tsv, json, jsonl, txt, parquet, arrow). It holds: {there}."
        )
    return splits
