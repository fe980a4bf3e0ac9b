"""The cache: what is found again, what is made anew, and what is left when a process is killed."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from panpipe.data import Dataset, cache_clear, cache_info, load_dataset
from panpipe.data.fingerprint import Unhashable, fingerprint

FACTOR = 2


def doubled(row: dict[str, Any]) -> dict[str, Any]:
    return {"n": row["n"] * FACTOR}


def helped(row: dict[str, Any]) -> dict[str, Any]:
    return doubled(row)


@pytest.fixture
def ds(here: Path) -> Dataset:
    Path("a.csv").write_text("n\n1\n2\n3\n")
    return load_dataset("csv", data_files="a.csv", split="train")  # type: ignore[no-any-return]


def test_a_file_is_known_by_its_content(ds: Dataset) -> None:
    assert cache_info().tables == 1
    Path("b.csv").write_text("n\n1\n2\n3\n")
    load_dataset("csv", data_files="b.csv")
    assert cache_info().tables == 1
    Path("a.csv").write_text("n\n1\n2\n4\n")
    assert load_dataset("csv", data_files="a.csv", split="train")["n"] == [1, 2, 4]
    load_dataset("csv", data_files="a.csv", delimiter=";")
    assert cache_info().tables == 3


def test_what_a_function_made_is_found_again(ds: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(row: dict[str, Any], by: int) -> dict[str, Any]:
        os.environ["COUNTED"] = os.environ.get("COUNTED", "") + "."  # a list would be part of what the function is
        return {"m": row["n"] * by}

    monkeypatch.setenv("COUNTED", "")
    for by, made in ((2, 3), (2, 3), (3, 6)):
        assert ds.map(counted, fn_kwargs={"by": by})["m"] == [by, 2 * by, 3 * by]
        assert len(os.environ["COUNTED"]) == made
    ds.map(counted, fn_kwargs={"by": 2}, load_from_cache_file=False)
    assert len(os.environ["COUNTED"]) == 9
    ds.select([0, 2]).filter(lambda row: row["n"] > 1)
    assert ds.select([0, 2]).filter(lambda row: row["n"] > 1)["n"] == [3]


def test_the_cache_is_cleared(ds: Dataset, cache: Path) -> None:
    ds.map(doubled)
    held = cache_info()
    assert held.folder == cache
    assert held.tables == 2
    assert held.size_bytes > 0
    assert cache_clear() == held
    assert cache_info() == (cache, 0, 0)
    assert ds["n"] == [1, 2, 3]  # what is open can still be read


def test_what_a_disk_lost_is_made_again(ds: Dataset, cache: Path) -> None:
    for path in [*cache.rglob("*.npy"), *cache.rglob("table.json")]:
        for content in (b"", path.read_bytes()[:-1]):
            path.write_bytes(content)
            assert load_dataset("csv", data_files="a.csv", split="train")["n"] == [1, 2, 3]
    assert cache_info().tables == 1


def test_another_cache_can_be_chosen(here: Path, cache: Path) -> None:
    Path("a.txt").write_text("x\n")
    ds = load_dataset("text", data_files="a.txt", split="train", cache_dir="elsewhere")
    ds.map(lambda row: {"y": 1})
    assert cache_info("elsewhere").tables == 2
    assert not cache.exists()
    load_dataset("text", data_files="a.txt", keep_in_memory=True, cache_dir="nowhere")
    assert not Path("nowhere").exists()


# -- what names a function ---------------------------------------------------------------------------------------------


def makers() -> list[Any]:
    return [
        lambda x: x + 1,
        lambda x: x + 2,
        lambda x, y=1: x + y,
        lambda x, y=2: x + y,
        lambda x: (lambda: x + 1)(),
        lambda x: len(x),
        lambda x: sum(x),
        [1, 2],
        (1, 2),
        [2, 1],
        {"a": 1},
        {1, 2},
        "1",
        b"1",
        1,
        1.0,
        True,
        None,
        Path("a"),
        functools.partial(doubled, 1),
        functools.partial(doubled, 2),
        str.upper,
        "x".join,
        "y".join,
        len,
        os,
        Dataset,
    ]


def test_equal_things_have_equal_names_and_others_other_names() -> None:
    first, second = [[fingerprint(thing) for thing in makers()] for _ in range(2)]
    assert first == second
    assert len(set(first)) == len(first)


def test_a_function_is_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    def closing(value: Any) -> Any:
        return lambda row: (row, value)

    assert fingerprint(closing([1])) == fingerprint(closing([1])) != fingerprint(closing([2]))
    before = fingerprint(helped)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)  # two calls away
    assert fingerprint(helped) != before


def test_what_has_no_content_has_no_name() -> None:
    with pytest.raises(Unhashable, match="generator"):
        fingerprint(x for x in range(3))
    with pytest.raises(Unhashable, match="lock"):
        fingerprint(__import__("threading").Lock())


def test_a_tokenizers_name_does_not_change_when_it_is_used() -> None:
    from panpipe.tokenization import AutoTokenizer

    folder = Path(__file__).parents[1] / "golden" / "tokenizers"
    tokenizer = AutoTokenizer.from_pretrained(next(path for path in sorted(folder.iterdir()) if "bert" in path.name))
    before = fingerprint(lambda rows: tokenizer(rows["text"]))
    tokenizer(["a b c", "d"], padding=True, truncation=True, max_length=4)
    assert fingerprint(lambda rows: tokenizer(rows["text"])) != fingerprint(tokenizer)
    assert fingerprint(lambda rows: tokenizer(rows["text"])) == before


def test_names_are_the_same_in_another_process() -> None:
    program = """
        import re
        from panpipe.data.fingerprint import fingerprint
        PATTERN = re.compile("a+")
        class Cleaner:
            def __init__(self, words): self.words = words
            def __call__(self, row): return {"t": PATTERN.sub("", row["t"]), "w": len(self.words & {"x"})}
        print(fingerprint(Cleaner({"x", "y", "z"}), lambda row: Cleaner({"a"})(row)))
    """
    names = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert len(names) == 1


# -- a process that is killed ------------------------------------------------------------------------------------------

SLOW = """
    import sys, time
    from panpipe.data import load_dataset
    ds = load_dataset("csv", data_files="a.csv", split="train")
    def slow(row):
        time.sleep(0.002)
        return {"m": -row["n"]}
    print("begins", flush=True)
    print(sum(ds.map(slow)["m"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_leaves_nothing_that_is_taken_for_whole(here: Path, cache: Path) -> None:
    Path("a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(1100)))
    run = [sys.executable, "-c", textwrap.dedent(SLOW)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(run, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    while not any(cache.rglob(".*.incomplete")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = list(cache.rglob(".*.incomplete"))
    assert left
    assert cache_info().tables == 1
    ds = load_dataset("csv", data_files="a.csv", split="train")
    assert ds.map(lambda row: {"m": -row["n"]})["m"][-1] == -1099
    old = time.time() - 90_000
    os.utime(left[0], (old, old))
    ds.map(lambda row: {"m": 0})
    assert not list(cache.rglob(".*.incomplete"))  # a day later it is cleared away
