"""LoRA adapters of PEFT's files, merged at load; made here by hand. (tests/parity compares with PEFT itself.)"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import pipeline
from panpipe.batch import Batch
from panpipe.errors import CheckpointNotFound, ConfigError, MissingHead, WeightsMismatch
from panpipe.models import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, load_model
from panpipe.models.model import Model
from panpipe.weights.adapters import LoraConfig, save_adapter_files
from panpipe.weights.save import save_safetensors
from tests.models.tiny import made

from .hub_server import Repo, serve
from .test_hub import own_environment as own_environment  # a fixture

QUERY = "bert.encoder.layer.0.attention.self.query"
BATCH = Batch.of([[5, 6, 7, 8], [9, 10]])
random = np.random.default_rng(0)


def draw(*shape: int) -> Any:
    return random.standard_normal(shape).astype(np.float32)


HALVES = {f"{QUERY}.lora_A.weight": draw(2, 24), f"{QUERY}.lora_B.weight": draw(24, 2)}
HEAD = {"classifier.weight": draw(4, 24), "classifier.bias": draw(4)}
POOLER = {"bert.pooler.dense.weight": draw(24, 24), "bert.pooler.dense.bias": draw(24)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tiny BERT, with a tokenizer whose vocabulary has Korean."""
    folder = tmp_path / "base"
    made("bert", "base").save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "영화", "가", "좋아요"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    return folder


