"""Rust tokenizers made from the vocabulary files that came before tokenizer.json.

Each builder takes the files' bytes by name and the settings, and gives the tokenizer without its special tokens; a
`…_template` or `…_processor` puts those into the post-processor once they are known. The steps are those by which
transformers 4.57.6 turns its Python tokenizers into Rust ones, so the ids are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import BPE, Unigram, WordPiece

from ..errors import TokenizerError
from . import sentencepiece as spm
from .sentencepiece import SentencePieceModel

__all__ = [
    "Spm",
    "albert_normalizer",
    "albert_pieces",
    "albert_template",
    "bert_template",
    "byte_level_bpe",
    "camembert_pieces",
    "fairseq_template",
    "gpt2_processor",
    "mpnet_template",
    "roberta_processor",
    "t5_pieces",
    "t5_settings",
    "t5_template",
    "word_piece",
    "xlm_roberta_pieces",
]

Files = Mapping[str, bytes]
Settings = Mapping[str, Any]
Pieces = list[tuple[str, float]]

# -- WordPiece and byte-level BPE ------------------------------------------------------------------------------------


def word_piece(files: Files, settings: Settings) -> RustTokenizer:
    """BERT's: vocab.txt, a token a line, its number the id (a token met twice has the later)."""
    lines = files["vocab.txt"].decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    basic = settings["do_basic_tokenize"]
    tokenizer = RustTokenizer(
        WordPiece({token: index for index, token in enumerate(lines)}, unk_token=str(settings["unk_token"]))
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(basic and settings["tokenize_chinese_chars"]),
        strip_accents=settings["strip_accents"] if basic else False,
        lowercase=bool(basic and settings["do_lower_case"]),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def byte_level_bpe(files: Files, settings: Settings) -> RustTokenizer:
    """GPT-2's: vocab.json, token → id, and merges.txt, a line of version and then a pair a line, best first."""
    vocab = json.loads(files["vocab.json"])
    lines = files["merges.txt"].decode().replace("\r\n", "\n").split("\n")[1:-1]
    merges: Any = list(dict.fromkeys(tuple(line.split()) for line in lines))
    tokenizer = RustTokenizer(
        BPE(vocab=vocab, merges=merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings["add_prefix_space"]))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


# -- sentencepiece ---------------------------------------------------------------------------------------------------


def plain_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """The model's own pieces, in its own order."""
    return [(piece.text, piece.score) for piece in model.pieces]


def plain_normalizer(model: SentencePieceModel, settings: Settings) -> Any:
    """The model's character map; then no spaces at the end, and runs of them as one mark."""
    steps = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    return normalizers.Sequence(
        [*steps, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    )


@dataclass(frozen=True)
class Spm:
    """A builder from a sentencepiece model; what families do differently are its fields.

    pieces: the vocabulary with scores, in the order of the ids.   unk_id: if not the model's own.
    """

    pieces: Callable[[SentencePieceModel, Settings], Pieces] = plain_pieces
    normalizer: Callable[[SentencePieceModel, Settings], Any] = plain_normalizer
    unk_id: int | None = None

    def __call__(self, files: Files, settings: Settings) -> RustTokenizer:
        """The Rust tokenizer of the one model file."""
        ((name, data),) = files.items()
        model = spm.read_model(data, name)
        tokenizer = RustTokenizer(self._rust_model(model, self.pieces(model, settings), name))
        tokenizer.add_tokens(
            [
                AddedToken(piece.text, normalized=False, special=piece.kind == spm.CONTROL)
                for piece in model.pieces
                if piece.kind in (spm.CONTROL, spm.USER_DEFINED)
            ]
        )
        tokenizer.normalizer = self.normalizer(model, settings)
        prefix = "always" if settings.get("legacy", True) else "first"
        if not settings.get("add_prefix_space", True):
            prefix = "never"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prefix)
        tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=prefix)
        return tokenizer

    def _rust_model(self, model: SentencePieceModel, pieces: Pieces, name: str) -> Any:
        if model.model_type == spm.UNIGRAM:
            return Unigram(pieces, unk_id=model.unk_id if self.unk_id is None else self.unk_id, byte_fallback=False)
        if model.model_type == spm.BPE:
            own = {piece.text: index for index, piece in enumerate(model.pieces)}
            vocab = {text: index for index, (text, _) in enumerate(pieces)}
            merges = _merges(own, dict(pieces))
            return BPE(vocab, merges, unk_token=model.unk_piece, fuse_unk=True, byte_fallback=False)
        raise TokenizerError(
            f"{name} is a sentencepiece model of type {model.model_type}; unigram (1) and BPE (2) can be built."
        )


