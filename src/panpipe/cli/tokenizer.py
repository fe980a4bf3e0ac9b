"""`panpipe tokenizer train`: a vocabulary of one's own.   `panpipe tokenizer show`: how a text is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, InvalidArgument, did_you_mean
from .parser import Parser, parse
from .report import print_report
from .terminal import is_terminal
from .writers import columns_of, to_json

__all__ = ["tokenizer"]

_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".txt": ("text", {}),
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"delimiter": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}
_PACKED = (".gz", ".zst", ".bz2", ".xz")


def tokenizer(given: Sequence[str]) -> int:
    """`panpipe tokenizer train …` or `panpipe tokenizer show …`."""
    verbs = {"train": _train, "show": _show}
    verb = next(iter(given), "--help")
    if verb in ("-h", "--help"):
        print(_HELP)
        return 0
    if verb not in verbs:
        raise InvalidArgument(
            f"{verb!r:.60} is nothing to do with a tokenizer.{did_you_mean(verb, verbs)} See: panpipe tokenizer --help"
        )
    return verbs[verb](given[1:])


_HELP = """usage: panpipe tokenizer train --data FILE … --output DIR [--kind byte-bpe] [--vocab-size 8000] [options]
       panpipe tokenizer show MODEL TEXT

  train   make a tokenizer from texts (each verb has a --help of its own)
  show    the tokens and ids of a text"""


def _train(arguments: Sequence[str]) -> int:
    from ..tokenization.training import KINDS, MAX_SENTENCES, train_tokenizer

    parser = Parser("panpipe tokenizer train", "Make a tokenizer from texts; the same texts give the same vocabulary.")
    parser.add_argument("--data", metavar="FILE", nargs="+", required=True, help="txt, jsonl, json, csv, tsv, parquet")
    parser.add_argument("--output", metavar="DIR", required=True, help="the folder to save the tokenizer in")
    parser.add_argument("--column", default="text", metavar="NAME", help="the column of the texts (default: text)")
    parser.add_argument("--kind", default="byte-bpe", choices=[*KINDS], help="default: byte-bpe, as GPT-2's")
    parser.add_argument("--vocab-size", type=int, default=8000, metavar="N", help="tokens, special ones included")
    parser.add_argument("--lowercase", action="store_true", help="make no difference between A and a")
    parser.add_argument("--normalization", choices=["nfc", "nfd", "nfkc", "nfkd", "none"], help="default: by kind")
    parser.add_argument("--min-frequency", type=int, default=2, metavar="N", help="times a pair must occur")
    parser.add_argument("--max-sentences", type=int, default=MAX_SENTENCES, metavar="N", help="lines learnt from")
    parser.add_argument("--special-tokens", nargs="+", default=[], metavar="TOKEN", help="more special tokens")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sample of a longer corpus")
    parser.add_argument("--json", action="store_true", help="the report as JSON, also on a terminal")
    given = parse(parser, arguments)
    form = {None: "default", "none": None}.get(given.normalization, given.normalization)
    made = train_tokenizer(
        _rows(_files(given.data)),
        given.kind,
        given.vocab_size,
        additional_special_tokens=given.special_tokens,
        lowercase=given.lowercase,
        normalization=form,
        min_frequency=given.min_frequency,
        max_sentences=given.max_sentences,
        seed=given.seed,
        column=given.column,
    )
    made.save_pretrained(given.output)
    report = {
        "tokenizer": {"folder": given.output, "kind": given.kind, "vocabulary": len(made)},
        "special_tokens": made.all_special_tokens,
        "corpus": made.init_kwargs["panpipe_training"],
    }
    print_report(report, given.json or not is_terminal(sys.stdout))
    return 0


def _show(arguments: Sequence[str]) -> int:
    from ..tokenization import AutoTokenizer

    parser = Parser("panpipe tokenizer show", "The tokens and ids of a text.")
    parser.add_argument("model", metavar="MODEL", help="a folder, or a model id of the Hub")
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--json", action="store_true", help="as JSON, also on a terminal")
    given = parse(parser, arguments)
    encoded = AutoTokenizer.from_pretrained(given.model)(given.text)
    rows = [{"token": token, "id": index} for token, index in zip(encoded.tokens(), encoded["input_ids"], strict=True)]
    if given.json or not is_terminal(sys.stdout):
        print(to_json({"tokens": [row["token"] for row in rows], "ids": [row["id"] for row in rows]}))
    else:
        columns_of(rows, sys.stdout)
    return 0


def _files(names: Sequence[str]) -> list[Path]:
    """Raises InputError."""
    files = [Path(name) for name in names]
    for path in files:
        if not path.is_file():
            raise InputError(f"there is no file {str(path)!r}.")
        if _suffix(path) not in _FORMATS:
            raise InputError(f"{str(path)!r}: expected a file that ends with {', '.join(_FORMATS)} (or those and .gz).")
    return files


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in _PACKED else path).suffix


def _rows(files: Sequence[Path]) -> Iterator[Any]:
    """Files of lines as they are, and the rows of others."""
    for path in files:
        if path.suffix == ".txt":
            yield path
            continue
        from ..data import load_dataset

        form, options = _FORMATS[_suffix(path)]
        yield from load_dataset(form, data_files=[str(path)], split="train", streaming=True, **options)
