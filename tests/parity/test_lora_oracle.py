"""Live: adapters that PEFT writes, merged here; and those that we write, read by PEFT. Every family, tiny configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.tiny import CONFIGS, EACH, HEADS, made
from tests.parity.test_models_oracle import oracle_model, tensors

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
peft = pytest.importorskip("peft", reason="the oracle's environment has it")

from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS  # noqa: E402

import panpipe.models as ours  # noqa: E402
from panpipe.batch import Batch  # noqa: E402
from panpipe.training.batches import TrainingBatch  # noqa: E402
from panpipe.training.lora import apply_lora, default_targets, load_adapter, save_adapter  # noqa: E402
from panpipe.training.module import Trainable  # noqa: E402
from panpipe.training.objectives import loss_sum  # noqa: E402

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:Could not find a config file", "ignore:fan_in_fan_out is set to False"),
]

TOLERANCE = 1e-5
TASK_TYPES = {
    "sequence-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "causal-lm": "CAUSAL_LM",
    "seq2seq-lm": "SEQ_2_SEQ_LM",
    "base": None,
    "masked-lm": None,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "root": {"use_rslora": True, "lora_alpha": 3},
    "patterns": {"rank_pattern": {"value": 3, "c_attn": 3}, "alpha_pattern": {r"1\..*(query|q|c_attn)": 9, "v": 5}},
    "all biases": {"bias": "all"},
    "everything": {"target_modules": "all-linear"},
    "one layer": {"layers_to_transform": [1], "target_modules": ["query", "q_proj", "dense", "c_proj"]},
    "a pattern": {"target_modules": r".*\.1\..*(query|q_proj|c_attn|v|value|q_lin)"},
}
NOT_IN_PEFT = {
    *(("one layer", name) for name in ("distilbert", "t5", "albert")),
    *(("a pattern", "albert"), ("everything", "distilbert")),
}


def adapted(name: str, head: str, folder: Path, **options: Any) -> Any:
    """A model of PEFT's whose adapter is drawn at random, saved with its base."""
    base = oracle_model(name, head, seed=1)
    base.save_pretrained(folder / "base")
    base.name_or_path = str(folder / "base")
    options = {"r": 2, "lora_alpha": 4, "task_type": TASK_TYPES[head]} | options
    if CONFIGS[name][0] not in DEFAULTS:
        options.setdefault("target_modules", list(default_targets(ours.load_model(folder / "base", head))))
    theirs = peft.get_peft_model(base, peft.LoraConfig(**options)).eval()
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    theirs.save_pretrained(folder / "adapter")
    return theirs


def logits(model: Any, name: str, head: str) -> Any:
    given = tensors(name, 2, head)
    if isinstance(model, peft.PeftModel):
        model = model.base_model.model  # PEFT's wrapper for question answering leaves out the token types
    with torch.no_grad():
        output = model(**given)
    kept = given["attention_mask"].numpy().astype(bool)
    found = []
    for key in ("last_hidden_state", "logits", "start_logits", "end_logits"):
        if output.get(key) is not None:
            values = np.asarray(output[key])
            found.append(values[kept] if values.shape[:2] == kept.shape else values)
    return found


def alike(got: list[Any], expected: list[Any], tolerance: float = TOLERANCE) -> None:
    assert len(got) == len(expected) > 0
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize(("name", "head"), EACH)
def test_an_adapter_of_peft_gives_its_logits(name: str, head: str, tmp_path: Path) -> None:
    theirs = adapted(name, head, tmp_path)
    expected = logits(theirs, name, head)
    mine = getattr(ours, HEADS[head]).from_pretrained(tmp_path / "adapter")
    alike(logits(mine, name, head), expected)
    base = getattr(ours, HEADS[head]).from_pretrained(tmp_path / "base")
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(logits(base, name, head), expected, strict=True))
    alike(logits(base.load_adapter(tmp_path / "adapter"), name, head), expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "bart", "t5", "llama-grouped-biased", "albert"])
def test_what_peft_can_say_of_an_adapter_is_heeded(name: str, variant: str, tmp_path: Path) -> None:
    options = VARIANTS[variant]
    if (variant, name) in NOT_IN_PEFT:
        pytest.skip("PEFT refuses it")
    head = "seq2seq-lm" if name == "t5" else "sequence-classification"
    theirs = adapted(name, head, tmp_path, **options)
    mine = getattr(ours, HEADS[head]).from_pretrained(tmp_path / "adapter")
    alike(logits(mine, name, head), logits(theirs, name, head))


