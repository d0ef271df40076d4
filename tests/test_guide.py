"""Every block of Python in the guide runs, and prints what stands below it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
PAGES = sorted(
    page for page in GUIDE.glob("*.md") if page.stem != "testing"
)  # which is one file: simulation/test_guide.py
BLOCKS = [
    pytest.param(code, output, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (code, output) in enumerate(BLOCK.findall(page.read_text("utf-8")), 1)
]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_a_block_prints_what_stands_below_it(code: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "prometheus_client" in code:
        pytest.importorskip("prometheus_client")
    exec(compile(code, "guide", "exec", dont_inherit=True), {"__name__": "guide"})
    assert capsys.readouterr().out.strip() == output.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_stands_without_its_output(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("```python") == len(BLOCK.findall(text))


def test_the_first_program_has_ten_lines() -> None:
    (first, _) = BLOCK.findall((GUIDE / "quick_start.md").read_text("utf-8"))[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
