"""Training tokenizers: like an old one on new texts, or from nothing but a corpus.

The Rust library trains. What is added here: a sample of bounded size, words of bounded length in scripts that are
written without spaces (each sentence would be one word, and the tables of pairs would not fit into memory), and the
same vocabulary every time: where pieces are equally frequent the library goes by the order of a hash table, so that two
runs on one corpus differ.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as RustTokenizer

from ..errors import InputError, InvalidArgument, MissingKey, TokenizerError, UnknownArgument, did_you_mean
from .assembly import SPECIAL_TOKENS, Parts, assemble
from .guard import is_panic, reason
from .tokenizer import Tokenizer

__all__ = ["KINDS", "LONGEST_LINE", "MAX_SENTENCES", "train_like", "train_tokenizer"]

MAX_SENTENCES = 500_000
"""Lines that are kept in memory and learnt from; of a longer corpus, as many are drawn evenly from the whole."""
LONGEST_LINE = 4096
"""Characters; a longer line counts as several."""
_RECORD = "panpipe_training"  # the key of tokenizer_config.json that says what it was trained on
_ADDITIONAL = "additional_special_tokens"
_ANY = ("show_progress", "initial_alphabet")
_OF_PAIRS = (*_ANY, "min_frequency", "limit_alphabet", "continuing_subword_prefix", "end_of_word_suffix")
_TRAINERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "BPE": (
        trainers.BpeTrainer,
        (*_OF_PAIRS, "max_token_length"),
    ),
    "WordPiece": (trainers.WordPieceTrainer, _OF_PAIRS),
    "WordLevel": (trainers.WordLevelTrainer, ("min_frequency", "show_progress")),
    "Unigram": (
        trainers.UnigramTrainer,
        (*_ANY, "shrinking_factor", "unk_token", "max_piece_length", "n_sub_iterations"),
    ),
}


# -- like an old one -------------------------------------------------------------------------------------------------


def train_like(
    old: Tokenizer,
    texts: Iterable[str | Sequence[str]],
    vocab_size: int,
    length: int | None = None,
    new_special_tokens: Sequence[str | AddedToken] | None = None,
    special_tokens_map: Mapping[str, str] | None = None,
    **options: Any,
) -> Parts:
    """The parts of a tokenizer of the same kind with another vocabulary: see `Tokenizer.train_new_from_iterator`."""
    parts = old._parts
    if parts.pieces is not None:
        raise InvalidArgument(
            f"a {parts.class_name} takes pieces and ids from different files and cannot be trained anew; train one "
            "from the corpus: panpipe.train_tokenizer(texts, kind='unigram')."
        )
    renamed = dict(special_tokens_map or {})
    state = json.loads(old._rust.to_str())
    added, processor = state.pop("added_tokens"), state.pop("post_processor")
    if unknown := renamed.keys() - {token["content"] for token in added}:
        known = ", ".join(repr(token["content"]) for token in added)
        raise InvalidArgument(f"special_tokens_map names {min(unknown)!r:.60}; the tokens to be renamed are {known}.")
    model = state["model"]
    kind = model["type"]
    _forget(model, renamed, options)
    if "ByteLevel" in json.dumps(state["pre_tokenizer"]):
        options.setdefault("initial_alphabet", pre_tokenizers.ByteLevel.alphabet())
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if kind == "BPE" and model[name] is not None:
            options.setdefault(name, model[name])
    special: list[str | AddedToken] = [
        AddedToken(**{**_flags(token), "content": renamed.get(token["content"], token["content"])})
        for token in added
        if kind == "Unigram" or token["special"]
    ]
    special += new_special_tokens or ()
    trained = _train(json.dumps({**state, "post_processor": None}), kind, texts, length, vocab_size, special, options)
    if processor is not None:
        trained["post_processor"] = _renumbered(processor, trained, renamed)
    stale = {_RECORD, "added_tokens_decoder"}
    if any(name.endswith(".model") for name in parts.family.vocabulary):
        stale |= {"sp_model_kwargs", "add_prefix_space"}  # by which transformers would look for that file
    settings = {key: value for key, value in parts.settings.items() if key not in stale}
    settings |= {name: _renamed(token, renamed) for name, token in old._special_tokens.items() if token}
    if new_special_tokens:
        settings[_ADDITIONAL] = [*settings.get(_ADDITIONAL, ()), *new_special_tokens]
    return assemble("", parts.class_name, settings, RustTokenizer.from_str(json.dumps(trained)))


def _forget(model: dict[str, Any], renamed: Mapping[str, str], options: dict[str, Any]) -> None:
    """Take the vocabulary out of a model's state."""
    unknown = model.get("unk_token")
    if model["type"] == "Unigram":
        if model["unk_id"] is not None:
            unknown = model["vocab"][model["unk_id"]][0]
            options["unk_token"] = renamed.get(unknown, unknown)
            model |= {"unk_id": 0, "vocab": [[options["unk_token"], 0.0]]}
        return
    model["vocab"] = {}
    if unknown is not None:
        model["unk_token"] = renamed.get(unknown, unknown)
    if model["type"] == "BPE":
        model["merges"] = []