def _merges(vocab: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The merges that a sentencepiece BPE model implies: every split of a piece into two, by the piece's score."""
    merges: list[tuple[str, str, float]] = []
    for piece, score in scores.items():
        splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        known = [(left, right) for left, right in splits if left in vocab and right in vocab]
        known.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        merges += [(left, right, score) for left, right in known]
    merges.sort(key=lambda merge: (merge[2], len(merge[0]), len(merge[1])), reverse=True)
    return [(left, right) for left, right, _ in merges]


def xlm_roberta_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """Fairseq's four first and <mask> last; the model's own first three (<unk>, <s>, </s>) go."""
    return [
        *((token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")),
        *plain_pieces(model, settings)[3:],
        ("<mask>", 0.0),
    ]


def camembert_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """As XLM-R, but the author's dictionary held <s>, </s> and <unk> twice: the second ones are not used."""
    first = (("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0), ("<unk>NOTUSED", -100.0))
    return [*first, *plain_pieces(model, settings)[1:], ("<mask>", 0.0)]


def albert_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """Pieces such as '5,' are put out of reach: ALBERT splits the comma from a number."""
    return [(text, score - 100 if _is_number_comma(text) else score) for text, score in plain_pieces(model, settings)]


def _is_number_comma(text: str) -> bool:
    return len(text) >= 2 and text[-1] == "," and text[-2].isdigit()


def albert_normalizer(model: SentencePieceModel, settings: Settings) -> Any:
    """LaTeX quotes made plain, accents and capitals taken off as the settings say, then the model's character map."""
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not settings["keep_accents"]:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings["do_lower_case"]:
        steps.append(normalizers.Lowercase())
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    return normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])


def t5_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """The model's, then the sentinels, the last first."""
    extra = range(int(settings["extra_ids"]) - 1, -1, -1)
    return [*plain_pieces(model, settings), *((f"<extra_id_{index}>", 0.0) for index in extra)]


def t5_settings(settings: dict[str, Any]) -> None:
    """The sentinels <extra_id_0> … are additional special tokens, unless the files name their own."""
    given = list(settings.get("additional_special_tokens") or [])
    if not any("<extra_id_" in str(token) for token in given):
        given += [f"<extra_id_{index}>" for index in range(int(settings["extra_ids"]))]
    settings["additional_special_tokens"] = given


# -- post-processors: where the special tokens go --------------------------------------------------------------------


def bert_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """[CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second of type 1."""
    cls, sep = str(settings["cls_token"]), str(settings["sep_token"])
    first = [f"{cls}:0", "$A:0", f"{sep}:0"]
    _set_template(tokenizer, first, [*first, "$B:1", f"{sep}:1"], (cls, sep))


def mpnet_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """<s> A </s> and <s> A </s> </s> B </s>."""
    cls, sep = str(settings["cls_token"]), str(settings["sep_token"])
    first = [f"{cls}:0", "$A:0", f"{sep}:0"]
    _set_template(tokenizer, first, [*first, f"{sep}:0", "$B:1", f"{sep}:1"], (cls, sep))


def albert_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """BERT's, whatever the special tokens are called in the settings."""
    bert_template(tokenizer, {"cls_token": "[CLS]", "sep_token": "[SEP]"})


def fairseq_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """<s> A </s> and <s> A </s> </s> B </s>, all of type 0."""
    first = ["<s>", "$A", "</s>"]
    _set_template(tokenizer, first, [*first, "</s>", "$B", "</s>"], ("<s>", "</s>"))


def t5_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """A </s> and A </s> B </s>."""
    _set_template(tokenizer, ["$A", "</s>"], ["$A", "</s>", "$B", "</s>"], ("</s>",))


def roberta_processor(tokenizer: RustTokenizer, settings: Settings) -> None:
    """<s> A </s> and <s> A </s> </s> B </s>; offsets without the space before a word."""
    cls, sep = str(settings["cls_token"]), str(settings["sep_token"])
    ends = ((sep, _id(tokenizer, sep)), (cls, _id(tokenizer, cls)))
    tokenizer.post_processor = processors.RobertaProcessing(*ends, True, bool(settings["add_prefix_space"]))


def gpt2_processor(tokenizer: RustTokenizer, settings: Settings) -> None:
    """Nothing added, unless the settings ask for the first token."""
    if not settings["add_bos_token"]:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return
    bos = str(settings["bos_token"])
    _set_template(tokenizer, [f"{bos}:0", "$A:0"], [f"{bos}:0", "$A:0", "$B:1"], (bos,))


def _set_template(tokenizer: RustTokenizer, single: list[str], pair: list[str], tokens: Iterable[str]) -> None:
    special_tokens = [(token, _id(tokenizer, token)) for token in dict.fromkeys(tokens)]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special_tokens)


def _id(tokenizer: RustTokenizer, token: str) -> int:
    token_id = tokenizer.token_to_id(token)
    if token_id is None:
        raise TokenizerError(f"the vocabulary lacks the special token {token!r}.")
    return token_id
