"""What stands on a stack: small functions over its hidden states. The losses belong to `training`.

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
    "masked_lm",
    "masked_lm_slots",
    "output",
    "output_slots",
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
    dense = ops.linear(ops.drop(first, "head_input"), w.head.dense, activation=activation)
    return ops.linear(ops.drop(dense, "head"), w.head.output)


def output_slots(hidden_size: int, num_outputs: int, bias: bool = True) -> dict[str, Slot]:
    """The weights of `output`."""
    return {"head.output": LinearSlot(num_outputs, hidden_size, bias)}


def output(ops: Ops, w: Tree, hidden: Array) -> Array:
    """Logits [n, outputs] of hidden states [n, hidden]: a label's, or an answer's start and end."""
    return ops.linear(ops.drop(hidden, "head"), w.head.output)


def masked_lm_slots(hidden_size: int, embedding_size: int, vocab_size: int) -> dict[str, Slot]:
    """The weights of `masked_lm`; 'head.decoder' is as a rule the table of token embeddings."""
    return {
        "head.dense": LinearSlot(embedding_size, hidden_size),
        "head.norm": NormSlot(embedding_size),
        **language_model_slots(embedding_size, vocab_size),
    }


def masked_lm(ops: Ops, w: Tree, hidden: Array, activation: str, norm_epsilon: float) -> Array:
    """Logits [tokens, vocab] of a masked language model."""
    x = normed(ops, ops.linear(hidden, w.head.dense, activation=activation), w.head.norm, norm_epsilon)
    return language_model(ops, w, x)


def language_model_slots(hidden_size: int, vocab_size: int, bias: bool = True) -> dict[str, Slot]:
    """The weights of `language_model`."""
    return {"head.decoder": LinearSlot(vocab_size, hidden_size, bias)}


def language_model(ops: Ops, w: Tree, hidden: Array) -> Array:
    """Logits [n, vocab] of hidden states [n, hidden]."""
    return ops.linear(hidden, w.head.decoder)
