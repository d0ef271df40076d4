"""Every promise of docs/semantics.md names tests that exist, and so does docs/players.md."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
TEXT = (TESTS.parent / "docs" / "semantics.md").read_text("utf-8")
PLAYERS = (TESTS.parent / "docs" / "players.md").read_text("utf-8")
PROMISES = re.findall(r"^(\d+\. .*?)(?=^\d+\. |^#|^\Z)", TEXT, re.MULTILINE | re.DOTALL)
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", TEXT + PLAYERS)))


def test_promises_are_numbered_from_1():
    assert [int(promise.split(".")[0]) for promise in PROMISES] == list(range(1, len(PROMISES) + 1))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.split(".")[0])
def test_a_promise_names_its_test(promise):
    assert re.search(r"`[\w/]+\.py(::\w+)?`", promise), promise


def test_each_note_of_the_table_of_players_is_there_and_names_a_test():
    notes = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^#)", PLAYERS, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in notes] == list(range(1, len(notes) + 1))
    assert all(re.search(r"`[\w/]+\.py(::\w+)?`", text) for _, text in notes)
    assert set(re.findall(r"\[(\d+)\]", PLAYERS)) == {number for number, _ in notes}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file, name):
    text = (TESTS / file).read_text("utf-8")
    assert not name or f"def {name}(" in text
