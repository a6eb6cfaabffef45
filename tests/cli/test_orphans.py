"""Orphans at the command line: swept, listed, adopted, destroyed."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.cli.conftest import House
from tests.cli.terminal import Terminal
from tests.peers.lab import eventually

TOKEN = "019a0000-0000-7000-8000-00000000000{}"


def change(earmark: Terminal, query: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(earmark.database)) as table, table:
        return table.execute(query, values).fetchall()


@pytest.fixture(scope="module")
def doubles(house: House) -> list[str]:
    """Three copies with our mark, of tasks that failed and were deleted since; returns
    their ids at the provider."""
    ((ours,),) = change(house.earmark, "SELECT id FROM earmark_installation")
    image = house.lab.call("GET", "/images").json()["images"][0]["id"]
    for number in range(3):
        token = TOKEN.format(number)
        tomb = "INSERT INTO earmark_tombstones VALUES (?, NULL, '2026-01-01', ?)"
        change(house.earmark, tomb, token, "failed: Copy disk root")
        order = {"image": image, "domain": "bulk", "alias": f"copy{number}"}
        mark = {"token": token, "mark": f"{ours}.{token}"}
        house.lab.call("POST", "/images/copy", json=order | mark).raise_for_status()

    def there() -> list[str]:
        rows = house.lab.call("GET", "/images").json()["images"]
        found = [row["id"] for row in rows if row["mark"]]
        return found if len(found) == 3 else []

    ids: list[str] = eventually(there, "the copies have landed")
    return ids


def test_what_a_sweep_finds_is_listed_and_decided_about(
    house: House, doubles: list[str]
) -> None:
    earmark = house.earmark
    assert "lab: not swept yet." in earmark.run("orphans", "ls").err
    swept = earmark.json("providers", "sweep", "lab")
    assert (swept["outcome"], swept["result"]) == ("ok", "3 with our mark, 3 orphans.")
    listed = earmark.json("orphans", "ls", "--provider", "lab")
    assert {it["external_id"] for it in listed} == set(doubles)
    wanted, destroyed, left = listed
    said = earmark.run("orphans", "ls")
    assert wanted["id"] in said.out
    assert "“Copy disk root” ended as failed" in said.out
    assert "lab: swept" in said.err

    adopted = earmark.run("orphans", "adopt", wanted["id"], "--why", "tests boot it")
    assert adopted.code == 0, adopted
    shown = earmark.json("orphans", "show", wanted["id"])
    assert (shown["state"], shown["why"]) == ("adopted", "tests boot it")
    again = earmark.run("orphans", "adopt", wanted["id"], "--why", "again")
    again.refused(1, "adopted it already")

    earmark.run("orphans", "destroy", destroyed["id"]).refused(2, "--yes")
    ended = earmark.run("orphans", "destroy", destroyed["id"], "--yes")
    assert ended.code == 0, ended
    there = {row["id"] for row in house.lab.call("GET", "/images").json()["images"]}
    assert destroyed["external_id"] not in there
    assert {wanted["external_id"], left["external_id"]} <= there
    assert [it["id"] for it in earmark.json("orphans", "ls")] == [left["id"]]
    assert len(earmark.json("orphans", "ls", "--all")) == 3
    every = earmark.run("orphans", "ls", "--all")
    assert "tests boot it" in every.out
    assert "1 orphan open now" in every.err
    for part in (left["id"][:-1], left["id"][-8:]):
        assert earmark.json("orphans", "show", part)["id"] == left["id"]
    assert "decided by" in earmark.run("orphans", "show", destroyed["id"]).out


def test_what_is_not_there_is_refused_in_one_line(house: House) -> None:
    house.earmark.run("orphans", "show", "nothing").refused(2, "There is no orphan")