@pytest.mark.parametrize("name", sorted({name for name, _ in EACH}))
def test_the_same_maps_are_adapted_unless_told(name: str) -> None:
    family, model = CONFIGS[name][0], made(name, "base")
    if family in DEFAULTS:
        assert set(default_targets(model)) == set(DEFAULTS[family])
    assert default_targets(model)


@pytest.mark.parametrize(("name", "head"), EACH)
def test_an_adapter_of_ours_opens_in_peft(name: str, head: str, tmp_path: Path) -> None:
    base = oracle_model(name, head, seed=1)
    base.save_pretrained(tmp_path / "base")
    trainable = Trainable(ours.load_model(tmp_path / "base", head)).eval()
    apply_lora(trainable, {"r": 3, "lora_alpha": 5, "bias": "lora_only"})
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in trainable.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    save_adapter(trainable, tmp_path / "adapter")
    expected = logits(trainable.model, name, head)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    alike(logits(theirs, name, head), expected)
    alike(logits(getattr(ours, HEADS[head]).from_pretrained(tmp_path / "adapter"), name, head), expected)

    again = Trainable(ours.load_model(tmp_path / "base", head)).eval()
    apply_lora(again, trainable.lora)
    load_adapter(again, tmp_path / "adapter")
    alike(logits(again.model, name, head), expected)


@pytest.mark.parametrize("bias", ["none", "all", "lora_only"])
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "distilbert", "llama-grouped-biased"])
def test_a_step_of_sgd_equals_pefts(name: str, bias: str, tmp_path: Path) -> None:
    head = "sequence-classification"
    theirs = adapted(name, head, tmp_path, bias=bias)
    trainable = Trainable(ours.load_model(tmp_path / "base", head)).eval()
    apply_lora(trainable, theirs.peft_config["default"].to_dict())
    load_adapter_of(theirs, trainable, tmp_path)
    given = tensors(name, 2, head)
    labels = np.array([0, 2, 1, 1])
    loss = torch.nn.functional.cross_entropy(theirs(**given).logits, torch.tensor(labels))
    loss.backward()
    torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], lr=0.05).step()

    kept = given["attention_mask"].numpy().astype(bool)
    types = given["token_type_ids"].numpy()[kept].astype(np.int32) if "token_type_ids" in given else None
    batch = Batch(given["input_ids"].numpy()[kept].astype(np.int32), kept.sum(1).astype(np.int32), types)
    mine = loss_sum(head, trainable(TrainingBatch(batch, labels)), labels, batch) / 4
    assert abs(mine.item() - loss.item()) < 1e-5
    mine.backward()
    torch.optim.SGD([p for p in trainable.parameters() if p.requires_grad], lr=0.05).step()
    alike(logits(trainable.model, name, head), logits(theirs, name, head), 2 * TOLERANCE)


def load_adapter_of(theirs: Any, trainable: Trainable, folder: Path) -> None:
    """PEFT leaves out what is trained with bias="lora_only": those begin as the base's, which theirs are set to."""
    if trainable.lora.bias == "lora_only":
        with torch.no_grad():
            for name, parameter in theirs.named_parameters():
                if parameter.requires_grad and name.endswith("base_layer.bias"):
                    parameter.copy_(own_bias(trainable, name))
        theirs.save_pretrained(folder / "adapter")
        from safetensors.torch import load_file, save_file

        path = folder / "adapter" / "adapter_model.safetensors"
        biases = {k.replace(".default", ""): v for k, v in theirs.state_dict().items() if "base_layer.bias" in k}
        save_file(load_file(path) | biases, path)
    if trainable.lora.bias == "all":
        from safetensors.torch import load_file, save_file

        path = folder / "adapter" / "adapter_model.safetensors"
        doubled = ("original_module.", "modules_to_save.")
        save_file({k: v for k, v in load_file(path).items() if not any(d in k for d in doubled)}, path)
    load_adapter(trainable, folder / "adapter")


def own_bias(trainable: Trainable, name: str) -> Any:
    module = name.removeprefix("base_model.model.").removesuffix(".base_layer.bias")
    for part in trainable.weights.modules():
        if getattr(part, "module", None) == module:
            return part.bias
    raise AssertionError(module)
