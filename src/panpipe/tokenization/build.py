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
from .tokenizer_json import MAX_ID

__all__ = [
    "Spm",
    "albert_normalizer",
    "albert_pieces",
    "albert_template",
    "begin_and_end_template",
    "bert_template",
    "byte_level_bpe",
    "camembert_pieces",
    "fairseq_pieces",
    "fairseq_template",
    "gemma_decoder",
    "gemma_normalizer",
    "gemma_pieces",
    "gemma_pre_tokenizer",
    "gpt2_processor",
    "llama_decoder",
    "llama_normalizer",
    "llama_pieces",
    "llama_pre_tokenizer",
    "mbart_pieces",
    "merges_of",
    "mpnet_template",
    "pegasus_pieces",
    "pegasus_pre_tokenizer",
    "pegasus_settings",
    "pegasus_template",
    "qwen_bpe",
    "read_vocabulary",
    "roberta_processor",
    "t5_pieces",
    "t5_settings",
    "t5_template",
    "word_end_bpe",
    "word_piece",
    "xlm_roberta_pieces",
]

Files = Mapping[str, bytes]
Settings = Mapping[str, Any]
Pieces = list[tuple[str, float]]
_MAX_EXTRA = 100_000  # tokens that a setting asks for
_ADDITIONAL = "additional_special_tokens"

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
    tokenizer = RustTokenizer(_bpe(files))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings["add_prefix_space"]))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def qwen_bpe(files: Files, settings: Settings) -> RustTokenizer:
    """Qwen2's: byte-level too, over composed characters, words cut by a rule of its own (each digit alone)."""
    tokenizer = RustTokenizer(_bpe(files))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated", invert=False)
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings["add_prefix_space"]), use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


_QWEN_WORDS = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def word_end_bpe(files: Files, settings: Settings) -> RustTokenizer:
    """The first GPT's: BERT's words in lower case, their last piece marked with </w>."""
    unknown = str(settings["unk_token"])
    tokenizer = RustTokenizer(_bpe(files, unk_token=unknown, end_of_word_suffix="</w>"))
    if tokenizer.token_to_id(unknown) is not None:
        tokenizer.add_special_tokens([unknown])
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


def _bpe(files: Files, end_of_word_suffix: str = "", **options: Any) -> BPE:
    """From vocab.json, token → id, and merges.txt, a line of version and then a pair a line, best first."""
    lines = files["merges.txt"].decode().replace("\r\n", "\n").split("\n")[1:-1]
    merges: Any = list(dict.fromkeys(tuple(line.split()) for line in lines))
    vocab = read_vocabulary("vocab.json", files["vocab.json"])
    return BPE(
        vocab=vocab,
        merges=merges,
        continuing_subword_prefix="",
        end_of_word_suffix=end_of_word_suffix,
        fuse_unk=False,
        **options,
    )


