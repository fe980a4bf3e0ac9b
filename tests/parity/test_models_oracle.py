"""Live: random models of transformers, loaded here, answer alike; and what we save, transformers opens.

The tolerance is float32's: sums in another order, over widths of some dozens, through a few layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.tiny import CONFIGS, EACH, HEADS, ORACLE_OPTIONS, heads_of, rectangle

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")

import panpipe.models as ours  # noqa: E402
from panpipe.batch import Batch  # noqa: E402

pytestmark = pytest.mark.oracle

TOLERANCE = 2e-5


def oracle_model(name: str, head: str, seed: int) -> Any:
    model_type, keys = CONFIGS[name]
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(model_type, **keys)
    if head == "question-answering":
        config.num_labels = 2
    model = getattr(transformers, HEADS[head]).from_config(config, **ORACLE_OPTIONS.get(name, {})).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases too: zeros would hide a missing one
            if parameter.requires_grad:  # computed positions stay
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def tensors(name: str, seed: int, head: str = "") -> dict[str, Any]:
    return {key: torch.tensor(values) for key, values in rectangle(name, seed, head).items()}


@pytest.mark.parametrize("engine", ["reference", "native", "torch"])
@pytest.mark.parametrize(("name", "head"), EACH)
def test_outputs_equal_transformers(name: str, head: str, engine: str, tmp_path: Path) -> None:
    theirs = oracle_model(name, head, seed=1)
    theirs.save_pretrained(tmp_path / "theirs")
    mine = getattr(ours, HEADS[head]).from_pretrained(tmp_path / "theirs", engine=engine)
    given = tensors(name, 2, head)
    with torch.no_grad():
        expected = theirs(**given, output_hidden_states=True)
    got = mine(**given, output_hidden_states=True)
    assert type(mine).__name__ == type(theirs).__name__
    kept = given["attention_mask"].numpy().astype(bool)
    for key in ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits"):
        if expected.get(key) is None:
            assert key not in got
            continue
        a, b = expected[key].numpy(), got[key].numpy()
        if a.shape[:2] == kept.shape:
            a, b = a[kept], b[kept]
        np.testing.assert_allclose(b, a, atol=TOLERANCE * max(1, np.abs(a).max()))
    for key in ("hidden_states", "encoder_hidden_states", "decoder_hidden_states"):
        for a, b in zip(expected.get(key) or (), got.get(key, ()), strict=True):
            there = kept if a.shape[:2] == kept.shape else np.ones(a.shape[:2], bool)
            scale = max(1, np.abs(a.numpy()[there]).max())
            np.testing.assert_allclose(b.numpy()[there], a.numpy()[there], atol=TOLERANCE * 10 * scale)

    mine.save_pretrained(tmp_path / "mine")
    again, report = getattr(transformers, HEADS[head]).from_pretrained(tmp_path / "mine", output_loading_info=True)
    assert report["missing_keys"] == [] and report["unexpected_keys"] == [] and report["mismatched_keys"] == []
    for (key, a), (_, b) in zip(sorted(theirs.state_dict().items()), sorted(again.state_dict().items()), strict=True):
        assert torch.equal(a, b), key


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_attentions_equal_transformers(name: str, tmp_path: Path) -> None:
    model_type, keys = CONFIGS[name]
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type, **keys, attn_implementation="eager")
    theirs = transformers.AutoModel.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    given = tensors(name, seed=4)
    expected = theirs(**given, output_attentions=True).attentions
    got = ours.AutoModel.from_pretrained(tmp_path)(**given, output_attentions=True).attentions
    kept = given["attention_mask"].numpy().astype(bool)
    for a, b in zip(expected, got, strict=True):
        rows = np.broadcast_to(kept[:, None, :], b.shape[:3])
        np.testing.assert_allclose(b.numpy()[rows], a.detach().numpy()[rows], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "mpnet"])
def test_a_base_checkpoint_serves_every_head_but_never_in_silence(name: str, tmp_path: Path) -> None:
    from panpipe.errors import MissingHead

    oracle_model(name, "base", seed=0).save_pretrained(tmp_path)
    for head, auto in HEADS.items():
        if head == "base":
            continue
        if head not in heads_of(name):
            with pytest.raises(MissingHead, match=f"no head for {head}"):
                getattr(ours, auto).from_pretrained(tmp_path)
            continue
        with pytest.raises(MissingHead):
            getattr(ours, auto).from_pretrained(tmp_path, new_head=False)
        drawn = getattr(ours, auto).from_pretrained(tmp_path, new_head=True)
        assert drawn.head == head


@pytest.mark.parametrize("span", [(32, 128), (16, 128), (32, 64)])
def test_buckets_equal_mpnet(span: tuple[int, int]) -> None:
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    from panpipe.blocks.relative_positions import bucket_of_distance

    buckets, distance = span
    theirs = MPNetEncoder.relative_position_bucket(
        torch.arange(-distance, distance + 1), num_buckets=buckets, max_distance=distance
    )
    assert bucket_of_distance(buckets, distance, True).tolist() == theirs.tolist()


@pytest.mark.parametrize("name", ["bert", "distilbert", "electra", "mpnet"])
def test_gradients_equal_transformers(name: str, tmp_path: Path) -> None:
    theirs = oracle_model(name, "token-classification", seed=7)
    theirs.save_pretrained(tmp_path)
    mine = ours.load_model(tmp_path, engine="torch")
    qkv = mine.weights.layers[0].attention.qkv.weight.requires_grad_(True)
    table = mine.weights.embeddings.tokens.requires_grad_(True)
    given = tensors(name, seed=8)
    kept = given["attention_mask"].bool()
    ids, lengths = given["input_ids"][kept].numpy(), given["attention_mask"].sum(1).numpy()
    types = given["token_type_ids"][kept].numpy().astype(np.int32) if "token_type_ids" in given else None
    batch = Batch(ids.astype(np.int32), lengths.astype(np.int32), types)
    weighing = torch.randn(len(ids), 3, generator=torch.Generator().manual_seed(1))
    (mine.run(batch) * weighing).sum().backward()
    (theirs(**given).logits[kept] * weighing).sum().backward()
    gradients = {key: p.grad for key, p in theirs.named_parameters() if p.grad is not None}
    first = [
        g for key, g in gradients.items() if ".layer.0." in key and key.endswith("weight") and g.shape == (24, 24)
    ][:3]
    words = next(g for key, g in gradients.items() if key.endswith("word_embeddings.weight"))
    scale = float(torch.cat(first).abs().max())
    torch.testing.assert_close(qkv.grad, torch.cat(first), atol=1e-4 * scale, rtol=1e-4)
    torch.testing.assert_close(table.grad, words, atol=1e-4 * float(words.abs().max()), rtol=1e-4)