def write(folder: Path, base: Any, tensors: Any = None, **config: Any) -> Path:
    """An adapter's folder."""
    values = {"r": 2, "lora_alpha": 6, "target_modules": [QUERY], "task_type": "SEQ_CLS"}
    values |= {"peft_type": "LORA", "base_model_name_or_path": None if base is None else str(base), **config}
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(values))
    tensors = {**HALVES, **HEAD} if tensors is None else tensors
    save_safetensors({f"base_model.model.{k}": v for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    return folder


def query(model: Model) -> Any:
    return model.stored.read("layers.0.attention.qkv")["weight"][:24]


def update(scaling: float = 3.0) -> Any:
    return scaling * HALVES[f"{QUERY}.lora_B.weight"] @ HALVES[f"{QUERY}.lora_A.weight"]


def test_an_adapter_is_merged_into_the_base_that_it_names(base: Path, tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "adapter", base))
    plain = AutoModel.from_pretrained(base)
    assert type(model).__name__ == "BertForSequenceClassification" and model.config.num_labels == 4
    np.testing.assert_allclose(query(model), query(plain) + update(), rtol=1e-6)
    np.testing.assert_array_equal(
        model.stored.read("layers.0.attention.qkv")["weight"][24:],
        plain.stored.read("layers.0.attention.qkv")["weight"][24:],
    )
    np.testing.assert_array_equal(model.stored.read("head.output")["weight"], HEAD["classifier.weight"])


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_pipeline_runs_on_an_adapter(base: Path, tmp_path: Path, engine: str) -> None:
    folder = str(write(tmp_path / "adapter", base))
    classify = pipeline("sentiment-analysis", folder, model_kwargs={"engine": engine})
    scores = classify("영화 가 좋아요", top_k=None)
    model = AutoModelForSequenceClassification.from_pretrained(folder, engine="reference")
    logits = model.forward(Batch.of([[2, 5, 6, 7, 3]]))[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    got = {answer["label"]: answer["score"] for answer in scores}
    np.testing.assert_allclose([got[f"LABEL_{i}"] for i in range(4)], expected, atol=1e-5)


def test_the_base_given_wins_over_the_one_named(base: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "adapter", "/no/such/folder")
    with pytest.raises(CheckpointNotFound, match="adapter=…"):
        load_model(folder)
    model = AutoModelForSequenceClassification.from_pretrained(base, adapter=folder)
    np.testing.assert_allclose(query(model), query(AutoModel.from_pretrained(base)) + update(), rtol=1e-6)
    assert model.name_or_path == str(base)


def test_an_adapter_loads_into_a_model_that_is_there(base: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "adapter", base, HALVES)
    model = AutoModel.from_pretrained(base)
    before = model.forward(BATCH)
    assert model.load_adapter(folder) is model
    assert np.abs(model.forward(BATCH) - before).max() > 1e-3
    drawn = AutoModel.from_config(model.config)
    expected = query(drawn) + update()
    np.testing.assert_allclose(query(drawn.load_adapter(folder)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("config", "scaling"),
    [
        ({}, 3.0),
        ({"use_rslora": True}, 6 / np.sqrt(2)),
        ({"alpha_pattern": {"query": 1}}, 0.5),
        ({"r": 8, "rank_pattern": {r"layer\.0\..*query": 2}}, 3.0),
        ({"r": 8, "rank_pattern": {"key": 3, "query": 2}, "alpha_pattern": {"0.attention.self.query": 8}}, 4.0),
    ],
)
def test_the_scaling_is_pefts(base: Path, tmp_path: Path, config: Any, scaling: float) -> None:
    model = load_model(write(tmp_path / "adapter", base, **config))
    np.testing.assert_allclose(query(model), query(AutoModel.from_pretrained(base)) + update(scaling), rtol=1e-5)


def test_matrices_stored_the_other_way_round_are_adapted_so(tmp_path: Path) -> None:
    base = tmp_path / "gpt2"
    made("gpt2", "causal-lm").save_pretrained(base)
    module = "transformer.h.1.attn.c_proj"  # square: its shape does not tell
    a, b = draw(2, 24), draw(24, 2)
    halves = {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}
    folder = write(tmp_path / "adapter", base, halves, target_modules=["1.attn.c_proj"], task_type="CAUSAL_LM")
    got = AutoModelForCausalLM.from_pretrained(folder).stored.read("layers.1.attention.output")["weight"]
    plain = AutoModelForCausalLM.from_pretrained(base).stored.read("layers.1.attention.output")["weight"]
    np.testing.assert_allclose(got, plain + 3 * b @ a, rtol=1e-6)


def test_biases_and_whole_modules_replace_the_bases(base: Path, tmp_path: Path) -> None:
    tensors = {
        **HALVES,
        **HEAD,
        **POOLER,
        f"{QUERY}.base_layer.bias": draw(24),
        "bert.embeddings.LayerNorm.modules_to_save.bias": draw(24),
        "bert.embeddings.LayerNorm.original_module.bias": draw(24),
    }
    model = load_model(write(tmp_path / "adapter", base, tensors, bias="all"))
    np.testing.assert_array_equal(
        model.stored.read("layers.0.attention.qkv")["bias"][:24], tensors[f"{QUERY}.base_layer.bias"]
    )
    np.testing.assert_array_equal(
        model.stored.read("embeddings.norm")["bias"], tensors["bert.embeddings.LayerNorm.modules_to_save.bias"]
    )


def test_labels_of_an_adapter_of_ours_are_kept(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    config = LoraConfig(r=2, lora_alpha=6, target_modules=(QUERY,), base_model_name_or_path=str(base))
    save_adapter_files(folder, config, {**HALVES, **HEAD})
    labelled = AutoModelForSequenceClassification.from_pretrained(
        base, new_head=True, id2label=dict(enumerate(["기쁨", "슬픔", "분노", "중립"]))
    )
    labelled.config.from_dict(
        labelled.config.to_dict() | {"architectures": ["BertForSequenceClassification"]}
    ).save_pretrained(folder)
    assert load_model(folder).config.id2label[2] == "분노"


def test_a_merged_model_is_saved_as_any(base: Path, tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "adapter", base, {**HALVES, **HEAD, **POOLER}))
    model.save_pretrained(tmp_path / "merged")
    np.testing.assert_array_equal(load_model(tmp_path / "merged").forward(BATCH), model.forward(BATCH))


def test_an_adapter_of_the_hub_finds_its_base_there(base: Path, tmp_path: Path, monkeypatch: Any) -> None:
    adapter = write(tmp_path / "adapter", "lab/base")
    repos = {
        "lab/base": Repo({path.name: path.read_bytes() for path in base.iterdir()}),
        "lab/adapter": Repo({path.name: path.read_bytes() for path in adapter.iterdir()}),
    }
    with serve(repos) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        first = pipeline("sentiment-analysis", "lab/adapter")("영화 가 좋아요")
        hub.requests.clear()
        assert pipeline("sentiment-analysis", "lab/adapter")("영화 가 좋아요") == first
        assert hub.requests == []


# -- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "config", "match"),
    [
        ({**HALVES, "x.lora_A.weight": draw(2, 2)}, {}, "without the other"),
        ({**HALVES, "bert.strange.weight": draw(2)}, {}, r"strange.* unused"),
        ({k.replace("layer.0", "layer.9"): v for k, v in HALVES.items()}, {}, "does not have"),
        ({k: v[:1] if "_A" in k else v[:, :1] for k, v in HALVES.items()}, {}, "rank 2"),
        ({k: draw(2, 23) if "_A" in k else v for k, v in HALVES.items()}, {}, "its update"),
        (HALVES, {"target_modules": ["query", "value"]}, "no update for 3"),
        ({**HALVES, "bert.embeddings.LayerNorm.bias": draw(23)}, {}, "another shape"),
    ],
)
def test_what_does_not_fit_is_one_error(base: Path, tmp_path: Path, tensors: Any, config: Any, match: str) -> None:
    folder = write(tmp_path / "adapter", base, {**tensors, **HEAD, **POOLER}, **config)
    with pytest.raises(WeightsMismatch, match=match):
        load_model(folder)


def test_one_use_of_two_cannot_be_changed(tmp_path: Path) -> None:
    base = tmp_path / "gpt2"
    made("gpt2", "causal-lm").save_pretrained(base)
    for tensors in ({"lm_head.weight": draw(61, 24)}, {"transformer.wte.weight": draw(61, 24)}):
        folder = write(tmp_path / "adapter", base, tensors, target_modules=[], task_type="CAUSAL_LM")
        with pytest.raises(WeightsMismatch, match="more than one place"):
            load_model(folder)


def test_a_head_that_neither_has_is_missing(base: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingHead, match=r"head\.output"):
        load_model(write(tmp_path / "adapter", base, {**HALVES, **POOLER}))


def test_an_adapter_on_an_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "first", base)
    with pytest.raises(ConfigError, match="is an adapter itself"):
        load_model(write(tmp_path / "second", first))
    with pytest.raises(ConfigError, match="is an adapter itself"):
        load_model(write(tmp_path / "itself", tmp_path / "itself"))


def test_a_folder_with_its_base_beside_it_is_both(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(base, folder)
    model = AutoModelForSequenceClassification.from_pretrained(write(folder, folder), num_labels=4)
    np.testing.assert_allclose(query(model), query(AutoModel.from_pretrained(base)) + update(), rtol=1e-6)


# -- the config ------------------------------------------------------------------------------------------------------


def test_targets_are_named_as_in_peft() -> None:
    def chosen(**config: Any) -> list[str]:
        names = [f"bert.encoder.layer.{i}.attention.self.{n}" for i in (0, 1, 11) for n in ("query", "key")]
        config = {"target_modules": ["query"], **config}
        return [name[19:].replace(".attention.self", "") for name in names if LoraConfig(**config).is_target(name)]

    assert chosen() == ["0.query", "1.query", "11.query"]
    assert chosen(target_modules=["1.attention.self.query"]) == ["1.query"]
    assert chosen(target_modules=r".*\.1\..*(query|key)") == ["1.query", "1.key"]
    assert chosen(layers_to_transform=[11, 1]) == ["1.query", "11.query"]
    assert chosen(layers_to_transform=1, layers_pattern="layer") == ["1.query"]
    assert chosen(exclude_modules=["0.attention.self.query"]) == ["1.query", "11.query"]
    assert chosen(modules_to_save=["layer.1"]) == ["0.query", "11.query"]


def test_a_config_survives_its_file() -> None:
    config = LoraConfig(r=3, target_modules=("a", "b"), rank_pattern={"a": 2}, bias="all", use_rslora=True)
    assert LoraConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
