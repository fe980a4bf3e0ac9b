"""How near the native kernels come to what this machine can do.

    nice -n -19 python benchmarks/kernels.py [--threads 2] [--isa avx512] [part ...]

Parts: layers, matmul, attention, decoding, logits, overhead.

Every figure stands beside the limit measured in the same second: the processor's multiply-adds for work that computes,
its reading of memory for work that streams weights. Ratios survive a busy machine better than times do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from panpipe import threads
from panpipe.ops.native import NativeOps, fma_peak, memory_rate

RNG = np.random.default_rng(0)
EPSILON = 1e-12


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape, dtype=np.float32)


def median_seconds(call: Callable[[], object], seconds: float = 0.4) -> float:
    """The median time of a call, over about so many seconds and at least five times."""
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < until:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def with_limit(call: Callable[[], object], operations: float, num_threads: int) -> tuple[float, float]:
    """(seconds, share of the FMA peak), the peak being measured around every stretch of calls."""
    seconds, shares = [], []
    for _ in range(5):
        peak = fma_peak(num_threads, 0.03)
        seconds.append(median_seconds(call, 0.2))
        peak = max(peak, fma_peak(num_threads, 0.03))
        shares.append(operations / seconds[-1] / 1e9 / peak)
    return statistics.median(seconds), statistics.median(shares)


class Layers:
    """A BERT-shaped stack of layers over an engine, with random weights."""

    def __init__(self, ops: NativeOps, layers: int, hidden: int, heads: int) -> None:
        self.ops, self.hidden, self.heads = ops, hidden, heads
        self.layers = [self._layer() for _ in range(layers)]
        self.weight = normal(hidden)

    def _layer(self) -> tuple[Any, ...]:
        h = self.hidden
        shapes = [(3 * h, h), (h, h), (4 * h, h), (h, 4 * h)]
        return tuple(self.ops.linear_weights(normal(*s) / np.float32(s[1] ** 0.5), normal(s[0])) for s in shapes)

    def __call__(self, x: Any, offsets: Any) -> Any:
        ops, h, w = self.ops, self.hidden, self.weight
        for qkv, out, up, down in self.layers:
            fused = ops.linear(x, qkv)
            q, k, v = fused[:, :h], fused[:, h : 2 * h], fused[:, 2 * h :]
            attended = ops.attention(q, k, v, offsets, offsets, num_heads=self.heads)
            x = ops.layer_norm(ops.linear(attended, out, None, x), w, w, EPSILON)
            x = ops.layer_norm(ops.linear(ops.linear(x, up, "gelu"), down, None, x), w, w, EPSILON)
        return x

    def bytes(self) -> float:
        return len(self.layers) * 12 * self.hidden**2 * 4.0

    def operations(self, lengths: list[int]) -> float:
        return sum(2.0 * n * 12 * self.hidden**2 + 4.0 * n * n * self.hidden for n in lengths) * len(self.layers)


def offsets_of(lengths: list[int]) -> Any:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def mixed_lengths(count: int) -> list[int]:
    """Lengths like those of sentences: median 25, up to 193."""
    return [int(n) for n in np.clip(RNG.lognormal(3.2, 0.6, count), 3, 193)]


def layers(ops: NativeOps, num_threads: int) -> None:
    print("| layers | tokens | ms | of FMA peak | of memory rate |\n|---|---|---|---|---|")
    for name, shape in {"BERT-base (12 x 768)": (12, 768, 12), "MiniLM (6 x 384)": (6, 384, 12)}.items():
        model = Layers(ops, *shape)
        cases = {"8 x 128": [128] * 8, "32 x 64": [64] * 32, "1 x 16": [16], "1 x 128": [128]}
        if shape[1] == 384:
            cases["mixed, 64 sentences"] = mixed_lengths(64)
        for case, lengths in cases.items():
            x, offsets = normal(sum(lengths), shape[1]), offsets_of(lengths)
            seconds, share = with_limit(lambda m=model, x=x, o=offsets: m(x, o), model.operations(lengths), num_threads)  # type: ignore[misc]
            rate = model.bytes() / seconds / 1e9 / memory_rate(num_threads, 0.2)
            print(f"| {name} | {case} | {seconds * 1e3:.2f} | {share:.1%} | {rate:.1%} |", flush=True)


def matmul(ops: NativeOps, num_threads: int) -> None:
    print("| in x out | rows | us | of FMA peak | GB/s of weights |\n|---|---|---|---|---|")
    for k, n in [
        (768, 768),
        (768, 2304),
        (768, 3072),
        (3072, 768),
        (384, 1536),
        (512, 2048),
        (512, 59514),
        (768, 50257),
    ]:
        # More weights than the caches hold, as a model has.
        weights = [ops.linear_weights(normal(n, k), normal(n)) for _ in range(max(1, 80_000_000 // (4 * n * k)))]
        for m in (1, 2, 4, 8, 16, 32, 64, 128, 1024)[: 6 if n > 10_000 else None]:
            x, turn = normal(m, k), iter(range(1 << 60))
            call = lambda x=x, turn=turn, weights=weights: ops.linear(x, weights[next(turn) % len(weights)])  # noqa: E731
            seconds, share = with_limit(call, 2.0 * m * n * k, num_threads)
            print(
                f"| {k} x {n} | {m} | {seconds * 1e6:.0f} | {share:.1%} | {n * k * 4 / seconds / 1e9:.1f} |", flush=True
            )


def attention(ops: NativeOps, num_threads: int) -> None:
    print("| attention | us | of FMA peak |\n|---|---|---|")
    cases = {
        "8 x 128": [128] * 8,
        "64 x 16": [16] * 64,
        "64 x 25": [25] * 64,
        "mixed, 64": mixed_lengths(64),
        "1 x 2048": [2048],
    }
    for case, lengths in cases.items():
        for heads, size in ((12, 64), (12, 32)):
            width = heads * size
            fused, offsets = normal(sum(lengths), 3 * width), offsets_of(lengths)
            q, k, v = fused[:, :width], fused[:, width : 2 * width], fused[:, 2 * width :]
            call = lambda q=q, k=k, v=v, o=offsets: ops.attention(q, k, v, o, o, num_heads=12)  # noqa: E731
            seconds, share = with_limit(call, sum(4.0 * n * n * width for n in lengths), num_threads)
            print(f"| {case}, heads {heads} x {size} | {seconds * 1e6:.0f} | {share:.1%} |", flush=True)


def decoding(ops: NativeOps, num_threads: int) -> None:
    print("| a step's attention | us | GB/s of keys and values | of memory rate |\n|---|---|---|---|")
    cases = {  # keys of each sequence, queries of each, heads, key/value heads, head size
        "GPT-2, 160 tokens": ([160], 1, 12, 12, 64),
        "GPT-2, 4 x 160 tokens": ([160] * 4, 1, 12, 12, 64),
        "GPT-2, 10,000 tokens": ([10_000], 1, 12, 12, 64),
        "GPT-2, 160 tokens, 8 drafts": ([160], 8, 12, 12, 64),
        "Marian, 32 x 40 tokens": ([40] * 32, 1, 8, 8, 64),
        "Marian, 8 sources of 32, 4 beams each": ([32] * 8, 4, 8, 8, 64),
        "Qwen2-0.5B, 1,000 tokens": ([1000], 1, 14, 2, 64),
    }
    for name, (lengths, queries, heads, kv_heads, size) in cases.items():
        counts, q = [-(-n // 16) for n in lengths], normal(queries * len(lengths), heads * size)
        ends = np.cumsum(counts)
        tables = np.stack([np.arange(end - counts[0], end, dtype=np.int32) for end in ends])
        bytes_read = sum(lengths) * 2 * kv_heads * size * 4.0
        caches = ops.new_cache(2 + int(80e6 / bytes_read), int(ends[-1]) * 16, 2 * kv_heads * size)  # as layers have
        caches[:] = 0.5
        options: dict[str, Any] = {"block_size": 16, "num_heads": heads, "num_kv_heads": kv_heads, "causal": True}
        arguments = (tables, offsets_of([queries] * len(lengths)), np.array(lengths, np.int32))
        turn = iter(range(1 << 60))
        call = lambda q=q, c=caches, a=arguments, o=options, turn=turn: ops.paged_attention(  # noqa: E731
            q, c[next(turn) % len(c)], *a, **o
        )
        seconds = median_seconds(call)
        rate = bytes_read / seconds / 1e9
        print(f"| {name} | {seconds * 1e6:.0f} | {rate:.1f} | {rate / memory_rate(num_threads, 0.2):.1%} |", flush=True)


def logits(ops: NativeOps, _: int) -> None:
    print("| on logits | rows x columns | us |\n|---|---|---|")
    for rows, columns in ((1, 50_257), (32, 59_514), (1, 256_206)):
        x = normal(rows, columns)
        calls: dict[str, Callable[[], object]] = {
            "log_softmax": lambda x=x: ops.log_softmax(x),  # type: ignore[misc]
            "top 8": lambda x=x: ops.top(x, 8),  # type: ignore[misc]
            "top 50": lambda x=x: ops.top(x, 50),  # type: ignore[misc]
        }
        for name, call in calls.items():
            print(f"| {name} | {rows} x {columns} | {median_seconds(call) * 1e6:.0f} |", flush=True)


def overhead(ops: NativeOps, _: int) -> None:
    print("| call on one token of 4 | us |\n|---|---|")
    x, w = normal(1, 4), normal(4)
    packed = ops.linear_weights(normal(4, 4), w)
    one = offsets_of([1])
    index, table, cache, tables = np.zeros(1, np.int32), normal(3, 4), normal(16, 8), np.zeros((1, 1), np.int32)
    calls: dict[str, Callable[[], object]] = {
        "linear": lambda: ops.linear(x, packed, "gelu", x),
        "layer_norm": lambda: ops.layer_norm(x, w, w, EPSILON),
        "attention": lambda: ops.attention(x, x, x, one, one, num_heads=1),
        "paged_attention": lambda: ops.paged_attention(x, cache, tables, one, one[1:], block_size=16, num_heads=1),
        "store": lambda: ops.store(cache[:, :4], index, x),
        "rotate": lambda: ops.rotate(x, w[None, :2], w[None, 2:], index, 1),
        "gate": lambda: ops.gate(x, "silu"),
        "log_softmax": lambda: ops.log_softmax(x),
        "top": lambda: ops.top(x, 1),
        "embed": lambda: ops.embed([table], [index]),
        "pool": lambda: ops.pool(x, one, "mean"),
    }
    for name, call in calls.items():
        loop = lambda call=call: [call() for _ in range(1000)]  # noqa: E731
        print(f"| {name} | {median_seconds(loop) * 1e3:.2f} |", flush=True)


PARTS = {
    "layers": layers,
    "matmul": matmul,
    "attention": attention,
    "decoding": decoding,
    "logits": logits,
    "overhead": overhead,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="How near the native kernels come to what this machine can do.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--threads", type=int, default=threads.get_num_threads())
    parser.add_argument("--isa")
    arguments = parser.parse_args()
    ops = NativeOps(arguments.isa)
    threads.set_num_threads(arguments.threads)
    print(
        f"{ops.isa}, {arguments.threads} threads: {fma_peak(arguments.threads):.0f} GFLOP/s, "
        f"{memory_rate(arguments.threads):.1f} GB/s\n"
    )
    for part in arguments.parts or PARTS:
        PARTS[part](ops, arguments.threads)
        print()


if __name__ == "__main__":
    main()
