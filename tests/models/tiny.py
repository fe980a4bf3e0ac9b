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
}
"""name -> (model_type, keys of the config)."""

HEADS = {
    "base": "AutoModel",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}
"""our name of a head -> the class that makes it, here and in transformers."""


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
        slot: {part: _wave(f"{slot}.{part}", shape) for part, shape in kind.shapes().items()}
        for slot, kind in slots.items()
    }
    tensors = tied_together(family, config, head, tensors)
    model: Model = class_named(family, model_type, head)(
        config, Stored(slots, tensors.__getitem__), ops=get_ops(engine)
    )
    return model


def _wave(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    frequency = 1.0 + sum(name.encode()) % 97 / 61.0
    values = np.sin(np.arange(int(np.prod(shape))) * frequency + len(name)) * 0.4
    return (values + (1.0 if "norm" in name and name.endswith("weight") else 0.0)).reshape(shape).astype(np.float32)


def rectangle(name: str, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Four rows of ids, of different lengths (one of a single token), padded on the right."""
    keys = CONFIGS[name][1]
    generator = random.Random(seed)
    longest = 290 if "long" in name else 30
    lengths = (longest, 1, longest // 2, longest - 1)
    padding = keys.get("pad_token_id", 1 if "roberta" in name or name.startswith(("camembert", "mpnet")) else 0)
    ids = np.full((4, longest), padding)
    mask = np.zeros((4, longest), np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = [generator.randrange(5, keys["vocab_size"]) for _ in range(length)]
        mask[row, :length] = 1
    given = {"input_ids": ids, "attention_mask": mask}
    if CONFIGS[name][0] in ("bert", "electra", "albert") and keys.get("type_vocab_size", 2) > 1:
        given["token_type_ids"] = np.array([[generator.randrange(2) for _ in range(longest)] for _ in range(4)])
    return given
