"""How much CO2e a kilowatt-hour is where the computer stands: two tables that come with panpipe, never the network."""

from __future__ import annotations

import csv
import functools
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ..errors import did_you_mean

__all__ = ["Place", "find_place"]

VARIABLE = "PANPIPE_COUNTRY"


@dataclass(frozen=True)
class Place:
    """A country or a part of one.

    code: ISO 3166 alpha-3, "" for the world.   year: of the figure, or "approximate".
    note: what a reader of the result must know; "" where the place is the one that was asked for.
    """

    code: str
    name: str
    region: str
    grams_per_kwh: float
    year: str
    note: str = ""

    @property
    def title(self) -> str:
        """As people write it: "South Korea", "California, United States"."""
        return f"{self.region}, {self.name}" if self.region else self.name


def find_place(country: str | None = None, region: str | None = None) -> Place:
    """The place of a country's code (alpha-3, alpha-2) or name (English or Korean), and of a state or province in it.

    country: default the variable PANPIPE_COUNTRY, then the world's average; the note then says so, as it does where an
    unknown country is the world's average and an unknown region its country.
    """
    country = country or os.environ.get(VARIABLE)
    if not country:
        return _world("No country was given: the world's average was taken.")
    row = _countries().get(_key(country))
    if row is None:
        near = did_you_mean(_key(country), _countries())
        return _world(f"{country!r} is not a country in the table.{near} The world's average was taken.")
    name, grams, year = row["names"].split("|")[0], float(row["grams_per_kwh"]), row["year"]
    if not region:
        return Place(row["alpha3"], name, "", grams, year)
    part = _regions().get((row["alpha3"], _key(region)))
    if part is None:
        return Place(
            row["alpha3"], name, "", grams, year, f"There is no figure for {region!r}: that of {name} was taken."
        )
    return Place(row["alpha3"], name, part["names"].split("|")[0], float(part["grams_per_kwh"]), part["year"])


def _world(note: str) -> Place:
    row = _countries()["world"]
    return Place("", row["names"], "", float(row["grams_per_kwh"]), row["year"], note)


@functools.cache
def _countries() -> dict[str, dict[str, str]]:
    """The rows of countries under every name and code they have."""
    found = {}
    for row in _table("countries.csv"):
        names = [*row["names"].split("|"), *row["korean"].split("|"), row["alpha3"], row["alpha2"]]
        found.update({_key(name): row for name in names if name})
    return found


@functools.cache
def _regions() -> dict[tuple[str, str], dict[str, str]]:
    return {
        (row["country"], _key(name)): row
        for row in _table("regions.csv")
        for name in (*row["names"].split("|"), row["code"], f"{row['country'][:2]}-{row['code']}")
    }


def _table(name: str) -> list[dict[str, str]]:
    lines = (Path(__file__).parent / name).read_text("utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _key(name: str) -> str:
    """Names that differ in case, accents, blanks or punctuation are one."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in letters if c.isalnum()))
