"""Models with random weights, to be trained from nothing: a family's config in a size that is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, did_you_mean
from ..models import CONFIGS, FAMILIES, AutoConfig, Config, Model, class_named
from ..tokenization import Tokenizer

__all__ = ["SIZES", "scratch_model"]

SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "medium": (8, 512), "base": (12, 768)}
"""(layers, hidden size), as Turc et al. 2019 (arXiv:1908.08962) have them."""

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers")
_HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
_HEADS = (
    *("num_attention_heads", "n_head", "n_heads", "num_heads"),
    *("encoder_attention_heads", "decoder_attention_heads", "num_key_value_heads"),
)
_INNER = ("intermediate_size", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim", "d_ff")
_OF_A_HEAD = ("head_dim", "d_kv")
_HEAD_SIZE = 64


def scratch_model(
    said: str, head: str, tokenizer: Tokenizer, like: str | None, seed: int, changes: dict[str, Any]
) -> Model:
    """A model with that head and random weights.

    said: a config.json (or its folder); a size, of the family of `like`; or a family and a size: "gpt2:tiny".
    tokenizer: says the size of the vocabulary, and the special tokens.   like: a folder or model id, for its config.
    changes: laid over the config.   Raises InvalidArgument, CheckpointError's kinds.
    """
    if Path(said).exists():
        folder = Path(said)
        config = AutoConfig.from_pretrained(folder.parent if folder.is_file() else folder)
    else:
        config = _sized(said, like)
    values = {**_of_tokenizer(tokenizer, config), **changes}
    config = config.from_dict({**config.to_dict(), "architectures": None}, **values)
    return class_named(FAMILIES[config.model_type], config.model_type, head).from_config(config, seed=seed)


def _sized(said: str, like: str | None) -> Config:
    family, _, size = said.rpartition(":")
    if size not in SIZES:
        raise InvalidArgument(
            f"from_scratch is {said!r}; it must be a config.json, a size ({', '.join(SIZES)}), or a family and a size "
            f"(gpt2:tiny).{did_you_mean(size, SIZES)}"
        )
    if family:
        by_type = {config.model_type: config for config in CONFIGS.values()}
        if family not in by_type:
            raise InvalidArgument(
                f"there is no family {family!r}.{did_you_mean(family, by_type)} {', '.join(by_type)}."
            )
        config = by_type[family]()
    elif like is None:
        raise InvalidArgument(f"of which family is the {size} model to be? Name it: from_scratch='gpt2:{size}'.")
    else:
        config = AutoConfig.from_pretrained(like)
    layers, hidden = SIZES[size]
    known = {field.name for field in dataclasses.fields(config)}
    values = {
        **dict.fromkeys(_LAYERS, layers),
        **dict.fromkeys(_HIDDEN, hidden),
        **dict.fromkeys(_HEADS, hidden // _HEAD_SIZE),
        **dict.fromkeys(_INNER, 4 * hidden),
        **dict.fromkeys(_OF_A_HEAD, _HEAD_SIZE),
    }
    return config.from_dict({**config.to_dict(), **{name: v for name, v in values.items() if name in known}})


def _of_tokenizer(tokenizer: Tokenizer, config: Config) -> dict[str, Any]:
    """The size of the vocabulary, and the special tokens."""
    known = {field.name for field in dataclasses.fields(config)}
    special = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    values = {name: token_id for name, token_id in special.items() if token_id is not None}
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        is_there = start is not None and start < len(tokenizer)
        values["decoder_start_token_id"] = start if is_there else next(iter(values.values()), 0)
    sizes = {name: len(tokenizer) for name in ("vocab_size", "decoder_vocab_size") if name in known}
    return values | sizes
