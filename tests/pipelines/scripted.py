"""A model that says what the test wants, and small tokenizers of each kind."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Rust
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from panpipe.tokenization import Tokenizer

SPECIALS = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def wordpiece(*pieces: str, lowercase: bool = False, **settings: Any) -> Tokenizer:
    """BERT's tokenizer with these pieces."""
    rust = Rust(
        models.WordPiece({token: i for i, token in enumerate([*SPECIALS.values(), *pieces])}, unk_token="[UNK]")
    )
    rust.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.decoder = decoders.WordPiece()
    return _finished(rust, settings)


def unigram(*pieces: str, **settings: Any) -> Tokenizer:
    """XLM-R's kind of tokenizer, with these pieces: whitespace alone makes its words."""
    scores = [(token, 0.0) for token in SPECIALS.values()] + [(piece, -1.0 - len(pieces) * 1e-3) for piece in pieces]
    rust = Rust(models.Unigram(scores, 0))
    rust.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    rust.decoder = decoders.Metaspace()
    return _finished(rust, settings)


def _finished(rust: Rust, settings: dict[str, Any]) -> Tokenizer:
    ends = [(token, rust.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    rust.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    return Tokenizer(tokenizer_object=rust, **SPECIALS, **settings)


class Scripted:
    """A model whose rows of logits are a function of each token's text.   calls: how often it ran."""

    name_or_path = "scripted"

    def __init__(
        self,
        tokenizer: Tokenizer,
        head: str,
        logits_of: Callable[[str], list[float]],
        labels: list[str] | None = None,
        max_length: int = 512,
    ) -> None:
        self.head = head
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.logits_of = logits_of
        self.calls: list[tuple[int, int]] = []
        names = labels or ["LABEL_0", "LABEL_1"]
        self.config = SimpleNamespace(
            model_type="bert",
            vocab_size=len(tokenizer),
            type_vocab_size=2,
            id2label=dict(enumerate(names)),
            num_labels=len(names),
        )

    def forward(self, batch: Any, rows: Any = None) -> Any:
        ids = batch.token_ids if rows is None else batch.token_ids[rows]
        self.calls.append((len(batch.token_ids), len(ids)))
        return np.array(
            [self.logits_of(token) for token in self.tokenizer.convert_ids_to_tokens(ids.tolist())], np.float32
        )


def tagger(tokenizer: Tokenizer, tags: dict[str, str], labels: list[str], **settings: Any) -> Scripted:
    """A token classifier: the label of each token by its text, 'O' where it is not named."""

    def logits_of(token: str) -> list[float]:
        return [4.0 if label == tags.get(token, "O") else 0.0 for label in labels]

    return Scripted(tokenizer, "token-classification", logits_of, labels, **settings)


def reader(tokenizer: Tokenizer, start: dict[str, float], end: dict[str, float], **settings: Any) -> Scripted:
    """A question answerer: the start and end logits of each token by its text, -5 where it is not named."""
    return Scripted(
        tokenizer, "question-answering", lambda token: [start.get(token, -5.0), end.get(token, -5.0)], **settings
    )
