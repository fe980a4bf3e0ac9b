"""Models called with rectangles, as in the course."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import panpipe.models as models
from panpipe.errors import (
    ConfigError,
    InputError,
    InvalidArgument,
    MissingHead,
    ShapeError,
    UnknownArgument,
    UnknownFamily,
    WeightsMismatch,
)
from panpipe.weights.save import save_safetensors

from .tiny import SMALL, made


def test_lists_arrays_keys_and_places() -> None:
    model = made("bert", "sequence-classification")
    outputs = model([[5, 6, 7], [8, 9, 10]])
    assert outputs.logits.shape == (2, 3)
    assert outputs["logits"] is outputs[0] is outputs.logits
    assert list(outputs) == ["logits"]
    assert model([[5, 6, 7]], return_dict=False)[0].shape == (1, 3)
    np.testing.assert_allclose(model(input_ids=np.array([[5, 6, 7]])).logits, outputs.logits[:1], atol=1e-5)


def test_the_answer_comes_first_whatever_else_is_shown() -> None:
    outputs = made("bart", "seq2seq-lm")(
        [[5, 6, 2]], decoder_input_ids=[[3, 5]], output_hidden_states=True, output_attentions=True
    )
    assert list(outputs) == [
        "logits",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
    ]
    assert outputs[0] is outputs.logits
    assert outputs.cross_attentions[0].shape == (1, 3, 2, 3)
    assert outputs.get("pooler_output") is None
    assert outputs.get("logits") is outputs.logits


def test_question_answering_has_two_logits() -> None:
    outputs = made("bert", "question-answering")([[5, 6, 7], [8, 9, 0]], attention_mask=[[1, 1, 1], [1, 1, 0]])
    assert outputs.start_logits.shape == outputs.end_logits.shape == (2, 3)
    assert outputs.start_logits[1, 2] == 0  # masked


def test_left_padding_moves_positions_as_in_transformers() -> None:
    model = made("bert", "base")
    shifted = model([[0, 0, 5, 6]], attention_mask=[[0, 0, 1, 1]]).last_hidden_state[0, 2:]
    by_hand = model([[5, 6]], position_ids=[[2, 3]]).last_hidden_state[0]
    np.testing.assert_allclose(shifted, by_hand, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, InputError, "input_ids"),
        ({"input_ids": [5, 6]}, ShapeError, "batch, tokens"),
        ({"input_ids": [[5, 6], [7]]}, ShapeError, "Pad"),
        ({"input_ids": [[5.5]]}, ShapeError, "whole numbers"),
        ({"input_ids": [[5, 2**32 + 6]]}, InputError, "4294967302"),
        ({"input_ids": [[5, 6]], "attention_mask": [[1]]}, ShapeError, "attention_mask"),
        ({"input_ids": [[5, 6]], "attention_mask": [[0, 0]]}, InputError, "at least one"),
        ({"input_ids": [[5, 6]], "position_ids": [[0, 99]]}, InputError, "99"),
        ({"input_ids": [[5, 6]], "labels": [[1, 2]]}, UnknownArgument, "a model for base takes no .labels"),
        ({"input_ids": [[5, 6]], "output_attention": True}, UnknownArgument, "output_attentions"),
    ],
)
def test_wrong_rectangles_are_refused(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        made("bert", "base")(**arguments)


def test_configs_are_checked() -> None:
    config = models.CONFIGS["BertConfig"]
    assert config(num_labels=3).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config(id2label={0: "좋음", 1: "나쁨"}).label2id == {"좋음": 0, "나쁨": 1}
    assert models.CONFIGS["DistilBertConfig"].from_dict({"hidden_size": 48}).dim == 48
    for key, value in (
        ("vocab_size", -1),
        ("vocab_size", 2**40),
        ("vocab_size", "many"),
        ("layer_norm_eps", float("nan")),
        ("hidden_act", "mystery"),
        ("id2label", {"0": "a", "7": "b"}),
        ("id2label", ["a"]),
        ("position_embedding_type", "relative_key"),
    ):
        with pytest.raises(ConfigError, match=key.split("_")[0] if key != "hidden_act" else "mystery"):
            made_config = config.from_dict(SMALL | {key: value})
            models.FAMILIES["bert"].options(made_config)
    with pytest.raises(UnknownArgument, match="hidden_size"):
        config.from_dict({}, hiden_size=3)


def test_unknown_families_are_named(tmp_path: Path) -> None:
    for text, words in (('{"model_type": "robert"}', "Did you mean 'roberta'"), ("{}", '"model_type"')):
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(UnknownFamily, match=words):
            models.AutoConfig.from_pretrained(tmp_path)


def test_one_error_lists_all_that_is_wrong(tmp_path: Path) -> None:
    model = made("bert", "base")
    model.save_pretrained(tmp_path)
    from panpipe.models.loading import checkpoint_tensors

    tensors = checkpoint_tensors(model.family, model.config, "base", model.stored)
    del tensors["encoder.layer.1.output.dense.bias"]
    tensors["embeddings.LayerNorm.weight"] = np.ones(5, np.float32)
    tensors["strange.weight"] = np.ones(5, np.float32)
    save_safetensors(tensors, tmp_path / "model.safetensors")
    with pytest.raises(WeightsMismatch) as caught:
        models.load_model(tmp_path)
    for words in ("layers.1.feed_forward.down.bias", "embeddings.LayerNorm.weight is [5]", "strange.weight", "drop="):
        assert words in str(caught.value)


def test_extra_tensors_can_be_left_out_by_name(tmp_path: Path) -> None:
    model = made("bert", "base")
    model.save_pretrained(tmp_path)
    from panpipe.models.loading import checkpoint_tensors

    tensors = checkpoint_tensors(model.family, model.config, "base", model.stored)
    save_safetensors(tensors | {"strange.weight": np.ones(5, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsMismatch):
        models.load_model(tmp_path)
    assert models.load_model(tmp_path, drop=["strange.*"]).head == "base"


def test_a_missing_head_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    made("bert", "base").save_pretrained(tmp_path)
    auto = models.AUTO_CLASSES["AutoModelForSequenceClassification"]
    with pytest.raises(MissingHead, match="new_head=True"):
        models.load_model(tmp_path, "sequence-classification")
    with pytest.raises(MissingHead, match="new_head=True"):
        auto.from_pretrained(tmp_path, new_head=False)
    assert auto.from_pretrained(tmp_path, new_head=True, num_labels=7).config.num_labels == 7


def test_a_missing_head_is_drawn_to_be_trained_and_never_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made("bert", "base").save_pretrained(tmp_path)
    model = models.AUTO_CLASSES["AutoModelForSequenceClassification"].from_pretrained(tmp_path, num_labels=3)
    assert model.config.num_labels == 3
    assert "drawn at random" in caplog.text
    assert "head.output" in caplog.text


def test_a_classifier_of_texts_is_not_one_of_tokens(tmp_path: Path) -> None:
    made("bert", "sequence-classification").save_pretrained(tmp_path)
    with pytest.raises(MissingHead, match="text-classification"):
        models.load_model(tmp_path, "token-classification")
    drawn = models.AUTO_CLASSES["AutoModelForTokenClassification"].from_pretrained(tmp_path, new_head=True)
    assert drawn([[5, 6, 7]]).logits.shape == (1, 3, 3)


def test_code_and_other_devices_are_refused(tmp_path: Path) -> None:
    model = made("bert", "base")
    model.save_pretrained(tmp_path)
    with pytest.raises(InvalidArgument, match="never runs code"):
        models.AUTO_CLASSES["AutoModel"].from_pretrained(tmp_path, trust_remote_code=True)
    with pytest.raises(InvalidArgument, match="CPU"):
        model.to("cuda:0")
    assert model.to("cpu").eval() is model


def test_half_precision_checkpoints_load(tmp_path: Path) -> None:
    model = made("bert", "masked-lm")
    from panpipe.models.loading import checkpoint_tensors

    model.save_pretrained(tmp_path)
    tensors = checkpoint_tensors(model.family, model.config, model.head, model.stored)
    save_safetensors({k: v.astype(np.float16) for k, v in tensors.items()}, tmp_path / "model.safetensors")
    half = models.load_model(tmp_path)
    np.testing.assert_allclose(half([[5, 6, 7]]).logits, model([[5, 6, 7]]).logits, atol=0.05)


def test_what_is_saved_can_be_read_by_others_as_other_files_can(tmp_path: Path) -> None:
    made("bert", "base").save_pretrained(tmp_path)
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


def test_a_config_from_before_model_types_is_known_by_the_name(tmp_path: Path) -> None:
    folder = tmp_path / "tiny-distilbert-한글"
    made("distilbert", "base").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["model_type"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert type(models.load_model(folder)).__name__ == "DistilBertModel"
