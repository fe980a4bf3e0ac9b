"""What is to be said of an embedded model that its training does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["About"]


@dataclass(frozen=True)
class About:
    """One embedded model.

    folder: its name in panpipe-models.   task: the pipeline's.   languages: codes, of translation pairs of them.
    title, text: the head of its card; text says what it does, and what it does not.   base: what it was made from.
    license: of the weights.   metric: the one that its line tells ("accuracy"), and of which rows (`on`).
    data: the folders it is measured on: "sentiment/en".   left_out: sources that it is neither trained nor measured on.
    goal: what was aimed for.   larger: the Hub model to name for more; anchor: that model's published figure, whose.
    examples: for the card and the page.   hub_id: of weights that are not our own.   has_card: is the folder its own?
    """

    folder: str
    task: str
    languages: Sequence[str]
    title: str
    text: str
    data: Sequence[str]
    metric: str
    on: str
    larger: str
    anchor: str
    goal: str = ""
    base: str | None = None
    license: str = "apache-2.0"
    left_out: Sequence[str] = ()
    examples: Sequence[str | dict[str, str]] = ()
    hub_id: str | None = None
    has_card: bool = True
