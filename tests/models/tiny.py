"""Tiny configs, several per family, that the goldens and the live comparison with transformers share."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

SMALL = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 36,
    "initializer_range": 0.2,
    "num_labels": 3,
}
SMALL_DISTILBERT = {
    "vocab_size": 61,
    "dim": 24,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 40,
    "max_position_embeddings": 36,
    "initializer_range": 0.2,
    "num_labels": 3,
}

SMALL_GPT2 = {
    "vocab_size": 61,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 3,
    "n_positions": 36,
    "initializer_range": 0.2,
    "num_labels": 3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SMALL_LLAMA = SMALL | {"num_attention_heads": 3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL_BART = {
    "vocab_size": 61,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 36,
    "init_std": 0.2,
    "num_labels": 3,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "forced_eos_token_id": None,
}
SMALL_T5 = {
    "vocab_size": 61,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 3,
    "num_labels": 3,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", SMALL),
    "bert-one-label-tanh-gelu": ("bert", SMALL | {"num_labels": 1, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5}),
    "bert-untied-relu": ("bert", SMALL | {"tie_word_embeddings": False, "hidden_act": "relu", "type_vocab_size": 1}),
    "distilbert": ("distilbert", SMALL_DISTILBERT),
    "distilbert-relu": ("distilbert", SMALL_DISTILBERT | {"activation": "relu", "n_layers": 1, "num_labels": 5}),
    "roberta": ("roberta", SMALL | {"type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "roberta-padding-zero": ("roberta", SMALL | {"pad_token_id": 0}),
    "xlm-roberta": ("xlm-roberta", SMALL | {"type_vocab_size": 1}),
    "camembert": ("camembert", SMALL | {"type_vocab_size": 1}),
    "electra": ("electra", SMALL | {"embedding_size": 16}),
    "electra-wide": ("electra", SMALL | {"embedding_size": 24, "hidden_act": "gelu_new"}),
    "albert": ("albert", SMALL | {"embedding_size": 16}),
    "albert-two-groups": (
        "albert",
        SMALL | {"embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2, "hidden_act": "gelu"},
    ),
    "mpnet": ("mpnet", SMALL),
    "mpnet-long": ("mpnet", SMALL | {"max_position_embeddings": 300}),
    "gpt2": ("gpt2", SMALL_GPT2),
    "gpt2-untied-scaled": (
        "gpt2",
        SMALL_GPT2
        | {"tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False}
        | {"n_inner": 20, "activation_function": "relu"},
    ),
    "openai-gpt": ("openai-gpt", SMALL_GPT2),
    "llama": ("llama", SMALL_LLAMA),
    "llama-grouped-biased": (
        "llama",
        SMALL_LLAMA
        | {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 6, "attention_bias": True, "mlp_bias": True},
    ),
    "llama-tied-llama3": (
        "llama",
        SMALL_LLAMA
        | {"tie_word_embeddings": True, "rope_theta": 500.0, "num_key_value_heads": 1}
        | {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "llama-linear": ("llama", SMALL_LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "llama-yarn": (
        "llama",
        SMALL_LLAMA | {"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 18}},
    ),
    "mistral": ("mistral", SMALL_LLAMA | {"num_key_value_heads": 3, "sliding_window": None}),
    "mistral-window": ("mistral", SMALL_LLAMA | {"num_key_value_heads": 1, "sliding_window": 7}),
    "qwen2": ("qwen2", SMALL_LLAMA | {"num_key_value_heads": 1}),
    "qwen2-window": (
        "qwen2",
        SMALL_LLAMA
        | {"num_key_value_heads": 3, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}
        | {"tie_word_embeddings": True},
    ),
    "qwen3": ("qwen3", SMALL_LLAMA | {"num_key_value_heads": 1, "head_dim": 10}),
    "qwen3-biased": ("qwen3", SMALL_LLAMA | {"num_key_value_heads": 3, "head_dim": 4, "attention_bias": True}),
    "smollm3": ("smollm3", SMALL_LLAMA | {"num_key_value_heads": 1, "num_hidden_layers": 4}),
    "smollm3-window": (
        "smollm3",
        SMALL_LLAMA
        | {"num_key_value_heads": 3, "no_rope_layers": [0, 1], "use_sliding_window": True, "sliding_window": 6},
    ),
    "bart": ("bart", SMALL_BART),
    "bart-scaled-uneven": (
        "bart",
        SMALL_BART
        | {"scale_embedding": True, "decoder_layers": 1, "decoder_ffn_dim": 12, "decoder_attention_heads": 2}
        | {"activation_function": "relu"},
    ),
    "mbart": ("mbart", SMALL_BART | {"scale_embedding": True}),
    "marian": ("marian", SMALL_BART | {"scale_embedding": True, "activation_function": "swish"}),
    "marian-two-vocabularies": (
        "marian",
        SMALL_BART
        | {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 61, "tie_word_embeddings": False},
    ),
    "pegasus": ("pegasus", SMALL_BART | {"scale_embedding": True}),
    "m2m_100": ("m2m_100", SMALL_BART),
    "t5": ("t5", SMALL_T5),
    "t5-gated-untied": (
        "t5",
        SMALL_T5
        | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "d_kv": 5, "num_decoder_layers": 1},
    ),
    "t5-few-buckets": (
        "t5",
        SMALL_T5 | {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 12},
    ),
    "mt5": ("mt5", SMALL_T5 | {"feed_forward_proj": "gated-silu"}),
}
"""name -> (model_type, keys of the config)."""

HEADS = {
    "base": "AutoModel",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
}
"""our name of a head -> the class that makes it, here and in transformers."""


ORACLE_OPTIONS: dict[str, dict[str, Any]] = {"gpt2-untied-scaled": {"attn_implementation": "eager"}}
"""transformers' faster attention for GPT-2 passes over the config's scale_attn_*, which its plain one heeds."""


def heads_of(name: str) -> list[str]:
    """The heads of a config's family."""
    from panpipe.models import FAMILIES

    return list(FAMILIES[CONFIGS[name][0]].heads)


