"""What stands on an encoder: small functions over its hidden states. The losses belong to `training`.

A head names its slots under 'head.' and answers with logits; families say only how its weights are called in a
checkpoint and what its activation is.
"""

from __future__ import annotations

from ..ops.base import Array, Ops
from ..weights.slots import LinearSlot, NormSlot, Slot, Tree
from .norms import normed

__all__ = [
    "classifier",
    "classifier_slots",
    "language_model",
    "language_model_slots",
    "per_token",
    "per_token_slots",
    "pooler",
    "pooler_slots",
]


def pooler_slots(hidden_size: int) -> dict[str, Slot]:
    """The weights of `pooler`."""
    return {"pooler": LinearSlot(hidden_size, hidden_size)}


def pooler(ops: Ops, w: Tree, first: Array) -> Array:
    """BERT's pooled output, [sequences, hidden], of the hidden states of the first tokens."""
    return ops.linear(first, w.pooler, activation="tanh")


def classifier_slots(hidden_size: int, num_labels: int) -> dict[str, Slot]:
    """The weights of `classifier`."""
    return {"head.dense": LinearSlot(hidden_size, hidden_size), "head.output": LinearSlot(num_labels, hidden_size)}


def classifier(ops: Ops, w: Tree, first: Array, activation: str) -> Array:
    """Logits [sequences, labels] of the hidden states [sequences, hidden] of the first tokens."""
    return ops.linear(ops.linear(first, w.head.dense, activation=activation), w.head.output)


def per_token_slots(hidden_size: int, num_outputs: int) -> dict[str, Slot]:
    """The weights of `per_token`."""
    return {"head.output": LinearSlot(num_outputs, hidden_size)}


def per_token(ops: Ops, w: Tree, hidden: Array) -> Array:
    """Logits [tokens, outputs]: a label's for each token, or an answer's start and end."""
    return ops.linear(hidden, w.head.output)


def language_model_slots(hidden_size: int, embedding_size: int, vocab_size: int) -> dict[str, Slot]:
    """The weights of `language_model`; 'head.decoder' is as a rule the table of token embeddings."""
    return {
        "head.dense": LinearSlot(embedding_size, hidden_size),
        "head.norm": NormSlot(embedding_size),
        "head.decoder": LinearSlot(vocab_size, embedding_size),
    }


def language_model(ops: Ops, w: Tree, hidden: Array, activation: str, norm_epsilon: float) -> Array:
    """Logits [tokens, vocab] of a masked language model."""
    x = normed(ops, ops.linear(hidden, w.head.dense, activation=activation), w.head.norm, norm_epsilon)
    return ops.linear(x, w.head.decoder)
