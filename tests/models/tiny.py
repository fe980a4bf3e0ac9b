"""Tiny configs, several per family, that the goldens and the live comparison with transformers share."""

from __future__ import annotations

from typing import Any

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