def _flags(token: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in token.items() if key not in ("id", "special")}


def _renamed(token: Any, renamed: Mapping[str, str]) -> Any:
    """A token, or list of tokens, under its new name and with its flags."""
    if isinstance(token, (list, tuple)):
        return [_renamed(each, renamed) for each in token]
    if isinstance(token, AddedToken):
        flags = {**_flags(token.__getstate__()), "content": renamed.get(str(token), str(token))}
        return AddedToken(**flags, special=True)
    return renamed.get(token, token)


def _renumbered(processor: dict[str, Any], trained: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """A post-processor with the new ids of the tokens that it adds.   Raises TokenizerError."""
    ids = {token["content"]: token["id"] for token in trained["added_tokens"]}

    def new(token: str) -> tuple[str, int]:
        token = renamed.get(token, token)
        if token not in ids:
            raise TokenizerError(f"the old tokenizer puts {token!r:.60} around texts, which is no special token of it.")
        return token, ids[token]

    for part in processor.get("processors", ()):
        part.update(_renumbered(part, trained, renamed))
    for entry in (processor.get("special_tokens") or {}).values():
        pairs = [new(token) for token in entry["tokens"]]
        entry |= {"tokens": [token for token, _ in pairs], "ids": [index for _, index in pairs]}
    return processor | {key: list(new(processor[key][0])) for key in ("cls", "sep") if key in processor}


# -- the Rust library's trainers -------------------------------------------------------------------------------------


def _train(
    state: str,
    kind: str,
    texts: Iterable[str | Sequence[str]],
    length: int | None,
    vocab_size: int,
    special: Sequence[str | AddedToken],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The state (tokenizer.json) of a tokenizer after training.

    Raises InputError, InvalidArgument, UnknownArgument, TokenizerError.
    """
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or vocab_size < 1:
        raise InvalidArgument(f"vocab_size={vocab_size!r:.40}: expected a whole number of tokens.")
    if isinstance(texts, (str, bytes)):
        raise InputError("the corpus is one str; expected an iterable of texts, or of lists of texts.")
    trainer, names = _TRAINERS[kind]
    if unknown := [name for name in options if name not in names]:
        near = did_you_mean(unknown[0], names)
        raise UnknownArgument(f"a trainer of {kind} has no option {unknown[0]!r:.60}.{near} It has {', '.join(names)}.")
    options = {"show_progress": False, **options}

    def once(texts: Iterable[Any], size: int, special: Sequence[Any], **more: Any) -> dict[str, Any]:
        rust = RustTokenizer.from_str(state)
        made = trainer(vocab_size=size, special_tokens=list(special), **{**options, **more})
        _guarded(lambda: rust.train_from_iterator(_checked(texts), made, length=length))
        return dict(json.loads(rust.to_str()))

    if kind == "WordPiece" or options.get("continuing_subword_prefix") or options.get("end_of_word_suffix"):
        return _in_two_readings(texts, vocab_size, special, once)
    trained = once(texts, vocab_size, special)
    if kind == "Unigram":
        trained["model"]["vocab"] = _ordered(trained["model"]["vocab"], {*map(str, special), options.get("unk_token")})
    return trained


def _ordered(pieces: list[Any], first: Container[Any]) -> list[Any]:
    """Unigram pieces, best first, with chance taken out: equal scores (but for the last digits) go by the text.

    The characters that training left without a score have been given the lowest and, one after the other, 0.0001 more.
    """
    scores = {piece: round(score, 8) for piece, score in pieces if piece not in first}
    lowest = min(scores.values(), default=0.0)
    steps = {piece: (score - lowest) * 10_000 for piece, score in scores.items() if len(piece) == 1}
    filled = sorted(piece for piece, step in steps.items() if abs(step - round(step)) < 0.001)
    given = sorted((scores[piece] for piece in filled), reverse=True)
    scores |= dict(zip(filled, given, strict=True))
    rest = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return [*(pair for pair in pieces if pair[0] in first), *map(list, rest)]


def _in_two_readings(
    texts: Iterable[Any], vocab_size: int, special: Sequence[str | AddedToken], once: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """With marked pieces: the first reading finds the single ones, whose order then is fixed as special tokens' is."""
    is_kept = isinstance(texts, (list, tuple))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        found = once(texts if is_kept else _copied(texts, file), 0, special)["model"]["vocab"]
        known = {str(token) for token in special}
        alphabet = sorted(found.keys() - known, key=lambda piece: (len(piece) > 1, piece))
        file.seek(0)
        again = texts if is_kept else map(json.loads, file)
        trained = once(again, vocab_size, [*special, *alphabet], limit_alphabet=0, initial_alphabet=[])
    trained["added_tokens"] = [token for token in trained["added_tokens"] if token["content"] in known]
    return trained


def _copied(texts: Iterable[Any], file: TextIO) -> Iterator[Any]:
    for text in texts:
        file.write(json.dumps(text) + "\n")
        yield text


def _checked(texts: Iterable[Any]) -> Iterator[str | Sequence[str]]:
    """Texts and batches of texts.   Raises InputError, also at the end where there was nothing to read."""
    is_empty = True
    for number, item in enumerate(texts):
        for text in _batch(item, number):
            is_empty &= not _utf8(text, number).strip()
        yield item
    if is_empty:
        raise InputError("the corpus has no text; expected at least one that is not empty.")


def _batch(item: Any, number: int) -> Sequence[str]:
    batch = [item] if isinstance(item, str) else item
    if not isinstance(batch, (list, tuple)) or not all(isinstance(text, str) for text in batch):
        raise InputError(f"item {number} of the corpus is {item!r:.60}; expected a str or a list of str.")
    return batch


def _utf8(text: str, number: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"item {number} of the corpus has a lone surrogate ({text[error.start]!r}), which is no Unicode text; "
            "clean it with text.encode('utf-8', 'replace').decode()."
        ) from None


def _guarded(train: Callable[[], None]) -> None:
    """Raises TokenizerError for what the Rust library complains of; what reading the texts raises passes."""
    try:
        train()
    except BaseException as error:
        if not (is_panic(error) or type(error) is Exception):
            raise
        raise TokenizerError(
            f"the tokenizer cannot be trained: {reason(error)}. Most often the corpus is too small or empty, or the "
            "vocabulary has no room for its characters: give more texts or a larger vocab_size."
        ) from None


# -- from a corpus ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """One kind of tokenizer.

    tokens: its special tokens, by role.   class_: of the saved files.   is_bytes: every text is made of its 256 bytes,
    so that nothing is unknown.   ends: a text ends with the eos_token, as T5's do.
    """

    model: Callable[[Mapping[str, str]], Any]
    tokens: Mapping[str, str]
    normalization: str | None
    class_: str = "PreTrainedTokenizer"
    is_bytes: bool = False
    ends: bool = False


KINDS = {
    "bpe": _Kind(
        lambda tokens: models.BPE(unk_token=tokens.get("unk_token"), fuse_unk=True),
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
        "nfkc",
    ),
    "byte-bpe": _Kind(
        lambda tokens: models.BPE(),
        {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"},
        "nfc",
        is_bytes=True,
    ),
    "wordpiece": _Kind(
        lambda tokens: models.WordPiece(unk_token=tokens.get("unk_token", "[UNK]")),
        {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
        None,
        class_="BertTokenizer",
    ),
    "unigram": _Kind(
        lambda tokens: models.Unigram(),
        {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        "nfkc",
        ends=True,
    ),
}
_MODEL_OF = {"bpe": "BPE", "byte-bpe": "BPE", "wordpiece": "WordPiece", "unigram": "Unigram"}
_FORMS = ("nfc", "nfd", "nfkc", "nfkd")
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"


def train_tokenizer(
    corpus: Any,
    kind: str = "byte-bpe",
    vocab_size: int = 8000,
    *,
    special_tokens: Mapping[str, str] | None = None,
    additional_special_tokens: Sequence[str] = (),
    lowercase: bool = False,
    normalization: str | None = "default",
    min_frequency: int = 2,
    limit_alphabet: int | None = None,
    max_sentences: int = MAX_SENTENCES,
    seed: int = 0,
    column: str = "text",
    model_max_length: int | None = None,
    progress: bool | None = None,
) -> Tokenizer:
    """A tokenizer from a corpus; the same corpus and settings give the same vocabulary.

    corpus: an iterable of texts, of lists of texts, or of rows with a `column` (such as a Dataset); or a Path, or a
    list of Paths, of text files, a text on each line.
    kind: 'byte-bpe' (as GPT-2: nothing is unknown), 'bpe' and 'unigram' (over characters, words begun by ▁, as Llama
    and T5), 'wordpiece' (as BERT).   vocab_size: with the special tokens; a small corpus may give fewer.
    special_tokens: by role, instead of the kind's own: {'cls_token': '<s>', 'mask_token': '<mask>', …}. Where there are
    a cls_token and a sep_token, texts are put between them; 'unigram' ends them with its eos_token.
    normalization: 'nfc', 'nfd', 'nfkc', 'nfkd' or None (default: 'nfc' for bytes, 'nfkc', for 'wordpiece' None).
    lowercase: accents stay, and so do Korean syllables, which BERT's own way takes apart.
    min_frequency: how often a pair must occur to become a token ('unigram' does not ask).   limit_alphabet: how many
    characters are learnt, the most frequent; the others become unknown. Default: half of vocab_size.
    max_sentences: lines of at most 4096 characters that are kept in memory and learnt from; of a longer corpus an even
    sample, drawn with `seed`.   progress: a bar (None: on a terminal).
    The saved tokenizer_config.json says under 'panpipe_training' what was read, with its SHA-256.
    Raises InputError, MissingKey (a row without the column), InvalidArgument, TokenizerError.
    """
    row = KINDS.get(kind)
    if row is None:
        raise InvalidArgument(f"kind={kind!r:.40}: expected one of {', '.join(KINDS)}.{did_you_mean(str(kind), KINDS)}")
    tokens = _roles(row, special_tokens)
    special = list(dict.fromkeys([*tokens.values(), *additional_special_tokens]))
    _check_size(row, vocab_size, special, max_sentences)
    rust = RustTokenizer(row.model(tokens))
    rust.normalizer = _normalizer(kind, row.normalization if normalization == "default" else normalization, lowercase)
    rust.pre_tokenizer, rust.decoder = _words(kind)
    lines, record = _sample(_texts(corpus, column), max_sentences, seed, progress)
    record |= {"kind": kind, "vocab_size": vocab_size, "seed": seed, "max_sentences": max_sentences}
    options: dict[str, Any] = {} if kind == "unigram" else {"min_frequency": min_frequency}
    if row.is_bytes:
        options["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    else:
        lines = _with_frequent_characters(rust, lines, vocab_size // 2 if limit_alphabet is None else limit_alphabet)
    if kind == "unigram":
        options["unk_token"] = tokens["unk_token"]
    trained = _train(rust.to_str(), _MODEL_OF[kind], lines, len(lines), vocab_size, special, options)
    rust = RustTokenizer.from_str(json.dumps(trained))
    rust.post_processor = _around(rust, row, tokens)
    settings: dict[str, Any] = {**tokens, _ADDITIONAL: list(additional_special_tokens), _RECORD: record}
    settings |= {"clean_up_tokenization_spaces": False}
    if model_max_length is not None:
        settings["model_max_length"] = model_max_length
    if kind == "wordpiece":
        settings |= {"do_lower_case": lowercase, "strip_accents": False, "tokenize_chinese_chars": True}
    else:
        settings["model_input_names"] = ["input_ids", "attention_mask"]
    return Tokenizer._of(assemble("", row.class_, settings, rust))


def _roles(row: _Kind, given: Mapping[str, str] | None) -> dict[str, str]:
    tokens = dict(row.tokens if given is None else given)
    roles = SPECIAL_TOKENS[:-1]
    for role, token in tokens.items():
        if role not in roles or not isinstance(token, str) or not token:
            near = did_you_mean(str(role), roles)
            raise InvalidArgument(
                f"special_tokens has {role!r:.40}: {token!r:.40}.{near} Expected a str for any of {', '.join(roles)}."
            )
    if "unk_token" in row.tokens:
        tokens.setdefault("unk_token", row.tokens["unk_token"])
    return tokens


def _check_size(row: _Kind, vocab_size: int, special: Sequence[str], max_sentences: int) -> None:
    least = len(special) + (256 if row.is_bytes else 2)
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or vocab_size < least:
        what = "the 256 bytes and " if row.is_bytes else ""
        raise InvalidArgument(
            f"vocab_size={vocab_size!r:.40}: expected at least {least}, for {what}{len(special)} special tokens."
        )
    if isinstance(max_sentences, bool) or not isinstance(max_sentences, int) or max_sentences < 1:
        raise InvalidArgument(f"max_sentences={max_sentences!r:.40}: expected a whole number of lines.")


# -- how texts become words ------------------------------------------------------------------------------------------


def _normalizer(kind: str, form: str | None, lowercase: bool) -> Any:
    if form is not None and form not in _FORMS:
        raise InvalidArgument(f"normalization={form!r:.40}: expected one of {', '.join(_FORMS)} or None.")
    steps: list[Any] = [] if form is None else [getattr(normalizers, form.upper())()]
    if kind == "wordpiece":
        bert = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
        return normalizers.Sequence([*steps, bert]) if steps else bert
    if lowercase:
        steps.append(normalizers.Lowercase())
    if kind in ("bpe", "unigram"):  # a run of any white space is a space, as in sentencepiece
        steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence(steps) if steps else None


def _words(kind: str) -> tuple[Any, Any]:
    """What cuts a text into words, of which no token is longer; and what puts tokens together."""
    if kind == "wordpiece":
        cut = pre_tokenizers.Split(Regex(".{1,32}"), "isolated")
        return pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), cut]), decoders.WordPiece(prefix="##")
    if kind == "byte-bpe":
        first = pre_tokenizers.Split(Regex(_pattern(" ")), "isolated")
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([first, as_bytes]), decoders.ByteLevel()
    marked = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    cut = pre_tokenizers.Split(Regex(_pattern("▁")), "isolated")
    return pre_tokenizers.Sequence([marked, cut]), decoders.Metaspace(replacement="▁", prepend_scheme="always")


def _pattern(space: str) -> str:
    """Words with the space before them; one script each, and no longer than what words there are."""
    return "|".join(
        (
            r"'(?i:s|t|re|ve|m|ll|d)(?!\p{L})",
            rf"{space}?[{_UNSPACED}]{{1,16}}",
            rf"{space}?\p{{Hangul}}{{1,16}}",
            rf"{space}?[\p{{L}}\p{{M}}&&[^{_UNSPACED}\p{{Hangul}}]]{{1,64}}",
            rf"{space}?\p{{N}}{{1,3}}",
            rf"{space}?[^\s{space}\p{{L}}\p{{M}}\p{{N}}]{{1,16}}",
            rf"[\s{space}]{{1,64}}(?!\S)",
            rf"[\s{space}]{{1,64}}",
        )
    )


def _around(rust: RustTokenizer, row: _Kind, tokens: Mapping[str, str]) -> Any:
    """The special tokens around a text and a pair."""
    steps: list[Any] = [processors.ByteLevel(trim_offsets=True)] if row.is_bytes else []
    before, after = tokens.get("cls_token"), tokens.get("sep_token")
    if not (before and after):
        before, after = None, tokens.get("eos_token") if row.ends else None
    if after:
        second = 1 if row.class_ == "BertTokenizer" else 0
        single = [f"{before}:0"] * bool(before) + ["$A:0", f"{after}:0"]
        used = [(token, rust.token_to_id(token)) for token in dict.fromkeys([before, after]) if token]
        pair = [*single, f"$B:{second}", f"{after}:{second}"]
        steps.append(processors.TemplateProcessing(single=single, pair=pair, special_tokens=used))
    if len(steps) > 1:
        return processors.Sequence(steps)
    return steps[0] if steps else None


# -- the corpus ------------------------------------------------------------------------------------------------------


def _texts(corpus: Any, column: str) -> Iterator[str]:
    """The texts of whatever form the corpus has.   Raises InputError, MissingKey, OSError."""
    if isinstance(corpus, str):
        raise InputError(f"the corpus is the str {corpus!r:.60}; expected texts, or a pathlib.Path for a file of them.")
    items: Iterable[Any] = [corpus] if isinstance(corpus, Path) else corpus
    for number, item in enumerate(items):
        if isinstance(item, Path):
            with item.open(encoding="utf-8") as file:
                yield from file
        elif isinstance(item, Mapping):
            if column not in item:
                raise MissingKey(
                    f"row {number} of the corpus has no column {column!r:.60}; it has {', '.join(map(repr, item))}."
                )
            if item[column] is not None:
                yield from _batch(item[column], number)
        else:
            yield from _batch(item, number)


def _sample(
    texts: Iterable[str], max_sentences: int, seed: int, progress: bool | None
) -> tuple[list[str], dict[str, Any]]:
    """Lines to learn from, and what was read: every line of a small corpus, else an even sample.

    Source of the sampling: Vitter 1985, "Random sampling with a reservoir", algorithm R.
    """
    from tqdm import tqdm

    chance, digest = random.Random(seed), hashlib.sha256()
    lines: list[str] = []
    seen = characters = 0
    bar = tqdm(texts, desc="reading the corpus", unit=" texts", disable=None if progress is None else not progress)
    for number, text in enumerate(bar):
        digest.update(_utf8(text, number) + b"\0")
        characters += len(text)
        for line in _lines(text):
            if seen < max_sentences:
                lines.append(line)
            elif (place := chance.randrange(seen + 1)) < max_sentences:
                lines[place] = line
            seen += 1
    read = {"corpus_sha256": digest.hexdigest(), "characters": characters, "lines": seen, "lines_used": len(lines)}
    return lines, read


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for start in range(0, len(line), LONGEST_LINE):
            if not (part := line[start : start + LONGEST_LINE]).isspace():
                yield part


def _with_frequent_characters(rust: RustTokenizer, lines: list[str], limit: int) -> list[str]:
    """The lines, normalized, with a space for each character that is not among the most frequent.

    The Rust trainers choose between equally frequent ones by the order of a hash table, and the unigram one fails where
    the vocabulary has no room for all.
    """
    normalizer = rust.normalizer
    if normalizer is not None:
        lines = [normalizer.normalize_str(line) for line in lines]
    counts = Counter(chain.from_iterable(lines))
    if len(counts) <= limit:
        return lines
    rare = sorted(counts, key=lambda character: (-counts[character], character))[limit:]
    table = str.maketrans(dict.fromkeys(rare, " "))
    return [line.translate(table) for line in lines]
