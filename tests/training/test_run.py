from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs it")

from panpipe import pipeline
from panpipe.carbon import Plan
from panpipe.errors import TrainingError
from panpipe.training import run
from panpipe.training.arguments import TrainingArguments
from panpipe.training.run import TrainResult, evaluate, train
from panpipe.training.trainer import Trainer

pytestmark = pytest.mark.train

GOLDEN = Path(__file__).parents[1] / "golden"
BERT = GOLDEN / "pipelines_b" / "bert"
QUIET: dict[str, Any] = {"disable_tqdm": True, "energy": False, "use_cpu": True, "logging_steps": 1}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts whose first word says their class."""
    random = np.random.default_rng(seed)
    words = {"좋음": ["London", "서울"], "나쁨": ["York", "부산"]}
    return [
        {
            "text": f"{random.choice(words[label])} {' '.join(random.choice(['live', 'in', 'the', 'life'], 4))}",
            "label": label,
        }
        for label in random.choice(list(words), count).tolist()
    ]


def learned(output: Path, **options: Any) -> TrainResult:
    given = {"columns": None, "from_scratch": "tiny", "epochs": 6, "learning_rate": 2e-3, "batch_size": 16, **QUIET}
    data = {"train": _dataset(rows(96, 0)), "validation": _dataset(rows(32, 1))}
    model = options.pop("model", GOLDEN / "pipelines_a" / "bert" / "classifier")
    result = train("text-classification", model, data, output, tokenizer=BERT, **{**given, **options})
    assert isinstance(result, TrainResult)
    return result


def _dataset(values: list[dict[str, Any]]) -> Any:
    from panpipe.data import Dataset

    return Dataset.from_list(values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    output = tmp_path_factory.mktemp("run") / "모델"
    return output, learned(output)


def test_a_model_learns_and_serves(trained: tuple[Path, TrainResult]) -> None:
    output, result = trained
    assert result.metrics["accuracy"] == 1.0
    assert result.labels == ["나쁨", "좋음"]
    assert result.rows == {"training": 96, "evaluation": 32}
    pipe: Any = pipeline("text-classification", str(output))
    assert [pipe(text)[0]["label"] for text in ("London live in", "부산 the life")] == ["좋음", "나쁨"]
    found = evaluate("text-classification", output, {"test": _dataset(rows(20, 2))})
    assert found["metrics"]["accuracy"] == 1.0


def test_a_run_goes_on_and_another_is_refused(trained: tuple[Path, TrainResult]) -> None:
    output, result = trained
    with pytest.raises(TrainingError, match="--resume"):
        learned(output)
    again = learned(output, resume=True)
    assert again.steps == result.steps
    assert again.metrics["accuracy"] == 1.0


def test_an_adapter_is_trained_and_served(trained: tuple[Path, TrainResult], tmp_path: Path) -> None:
    output, _ = trained
    result = learned(tmp_path / "lora", model=output, from_scratch=None, lora="r=2,lora_alpha=4", epochs=1)
    assert json.loads((tmp_path / "lora" / "adapter_config.json").read_text())["r"] == 2
    assert result.labels == ["나쁨", "좋음"]
    found = evaluate("text-classification", tmp_path / "lora", {"test": _dataset(rows(20, 2))}, tokenizer=BERT)
    assert found["metrics"]["accuracy"] > 0.9


def test_an_estimate_leaves_nothing_behind(tmp_path: Path) -> None:
    model = GOLDEN / "pipelines_a" / "bert" / "classifier"
    found = train(
        "text-classification",
        model,
        rows(64, 0),
        tmp_path / "out",
        tokenizer=BERT,
        from_scratch="tiny",
        estimate=True,
        **QUIET,
    )
    assert isinstance(found, Plan)
    assert found.seconds > 0
    assert not (tmp_path / "out").exists()


def test_an_estimate_is_of_all_steps_also_by_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a second, on a clock of our own."""
    clock = itertools.count()
    monkeypatch.setattr(run, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    told: list[Any] = []

    def trained() -> None:
        for _ in range(trainer.args.max_steps):
            told[0].on_step_end(None, None, None)

    trainer = SimpleNamespace(
        args=TrainingArguments("out", num_train_epochs=2, max_tokens_per_batch=10),
        train_dataset=[{"input_ids": [1] * 10}] * 64,
        processes=SimpleNamespace(rank=0, size=1),
        add_callback=told.append,
        train=trained,
    )
    assert run._estimated(trainer).seconds == 128


def test_an_upload_has_the_card_of_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards: list[str] = []

    def push(trainer: Trainer) -> None:
        cards.append((Path(trainer.args.output_dir) / "README.md").read_text(encoding="utf-8"))

    monkeypatch.setattr(Trainer, "push_to_hub", push)
    learned(tmp_path / "모델", epochs=1, push_to_hub=True)
    (card,) = cards
    assert "data of one's own" in card


@pytest.mark.parametrize(
    ("task", "from_scratch", "tokenizer", "options"),
    [
        ("text-generation", "gpt2:tiny", "gpt2", {"block_size": 32}),
        ("fill-mask", "bert:tiny", "bert", {"block_size": 32, "whole_word": True}),
        ("text2text-denoising", "bart:tiny", "bart", {"block_size": 32}),
        ("text2text-denoising", "t5:tiny", "t5", {"block_size": 24}),
    ],
)
def test_language_is_learned_from_nothing(
    task: str, from_scratch: str, tokenizer: str, options: dict[str, Any], tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(row["text"] for row in rows(40, 0)), encoding="utf-8")
    scores = [
        train(
            task,
            None,
            texts,
            tmp_path / str(steps),
            eval_data=0.2,
            from_scratch=from_scratch,
            tokenizer=GOLDEN / "tokenizers" / tokenizer,
            max_steps=steps,
            learning_rate=3e-3,
            **options,
            **QUIET,
        )
        for steps in (1, 25)
    ]
    before, after = (score.metrics for score in scores if isinstance(score, TrainResult))
    assert after["perplexity"] < 0.7 * before["perplexity"]
    found = evaluate(task, tmp_path / "25", texts, **options)
    assert found["metrics"]["perplexity"] < before["perplexity"]


@pytest.mark.parametrize(
    ("task", "row", "from_scratch", "tokenizer"),
    [
        ("ner", {"tokens": ["Seoul", "is", "big"], "tags": ["B-LOC", "O", "O"]}, "bert:tiny", "bert"),
        (
            "question-answering",
            {"question": "what?", "context": "in 서울", "answers": {"text": ["서울"], "answer_start": [3]}},
            "bert:tiny",
            "bert",
        ),
        ("summarization", {"text": "in the city", "summary": "city"}, "t5:tiny", "t5"),
        ("translation", {"translation": {"ko": "서울", "en": "Seoul"}}, "mbart:tiny", "mbart50"),
    ],
)
def test_every_task_trains_and_is_evaluated(
    task: str, row: dict[str, Any], from_scratch: str, tokenizer: str, tmp_path: Path
) -> None:
    folder = GOLDEN / "tokenizers" / tokenizer
    result = train(
        task,
        None,
        {"train": _dataset([row] * 8), "validation": _dataset([row] * 2)},
        tmp_path / "out",
        from_scratch=from_scratch,
        tokenizer=folder,
        epochs=1,
        **QUIET,
    )
    assert isinstance(result, TrainResult)
    assert np.isfinite(result.metrics["loss"])
    found = evaluate(task, tmp_path / "out", [row])
    assert found["metrics"]
