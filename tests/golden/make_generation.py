"""Makes the tiny checkpoints and the recorded answers of `generate`.

    python -m tests.golden.make_generation          (in an environment with transformers 4.57.6 and PyTorch)

Writes tests/golden/generation/<family>/, random models of some thousand weights (float16), and answers.jsonl: the
settings of tests/generation/drawn.py with what transformers answered, one a line.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.generation.drawn import ENCODER_DECODERS, FAMILIES, VOCAB, setting, texts

HERE = Path(__file__).parent / "generation"
CASES = 80
DRAWN = 40
SPREADS = {"gpt2": (1.2, 0.4), "llama": (1.2, 0.4), "bart": (0.5, 1.0), "marian": (0.5, 1.0), "t5": (1.2, 0.4)}
"""Of weights, and of tables of tokens: norms after a layer and norms before it want different ones."""
NEAR = 1e-3

GPT2 = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 1}
LLAMA = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA_2 = {"num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1}
BART = {"max_position_embeddings": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 2}
BART_2 = {
    f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("attention_heads", 2), ("ffn_dim", 16))
}
CONFIGS: dict[str, Any] = {
    "gpt2": lambda: transformers.GPT2Config(vocab_size=VOCAB, pad_token_id=2, **GPT2),
    "llama": lambda: transformers.LlamaConfig(vocab_size=VOCAB, pad_token_id=2, **LLAMA, **LLAMA_2),
    "bart": lambda: transformers.BartConfig(vocab_size=VOCAB, **BART, **BART_2),
    "marian": lambda: transformers.MarianConfig(
        vocab_size=VOCAB,
        **{"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 59, "decoder_start_token_id": 59},
        **{"forced_eos_token_id": 1, "bad_words_ids": [[59]], "num_beams": 3, "max_length": 30},
        **BART,
        **BART_2,
    ),
    "t5": lambda: transformers.T5Config(
        vocab_size=VOCAB, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0
    ),
}
OF_CONFIG = {"bart": {"num_beams": 2, "max_length": 15, "early_stopping": True, "no_repeat_ngram_size": 3}}
"""As checkpoints before 2023 have them: in config.json, without a generation_config.json."""


def make_model(family: str, folder: Path) -> None:
    """The one of some random models whose texts have the most tokens of their own."""
    drawn = [random_model(family, seed) for seed in range(DRAWN)]
    model = max(drawn, key=lambda model: variety(model, family))
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(file).items()}, file, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    if family in OF_CONFIG:
        config |= OF_CONFIG[family]
        (folder / "generation_config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def random_model(family: str, seed: int) -> Any:
    """Weights drawn widely, so that no two scores are near each other by chance."""
    torch.manual_seed(seed)
    kind = transformers.AutoModelForSeq2SeqLM if family in ENCODER_DECODERS else transformers.AutoModelForCausalLM
    model = kind.from_config(CONFIGS[family]()).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_table = any(part in name for part in ("wte", "embed_tokens", "shared", "lm_head"))
            spread = SPREADS[family][is_table] if weight.dim() == 2 else 0.3
            centre = 1.0 if name.endswith("weight") and ("norm" in name or "ln_" in name) else 0.0
            weight.copy_((torch.randn_like(weight) * spread + centre).half().float())
        if family in ("bart", "marian"):
            model.final_logits_bias.copy_((torch.randn_like(model.final_logits_bias) * 0.3).half().float())
    return model


def variety(model: Any, family: str) -> float:
    """How many different tokens its texts have."""
    prompts = torch.tensor([setting(family, seed)["input_ids"][0][:1] * 3 for seed in range(6)])
    with torch.no_grad():
        made = model.generate(prompts, max_new_tokens=16, do_sample=False, num_beams=1, eos_token_id=None)
    return sum(len(set(row[-16:])) for row in made.tolist())


def load(family: str, folder: Path) -> Any:
    """transformers' model of a tiny checkpoint."""
    kind = transformers.AutoModelForSeq2SeqLM if family in ENCODER_DECODERS else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def asked(model: Any, case: dict[str, Any], **more: Any) -> Any:
    """What transformers' model generates."""
    options = {**case["options"], **more}
    ids, mask = (torch.tensor(case[name]) for name in ("input_ids", "attention_mask"))
    with torch.no_grad():
        return model.generate(ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, **options)


def answer(model: Any, family: str, seed: int) -> dict[str, Any] | None:
    """A setting with the texts, and with beams their scores; None where two scores are too near to be told apart."""
    case = setting(family, seed)
    output = asked(model, case)
    width = 1 if family in ENCODER_DECODERS else len(case["input_ids"][0])
    case["texts"] = texts(output.sequences, case["options"], model.generation_config.eos_token_id, width)
    if "sequences_scores" in output:
        scores = output.sequences_scores.reshape(len(case["input_ids"]), -1)
        if (scores[:, :-1] - scores[:, 1:]).lt(NEAR).any() or not (scores > -1e8).all():
            return None
        case["scores"] = [round(score, 6) for score in scores.flatten().tolist()]
    return case


def main() -> None:
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with_answers = []
    for family in FAMILIES:
        make_model(family, HERE / family)
        model = load(family, HERE / family)
        made = (answer(model, family, seed) for seed in range(CASES))
        with_answers += [json.dumps({"family": family, **case}) for case in made if case is not None]
    (HERE / "answers.jsonl").write_text("\n".join(with_answers) + "\n")


if __name__ == "__main__":
    main()
