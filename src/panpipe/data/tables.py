"""Data files into tables, with a schema over all of their rows; or into rows, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DataError, InvalidArgument, did_you_mean
from ..pipelines.inputs import shown
from .arrow import arrow_batches, arrow_features, column_of, count_rows
from .columns import FLOAT, INT, NULL, STRING, Column, Kind, join
from .features import Feature
from .files import FORMATS
from .opening import decompressed
from .reading import Block, CsvOptions, JsonOptions, Options, TextOptions, check_options, options_of
from .rows import built
from .sources import DataFile
from .storing import TableWriter
from .text_kinds import TextKind, one_typed, typed

__all__ = ["Reader"]

_OPTIONS: dict[str, type[Options]] = {"csv": CsvOptions, "json": JsonOptions, "text": TextOptions}
_ALIASES = {"sep": "delimiter", "names": "column_names", "columns": "usecols"}
_SAME = {"tsv": "csv", "jsonl": "json", "feather": "arrow"}


@dataclass(frozen=True)
class Reader:
    """How data files are read.

    format: 'csv', 'json', 'text', 'parquet' or 'arrow'.   is_strict: rows that need a wider column are errors.
    """

    format: str
    options: Options | None
    columns: tuple[str, ...] | None = None
    is_strict: bool = False

    @staticmethod
    def of(format: str, given: Mapping[str, Any], is_strict: bool) -> Reader:
        """From what the user typed.   Raises InvalidArgument, UnknownArgument."""
        if format not in FORMATS:
            raise InvalidArgument(f"format {format!r} is not known.{did_you_mean(format, FORMATS)} Formats: {FORMATS}.")
        kind = _SAME.get(format, format)
        options = {
            _ALIASES.get(name, name): value for name, value in given.items() if value is not None or name == "header"
        }
        if kind in ("parquet", "arrow"):
            columns = options.pop("usecols", None)
            check_options(options, ["encoding"])
            return Reader(kind, None, None if columns is None else tuple(columns), is_strict)
        if format == "tsv":
            options.setdefault("delimiter", "\t")
        return Reader(kind, options_of(_OPTIONS[kind], options), None, is_strict)

    def key(self) -> tuple[Any, ...]:
        """What the result depends on, beside the bytes."""
        return (
            "load-1",
            self.format,
            None if self.options is None else vars(self.options),
            self.columns,
            self.is_strict,
        )

    # -- whole tables ------------------------------------------------------------------------------------------------

    def write(self, files: Sequence[DataFile], folder: Path | None) -> tuple[dict[str, Column], int]:
        """The table of all rows, in the folder or in memory.   Raises DataError."""
        with TableWriter(folder) as writer:
            fill = self._fill_from_arrow if self.options is None else self._fill
            features = fill(files, writer)
            return writer.finish(features), writer.length

    def _fill(self, files: Sequence[DataFile], writer: TableWriter) -> dict[str, Any]:
        kinds: dict[str, TextKind] = {}
        for name, block in self._blocks(files):
            if self.is_strict:
                self._check(name, block, writer, kinds)
            if self.format == "csv":
                self._see(name, block, writer, kinds)
                block = replace(block, columns={c: [v or None for v in values] for c, values in block.columns.items()})
            columns = {column: _built(column, values, name, block) for column, values in block.columns.items()}
            writer.extend(columns, len(block.lines))
        for column, seen in kinds.items():
            held = writer.columns[column]
            if held.kind != NULL and seen.kind != STRING:
                held.convert(seen.kind, partial(typed, kind=seen.kind, missing=seen.missing))
        return {}

    def _blocks(self, files: Sequence[DataFile], streaming: bool = False) -> Iterator[tuple[str, Block]]:
        for file in files:
            with file.open() if streaming else file.local().open("rb") as raw, decompressed(raw, file.name) as members:
                for name, stream in members:
                    yield from ((name, block) for block in self._options(name).blocks(stream, name))

    def _options(self, name: str) -> Options:
        assert self.options is not None, "formats of pyarrow have no reader here"
        if (
            isinstance(self.options, CsvOptions)
            and self.options.delimiter is None
            and re.search(r"\.tsv(\.\w+)?$", name)
        ):
            return replace(self.options, delimiter="\t")
        return self.options

    def _see(self, name: str, block: Block, writer: TableWriter, kinds: dict[str, TextKind]) -> None:
        assert isinstance(self.options, CsvOptions), "texts are typed in csv files"
        if writer.length and set(block.columns) != set(kinds):
            missing = [column for column in kinds if column not in block.columns]
            more = [column for column in block.columns if column not in kinds]
            raise DataError(
                f"{name}, line 1: the columns are not those of the files before it: "
                f"{f'it lacks {missing}' if missing else ''}{' and ' if missing and more else ''}"
                f"{f'it also has {more}' if more else ''}."
            )
        for column, values in block.columns.items():
            kinds.setdefault(column, TextKind(self.options.na_values)).see(values)

    def _check(self, name: str, block: Block, writer: TableWriter, kinds: dict[str, TextKind]) -> None:
        """For is_strict: does every row fit the type that the rows before it have?"""
        for column, values in block.columns.items():
            texts = TextKind(kinds[column].missing) if column in kinds else TextKind()
            texts.kind = kinds[column].kind if column in kinds else NULL
            held = writer.columns[column].kind if column in writer.columns else NULL
            for line, value in zip(block.lines, values, strict=True):
                if self.format == "csv":
                    before = texts.kind
                    texts.see([value])
                    after = texts.kind
                else:
                    before, after = held, join(held, built(column, [value]).kind)
                    held = after
                if not _fits(before, after):
                    raise DataError(
                        f"{name}, line {line}: the column {column!r} holds {before}, and {shown(value)} is none. "
                        "Without strict=True the column would become one of "
                        f"{after}."
                    )

    def _fill_from_arrow(self, files: Sequence[DataFile], writer: TableWriter) -> dict[str, Any]:
        features: dict[str, Feature] = {}
        for file in files:
            path = file.local()
            for batch in arrow_batches(path, file.name, None if self.columns is None else list(self.columns)):
                features = features or arrow_features(batch.schema)
                columns = {name: column_of(batch.column(name), name) for name in batch.schema.names}
                if self.is_strict:
                    self._check_kinds(file.name, columns, writer)
                writer.extend(columns, batch.num_rows)
        return {
            name: feature.to_json()
            for name, feature in features.items()
            if name in writer.columns and feature.kind == writer.columns[name].kind
        }

    def _check_kinds(self, name: str, columns: Mapping[str, Column], writer: TableWriter) -> None:
        for column, made in columns.items():
            before = writer.columns[column].kind if column in writer.columns else NULL
            if not _fits(before, join(before, made.kind)):
                raise DataError(f"{name}: the column {column!r} holds {made.kind}; in the files before it, {before}.")

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self, files: Sequence[DataFile], skip: int = 0) -> Iterator[dict[str, Any]]:
        """The rows after the first `skip`, read as they are asked for.

        The columns of csv files have the types of the first rows; later, a value that is of another stays text.
        """
        if self.options is None:
            yield from self._arrow_rows(files, skip)
            return
        kinds: dict[str, TextKind] = {}
        for _, block in self._blocks(files, streaming=True):
            columns: Mapping[str, Sequence[Any]] = block.columns
            if isinstance(self.options, CsvOptions):
                if not kinds:
                    kinds = {column: TextKind(self.options.na_values) for column in columns}
                    for column, values in columns.items():
                        kinds[column].see(values)
                columns = {column: _typed_stream(values, kinds.get(column)) for column, values in columns.items()}
            if skip >= len(block.lines):
                skip -= len(block.lines)
                continue
            names = list(columns)
            for values in list(zip(*columns.values(), strict=True))[skip:]:
                yield dict(zip(names, values, strict=True))
            skip = 0

    def _arrow_rows(self, files: Sequence[DataFile], skip: int) -> Iterator[dict[str, Any]]:
        for file in files:
            columns = None if self.columns is None else list(self.columns)
            path = file.local()
            if skip >= (length := count_rows(path)):
                skip -= length
                continue
            batches = arrow_batches(path, file.name, columns, skip)
            skip = 0
            for batch in batches:
                made = {name: column_of(batch.column(name), name) for name in batch.schema.names}
                for index in range(batch.num_rows):
                    yield {name: column.row(index) for name, column in made.items()}


def _fits(before: Kind, after: Kind) -> bool:
    return after == before or before == NULL or (before, after) == (INT, FLOAT)


def _built(column: str, values: Sequence[Any], name: str, block: Block) -> Column:
    try:
        return built(column, values)
    except DataError as error:
        raise DataError(f"{name}, from line {block.lines[0]} on: {error}") from None


def _typed_stream(values: Sequence[str], seen: TextKind | None) -> Sequence[Any]:
    kind = NULL if seen is None else seen.kind
    if seen is None or kind == STRING:
        return [value or None for value in values]
    if kind == NULL:
        return [None if value in seen.missing else value for value in values]
    return [one_typed(value, kind, seen.missing) for value in values]