EACH = [(name, head) for name in CONFIGS for head in heads_of(name)]


def made(name: str, head: str, engine: str | None = None) -> Any:
    """A model whose weights are a formula, the same on every machine and with every NumPy."""
    from panpipe.models import CONFIGS as CONFIG_CLASSES
    from panpipe.models import FAMILIES, Model, class_named
    from panpipe.models.loading import Stored, tied_together
    from panpipe.ops import get_ops

    model_type, keys = CONFIGS[name]
    config_class = next(c for c in CONFIG_CLASSES.values() if c.model_type == model_type)
    config = config_class.from_dict(keys | ({"num_labels": 2} if head == "question-answering" else {}))
    family = FAMILIES[model_type]
    slots = family.slots(config, head)
    tensors: dict[str, dict[str, np.ndarray[Any, Any]]] = {
        slot: {part: _tensor(kind, f"{slot}.{part}", shape) for part, shape in kind.shapes().items()}
        for slot, kind in slots.items()
    }
    tensors = tied_together(family, config, head, tensors)
    model: Model = class_named(family, model_type, head)(
        config, Stored(slots, tensors.__getitem__), ops=get_ops(engine)
    )
    return model


def _tensor(kind: Any, name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    formula = getattr(kind, "formula", None)
    return _wave(name, shape) if formula is None else formula()


def _wave(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    frequency = 1.0 + sum(name.encode()) % 97 / 61.0
    values = np.sin(np.arange(int(np.prod(shape))) * frequency + len(name)) * 0.4
    return (values + (1.0 if "norm" in name and name.endswith("weight") else 0.0)).reshape(shape).astype(np.float32)


def is_encoder_decoder(name: str) -> bool:
    """Is the config's family one of encoders and decoders?"""
    from panpipe.models import FAMILIES

    return FAMILIES[CONFIGS[name][0]].is_encoder_decoder


def rectangle(name: str, seed: int, head: str = "") -> dict[str, np.ndarray[Any, Any]]:
    """Four rows of ids, of different lengths (one of a single token), padded on the right.

    What encoder-decoders read ends with eos; with a head that does not shift it, the decoder is given some ids too.
    """
    keys = CONFIGS[name][1]
    generator = random.Random(seed)
    longest = 290 if "long" in name else 30
    lengths = (longest, 1, longest // 2, longest - 1)
    padding = keys.get("pad_token_id", 1 if "roberta" in name or name.startswith(("camembert", "mpnet")) else 0)
    given = _rows(generator, lengths, padding, keys["vocab_size"])
    if is_encoder_decoder(name):
        for row, length in enumerate(lengths):
            given["input_ids"][row, length - 1] = keys["eos_token_id"]
        if head in ("base", "seq2seq-lm"):
            vocab = keys.get("decoder_vocab_size", keys["vocab_size"])
            given["decoder_input_ids"] = _rows(generator, (9, 9, 9, 9), padding, vocab)["input_ids"]
    if CONFIGS[name][0] in ("bert", "electra", "albert") and keys.get("type_vocab_size", 2) > 1:
        given["token_type_ids"] = np.array([[generator.randrange(2) for _ in range(longest)] for _ in range(4)])
    return given


def _rows(
    generator: random.Random, lengths: tuple[int, ...], padding: int, vocab: int
) -> dict[str, np.ndarray[Any, Any]]:
    ids = np.full((len(lengths), max(lengths)), padding)
    mask = np.zeros(ids.shape, np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = [generator.randrange(5, vocab) for _ in range(length)]
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}