def read_vocabulary(name: str, data: bytes) -> dict[str, int]:
    """A vocab.json: token → id.   Raises TokenizerError."""
    try:
        vocabulary = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{name} is no JSON: {error}.") from None
    if not isinstance(vocabulary, dict):
        raise TokenizerError(f"{name} must hold an object of token and id, not {type(vocabulary).__name__}.")
    for token, index in vocabulary.items():
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= MAX_ID:
            raise TokenizerError(f"{name} gives the token {token!r:.60} the id {index!r:.40}; ids are 0 … {MAX_ID}.")
    return vocabulary


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

    pieces: the vocabulary with scores, in the order of the ids.   unk_id: if not the model's own; unk_offset: the
    setting that is added to it.   pre_tokenizer, decoder: None for the usual ones, whose words begin with ▁.
    byte_fallback: characters that are no piece become bytes.   special: user-defined pieces that are special tokens.
    """

    pieces: Callable[[SentencePieceModel, Settings], Pieces] = plain_pieces
    normalizer: Callable[[SentencePieceModel, Settings], Any] = plain_normalizer
    unk_id: int | None = None
    unk_offset: str | None = None
    pre_tokenizer: Callable[[Settings], Any] | None = None
    decoder: Callable[[Settings], Any] | None = None
    byte_fallback: bool = False
    special: frozenset[str] = frozenset()

    def __call__(self, files: Files, settings: Settings) -> RustTokenizer:
        """The Rust tokenizer of the one model file."""
        ((name, data),) = files.items()
        model = spm.read_model(data, name)
        tokenizer = RustTokenizer(self._rust_model(model, settings, name))
        tokenizer.add_tokens(
            [
                AddedToken(
                    piece.text, normalized=False, special=piece.kind == spm.CONTROL or piece.text in self.special
                )
                for piece in model.pieces
                if piece.kind in (spm.CONTROL, spm.USER_DEFINED)
            ]
        )
        tokenizer.normalizer = self.normalizer(model, settings)
        prefix = _prefix(settings)
        words = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prefix)
        tokenizer.pre_tokenizer = words if self.pre_tokenizer is None else self.pre_tokenizer(settings)
        text = decoders.Metaspace(replacement="▁", prepend_scheme=prefix)
        tokenizer.decoder = text if self.decoder is None else self.decoder(settings)
        return tokenizer

    def _rust_model(self, model: SentencePieceModel, settings: Settings, name: str) -> Any:
        pieces = self.pieces(model, settings)
        if model.model_type == spm.UNIGRAM:
            unknown = model.unk_id if self.unk_id is None else self.unk_id
            unknown += _number(settings, self.unk_offset) if self.unk_offset is not None else 0
            return Unigram(pieces, unk_id=unknown, byte_fallback=self.byte_fallback)
        if model.model_type == spm.BPE:
            own = {piece.text: index for index, piece in enumerate(model.pieces)}
            vocab = {text: index for index, (text, _) in enumerate(pieces)}
            if dict(pieces).get("\t") is not None and "\t" not in own:
                own["\t"] = own["<0x09>"]  # see gemma_pieces
            merges = merges_of(own, dict(pieces))
            return BPE(vocab, merges, unk_token=model.unk_piece, fuse_unk=True, byte_fallback=self.byte_fallback)
        raise TokenizerError(
            f"{name} is a sentencepiece model of type {model.model_type}; unigram (1) and BPE (2) can be built."
        )


def _prefix(settings: Settings) -> str:
    """Which words get a ▁ in front that the text has no space for."""
    if not settings.get("add_prefix_space", True):
        return "never"
    return "always" if _is_legacy(settings) else "first"


def _is_legacy(settings: Settings) -> bool:
    """The setting of T5 and Llama; true where it is null."""
    return settings.get("legacy") in (None, True)


def merges_of(vocab: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The merges that a sentencepiece BPE model implies: every split of a piece into two, by the piece's score."""
    merges: list[tuple[str, str, float]] = []
    for piece, score in scores.items():
        splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        known = [(left, right) for left, right in splits if left in vocab and right in vocab]
        known.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        merges += [(left, right, score) for left, right in known]
    merges.sort(key=lambda merge: (merge[2], len(merge[0]), len(merge[1])), reverse=True)
    return [(left, right) for left, right, _ in merges]


def fairseq_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """Fairseq's four first; the model's own first three (<unk>, <s>, </s>) go."""
    first = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return first + plain_pieces(model, settings)[3:]


def xlm_roberta_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """Fairseq's, and <mask> last."""
    return [*fairseq_pieces(model, settings), ("<mask>", 0.0)]


def mbart_pieces(codes: Iterable[str]) -> Callable[[SentencePieceModel, Settings], Pieces]:
    """Fairseq's, then the languages and <mask>."""
    last = [*((code, 0.0) for code in codes), ("<mask>", 0.0)]
    return lambda model, settings: fairseq_pieces(model, settings) + last


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
    extra = range(_number(settings, "extra_ids") - 1, -1, -1)
    return [*plain_pieces(model, settings), *((f"<extra_id_{index}>", 0.0) for index in extra)]


def _number(settings: Settings, name: str) -> int:
    """A setting that says how many tokens there are.   Raises TokenizerError."""
    number = settings[name]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MAX_EXTRA:
        raise TokenizerError(f"{name} must be a whole number up to {_MAX_EXTRA}, not {number!r:.40}.")
    return number


def t5_settings(settings: dict[str, Any]) -> None:
    """The sentinels <extra_id_0> … are additional special tokens, unless the files name their own."""
    given = list(settings.get(_ADDITIONAL) or [])
    if not any("<extra_id_" in str(token) for token in given):
        given += [f"<extra_id_{index}>" for index in range(_number(settings, "extra_ids"))]
    settings[_ADDITIONAL] = given


