"""Makes the tiny checkpoints and the recorded answers of feature-extraction, text and zero-shot classification.

    python tests/golden/make_pipelines_a.py          (in an environment with transformers 4.57.6 and PyTorch)

Takes the tokenizers of tests/golden/pipelines_b; writes tests/golden/pipelines_a/<family>/<model>/, random models of
some thousand weights (float16), and answers.jsonl: the calls of `cases()` with what transformers answered, one a line.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent / "pipelines_a"
TOKENIZERS = Path(__file__).parent / "pipelines_b"
TOKENIZER_OF = {"camembert": "xlm-roberta"}  # the others have their own
LIMIT = 64

NLI = ["contradiction", "neutral", "entailment"]
LABELS = {
    "bert": NLI,
    "distilbert": NLI[::-1],
    "roberta": ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"],
    "xlm-roberta": NLI,
    "camembert": ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"],
    "electra": ["entailment", "not_entailment"],
    "albert": ["not", "Entails"],
    "mpnet": NLI,
}
SPECIAL = {  # of bert alone: what a config says of its logits
    "one-label": {"id2label": {0: "POSITIVE"}},
    "regression": {"id2label": {0: "STARS"}, "problem_type": "regression"},
    "several-labels": {"id2label": dict(enumerate(NLI)), "problem_type": "multi_label_classification"},
}


def make_models() -> None:
    for seed, (family, labels) in enumerate(LABELS.items()):
        make_model(family, "base", seed)
        make_model(family, "classifier", seed + 100, id2label=dict(enumerate(labels)))
    for seed, (name, values) in enumerate(SPECIAL.items(), start=200):
        make_model("bert", name, seed, **values)


def make_model(family: str, name: str, seed: int, **values: Any) -> None:
    """Weights drawn widely, so that no two scores are near each other by chance."""
    torch.manual_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZERS / TOKENIZER_OF.get(family, family))
    kind = transformers.AutoModel if name == "base" else transformers.AutoModelForSequenceClassification
    model = kind.from_config(config_of(family, tokenizer, **values))
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            spread = 0.4 if weight.dim() == 2 else 0.1
            centre = 1.0 if "norm.weight" in weight_name.lower() else 0.0
            weight.copy_((torch.randn_like(weight) * spread + centre).half().float())
    folder = HERE / family / name
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(file).items()}, file, {"format": "pt"})


def config_of(family: str, tokenizer: Any, **values: Any) -> Any:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    if family == "distilbert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
    if family in ("electra", "albert"):
        sizes["embedding_size"] = 12
    if family in ("roberta", "xlm-roberta", "camembert"):
        sizes["type_vocab_size"] = 1
    offset = 2 if family in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    if "id2label" in values:
        values["label2id"] = {label: index for index, label in values["id2label"].items()}
    return transformers.AutoConfig.for_model(
        family,
        **sizes,
        vocab_size=len(tokenizer),
        max_position_embeddings=LIMIT + offset,
        pad_token_id=tokenizer.pad_token_id,
        **values,
    )


# -- what is asked ---------------------------------------------------------------------------------------------------

TEXTS = [
    "I've been waiting for a HuggingFace course my whole life.",
    "I hate this so much!",
    "김철수는 서울에 살고 삼성전자에서 일한다.",
    "東京は日本の首都です。",
    "Je m'appelle Jean-Baptiste; l'école à Montréal",
    "Montre\u0301al 서울 I ❤️ New York 😀👍🏽",
    "مرحبا بالعالم في القاهرة",
    "",
]
LONG = "Paris is the capital of France; Berlin is that of Germany. 서울은 대한민국의 수도이다. " * 6


def cases() -> Iterator[dict[str, Any]]:
    """{task, family, model, make: the arguments of the pipeline, call, options: those of the call}."""
    for family in LABELS:
        yield from (case | {"family": family} for case in classification("classifier", brief=family != "bert"))
        yield from (case | {"family": family} for case in zero_shot(brief=family not in ("bert", "albert")))
        yield from (case | {"family": family} for case in features(brief=family != "bert"))
    for model in SPECIAL:
        yield from (case | {"family": "bert"} for case in classification(model, brief=True))


def case(task: str, model: str, *call: Any, make: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {"task": task, "model": model, "make": make or {}, "call": list(call), "options": options}


def classification(model: str, brief: bool) -> Iterator[dict[str, Any]]:
    """Every row and column of the table of shapes, and the functions."""
    task, text = "text-classification", TEXTS[0]
    pair = {"text": text, "text_pair": TEXTS[3]}
    yield case(task, model, TEXTS)
    yield case(task, model, text, top_k=None)
    yield case(task, model, [pair, {"text": TEXTS[1]}], top_k=2)
    yield case(task, model, LONG, truncation=True)
    yield case(task, model, text, function_to_apply="none")
    if brief:
        return
    inputs = (text, TEXTS[:2], [text], [], pair, {"text": text}, [pair], [[[text, TEXTS[1]]]])
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"top_k": 1},
        {"top_k": 2},
        {"top_k": None},
        {"top_k": 0},
        {"top_k": 99},
        {"return_all_scores": True},
        {"return_all_scores": False},
    )
    for value in inputs:
        for setting in settings:
            yield case("sentiment-analysis", model, value, **setting)
            if setting:
                yield case(task, model, value, make=setting)
    for setting in settings[1:]:
        yield case(task, model, text, make={"top_k": 2}, **setting)
        yield case(task, model, text, make={"return_all_scores": True}, **setting)
    for function in ("sigmoid", "SOFTMAX", "none", "None"):
        yield case(task, model, TEXTS[:3], function_to_apply=function, top_k=None)
        yield case(task, model, text, make={"function_to_apply": function})
    yield case(task, model, [LONG, text], truncation=True, max_length=12, padding=True)
    yield case(task, model, LONG, max_length=20)
    yield case(task, model, {"text": LONG, "text_pair": text}, truncation="only_first")
    yield case(task, model, text, add_special_tokens=False)
    yield case(task, model, text, text_pair="a pair")
    yield case(task, model, TEXTS[:5], batch_size=4)


def zero_shot(brief: bool) -> Iterator[dict[str, Any]]:
    task, model, text = "zero-shot-classification", "classifier", TEXTS[0]
    labels = ["education", "politics", "서울 여행", "business"]
    yield case(task, model, text, candidate_labels=labels)
    yield case(task, model, TEXTS[:3], labels, multi_label=True)
    yield case(task, model, LONG, labels[:2], hypothesis_template="이 글은 {}에 관한 것이다.")
    if brief:
        return
    yield case(task, model, [text], candidate_labels="education, politics,, business ")
    yield case(task, model, text, candidate_labels="education")
    yield case(task, model, TEXTS[:2], candidate_labels=["education"], multi_label=True)
    yield case(task, model, [], candidate_labels=labels)
    yield case(task, model, text, candidate_labels=labels, multi_class=True)
    yield case(task, model, text, candidate_labels=labels, make={"multi_label": True})
    yield case(task, model, text, make={"candidate_labels": labels, "hypothesis_template": "About {}"})
    yield case(task, model, text, labels[:2], make={"candidate_labels": labels, "multi_label": True}, multi_label=False)
    yield case(task, model, [TEXTS[1], text, TEXTS[1]], ["politics", "education", "politics"])
    yield case(task, model, LONG, labels, multi_label=True, batch_size=3)


def features(brief: bool) -> Iterator[dict[str, Any]]:
    task, model, text = "feature-extraction", "base", TEXTS[1]
    yield case(task, model, text)
    yield case(task, model, [TEXTS[2], LONG], truncation=True, make={"tokenize_kwargs": {"max_length": 10}})
    if brief:
        return
    yield case(task, model, [text])
    yield case(task, model, [])
    yield case(task, model, ["", text])
    yield case(task, model, LONG, tokenize_kwargs={"truncation": True, "max_length": 5, "add_special_tokens": False})
    yield case(task, "classifier", text)


# -- what transformers answers -----------------------------------------------------------------------------------------


def answers() -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {}
    for asked in cases():
        key = json.dumps([asked[part] for part in ("task", "family", "model", "make")])
        if key not in made:
            made[key] = oracle(asked["task"], asked["family"], asked["model"], asked["make"])
        yield asked | {"answer": rounded(made[key](*asked["call"], **asked["options"]))}


def oracle(task: str, family: str, model: str, make: dict[str, Any]) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZERS / TOKENIZER_OF.get(family, family))
    kind = transformers.AutoModel if model == "base" else transformers.AutoModelForSequenceClassification
    loaded = kind.from_pretrained(HERE / family / model, dtype=torch.float32)
    return transformers.pipeline(task, model=loaded, tokenizer=tokenizer, device=-1, **json.loads(json.dumps(make)))


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    make_models()
    with (HERE / "answers.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers())


if __name__ == "__main__":
    main()
