"""Writes GPT-2 as llama.cpp reads it, float32. Runs in the environment `llamacpp` (gguf, safetensors).

Without a vocabulary: prompts are ids. The metadata is that of the arch "gpt2" in llama.cpp.
"""

from __future__ import annotations

from pathlib import Path

import gguf
from safetensors.numpy import load_file

from benchmarks.models import ModelFiles, model_config
from benchmarks.prepare.once import main

NAMES = {
    "wte.weight": "token_embd.weight",
    "wpe.weight": "position_embd.weight",
    "ln_f": "output_norm",
    "ln_1": "blk.{layer}.attn_norm",
    "attn.c_attn": "blk.{layer}.attn_qkv",
    "attn.c_proj": "blk.{layer}.attn_output",
    "ln_2": "blk.{layer}.ffn_norm",
    "mlp.c_fc": "blk.{layer}.ffn_up",
    "mlp.c_proj": "blk.{layer}.ffn_down",
}
"""The checkpoint's names -> llama.cpp's. It takes the embeddings for the output, where there is none."""


def write_gguf(files: ModelFiles, path: Path) -> None:
    """Matrices lie by output there, by input in the checkpoint."""
    config = model_config(files.name)
    writer = gguf.GGUFWriter(str(path), "gpt2")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_feed_forward_length(config["n_inner"] or 4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("no_vocab")
    for name, tensor in load_file(files.checkpoint / "model.safetensors").items():
        transposed = ".c_" in name and tensor.ndim == 2
        writer.add_tensor(_renamed(name.removeprefix("transformer.")), tensor.T.copy() if transposed else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _renamed(name: str) -> str:
    layer = ""
    if name.startswith("h."):
        _, layer, name = name.split(".", 2)
    module, _, kind = name.rpartition(".")
    return NAMES[name] if name in NAMES else f"{NAMES[module]}.{kind}".format(layer=layer)


if __name__ == "__main__":
    main({"gguf": write_gguf})
