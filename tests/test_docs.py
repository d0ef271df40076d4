"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
PROMISED = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs/semantics.md").read_text("utf-8"))
HELD_BY_A_FILE = re.findall(r"`((?:runtime|stateful)/\w+\.py)`", (ROOT / "docs/semantics.md").read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(("file", "name"), PROMISED)
def test_every_promise_is_held_by_a_test_that_exists(file: str, name: str) -> None:
    assert re.search(rf"def {name}\(", (ROOT / "tests" / file).read_text("utf-8"))


@pytest.mark.parametrize("file", HELD_BY_A_FILE)
def test_every_promise_held_by_a_machine_names_it(file: str) -> None:
    assert (ROOT / "tests" / file).exists()


def test_the_runtime_promises_something() -> None:
    assert len(PROMISED) > 20