def pegasus_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """<pad>, </s>, the masks and the tokens of pretraining before the model's own, less its first two."""
    offset = _number(settings, "offset")
    masks = [str(settings[key]) for key in ("mask_token_sent", "mask_token") if settings[key] is not None]
    first = [(token, 0.0) for token in (str(settings["pad_token"]), str(settings["eos_token"]), *masks)]
    unused = [(f"<unk_{index}>", -100.0) for index in range(2, offset)]
    return [*first, *unused, *plain_pieces(model, settings)[2:]]


def pegasus_settings(settings: dict[str, Any]) -> None:
    """The tokens of pretraining are additional special tokens: the mask of sentences, <unk_2> … <unk_102>.

    The class has no other added tokens, whatever its files say.
    """
    settings["added_tokens_decoder"] = {}
    sentence, offset, given = settings["mask_token_sent"], _number(settings, "offset"), settings.get(_ADDITIONAL)
    first = [] if sentence is None else [sentence]
    if given is None:
        settings[_ADDITIONAL] = [*first, *(f"<unk_{index}>" for index in range(2, offset))]
        return
    tokens = [*first, *given] if sentence not in given else list(given)
    settings[_ADDITIONAL] = [*tokens, *(f"<unk_{index}>" for index in range(len(tokens), offset - 1))]


def pegasus_pre_tokenizer(settings: Settings) -> Any:
    """Words between spaces of any kind."""
    words = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=_prefix(settings))
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), words])


def llama_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """The model's; the first three are never met in a text."""
    pieces = plain_pieces(model, settings)
    return [*((text, 0.0) for text, _ in pieces[:3]), *pieces[3:]]


def llama_normalizer(model: SentencePieceModel, settings: Settings) -> Any:
    """Spaces as ▁, and one in front of every stretch of text: the legacy way. The later one does it in words."""
    if not _is_legacy(settings):
        return None
    prefix = [normalizers.Prepend("▁")] if _has_prefix(settings) else []
    return normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])


def llama_pre_tokenizer(settings: Settings) -> Any:
    """The text as one word, with a ▁ in front of the first stretch alone: the way after the legacy one."""
    if _is_legacy(settings):
        return None
    scheme = "first" if _has_prefix(settings) else "never"
    return pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)


def llama_decoder(settings: Settings) -> Any:
    """Bytes put together again, and the first space taken off if it was put there."""
    first = [decoders.Strip(content=" ", left=1)] if _has_prefix(settings) else []
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *first])


def _has_prefix(settings: Settings) -> bool:
    return bool(settings.get("add_prefix_space", True))


def gemma_pieces(model: SentencePieceModel, settings: Settings) -> Pieces:
    """The special tokens under their names; the byte of a tab is the tab itself where there is no such piece."""
    first = [(str(settings[key]), 0.0) for key in ("pad_token", "eos_token", "bos_token")]
    pieces = [*first, *plain_pieces(model, settings)[3:]]
    texts = [text for text, _ in pieces]
    if "\t" not in texts and "<0x09>" in texts:
        pieces[texts.index("<0x09>")] = ("\t", 0.0)
    return pieces


def gemma_normalizer(model: SentencePieceModel, settings: Settings) -> Any:
    """Spaces as ▁, and none added."""
    return normalizers.Replace(" ", "▁")


def gemma_pre_tokenizer(settings: Settings) -> Any:
    """Nothing is left to split: the normalizer took the spaces. As in the tokenizer.json of that family."""
    return pre_tokenizers.Split(" ", "merged_with_previous")


def gemma_decoder(settings: Settings) -> Any:
    """Spaces and bytes put back."""
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])


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


def pegasus_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """A </s> and A B </s>."""
    eos = str(settings["eos_token"])
    _set_template(tokenizer, ["$A", eos], ["$A", "$B", eos], (eos,))


def begin_and_end_template(tokenizer: RustTokenizer, settings: Settings) -> None:
    """<s> A </s> and <s> A </s> <s> B </s>, the second of type 1; each of the two tokens only if the settings ask."""
    bos, eos = settings.get("bos_token"), settings.get("eos_token")
    before = [str(bos)] if settings["add_bos_token"] and bos is not None else []
    after = [str(eos)] if settings["add_eos_token"] and eos is not None else []
    single = [f"{token}:0" for token in (*before, "$A", *after)]
    pair = [*single, *(f"{token}:1" for token in (*before, "$B", *after))]
    _set_template(tokenizer, single, pair, (*before, *after))


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
