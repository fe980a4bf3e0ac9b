"""Whose electricity, from tables that come with panpipe."""

from __future__ import annotations

import pytest

from panpipe.carbon import find_place
from panpipe.carbon.places import _table


@pytest.mark.parametrize("name", ["KOR", "kr", "South Korea", "korea", "대한민국", "한국", "Republic of Korea"])
def test_a_country_has_many_names(name: str) -> None:
    place = find_place(name)
    assert (place.code, place.name, place.note) == ("KOR", "South Korea", "")
    assert 380 < place.grams_per_kwh < 450


@pytest.mark.parametrize(
    ("name", "code"), [("Côte d’Ivoire", "CIV"), ("UK", "GBR"), ("turkiye", "TUR"), ("북한", "PRK"), ("U.S.", "USA")]
)
def test_accents_dots_and_old_names_do_not_matter(name: str, code: str) -> None:
    assert find_place(name).code == code


def test_no_country_is_the_world_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    place = find_place()
    assert (place.code, place.name) == ("", "World")
    assert "world's average" in place.note
    monkeypatch.setenv("PANPIPE_COUNTRY", "FRA")
    assert find_place().code == "FRA"
    assert find_place("KOR").code == "KOR"


def test_an_unknown_country_is_the_world_and_the_near_miss_is_told() -> None:
    place = find_place("Soth Korea")
    assert place.name == "World"
    assert "'Soth Korea' is not a country in the table. Did you mean 'southkorea'?" in place.note
    assert (find_place("세계").code, find_place("World").note) == ("", "")


@pytest.mark.parametrize("region", ["California", "CA", "us-ca", "CALIFORNIA"])
def test_a_state_has_its_own_figure(region: str) -> None:
    place = find_place("USA", region)
    assert place.title == "California, United States"
    assert place.grams_per_kwh < find_place("USA").grams_per_kwh


def test_an_unknown_region_is_its_country_and_says_so() -> None:
    place = find_place("KOR", "제주")
    assert place.grams_per_kwh == find_place("KOR").grams_per_kwh
    assert place.note == "There is no figure for '제주': that of South Korea was taken."


def test_the_tables_are_whole() -> None:
    rows = _table("countries.csv")
    assert len(rows) > 200
    for row in rows:
        assert 10 < float(row["grams_per_kwh"]) < 1500, row
        assert row["year"] == "approximate" or 2020 <= int(row["year"]) <= 2030, row
    names = [name.casefold() for row in rows for column in ("names", "korean") for name in row[column].split("|")]
    assert len(names) == len(set(names))
    assert len({row["alpha3"] for row in rows}) == len({row["alpha2"] for row in rows}) == len(rows)
    for row in _table("regions.csv"):
        assert find_place(row["country"], row["code"]).grams_per_kwh == float(row["grams_per_kwh"])
