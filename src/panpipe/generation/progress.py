"""The bar of a long run."""

from __future__ import annotations

__all__ = ["Progress"]


class Progress:
    """Tokens made, of those that may at most be: what a text does not use is taken off the total when it ends."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc="generating", unit=" tokens", total=0, dynamic_ncols=True)

    def show(self, made: int, most: int) -> None:
        """So many tokens, of so many."""
        self._bar.total = most
        self._bar.update(made - self._bar.n)

    def close(self) -> None:
        """The run is over."""
        self._bar.close()
