"""The report is one page that asks nobody for anything, and nothing from elsewhere becomes markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from shoal.app.demo.figures import figures_of
from shoal.app.demo.report_charts import chart_data, timeline
from shoal.app.demo.report_html import page_of, write_report
from shoal.balancer.report import DiskState, SessionReport, StoreState

from .stories import HOSTILE, part, polluted_and_failed_over, report_of, segment

RESULT = {"ok": False, "failed": [HOSTILE], "startup_ms": 212.4, "p2p_offload": 0.5, "wrong_bytes": None}


def hostile_page() -> str:
    story = segment(
        0, part(HOSTILE, 0, 9, ended_us=5, outcome=HOSTILE, reason=HOSTILE, why=HOSTILE), uri=HOSTILE, error=HOSTILE
    )
    story.verified = story.kind = HOSTILE
    report = report_of(
        story, polluted_and_failed_over(), sources=(HOSTILE, "cdn:good", f"peer:{HOSTILE}"), log=[HOSTILE]
    )
    report.url = report.hashes = HOSTILE
    report.dropped = {HOSTILE: 1}
    report.sources[0].errors = {HOSTILE: 3}
    report.sources[0].state = HOSTILE
    return page_of(report, RESULT, player={"errors": [HOSTILE]}, judge={"wrong": [HOSTILE], "unknown": [HOSTILE]})


class Reader(HTMLParser):
    """Collects tags, attributes and the texts of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.data = ""
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._in = "data" if ("type", "application/json") in attrs else tag

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        if self._in == "data":
            self.data += data
        elif self._in in self.inline:
            self.inline[self._in].append(data)


def test_hostile_names_do_not_become_markup():
    page = hostile_page()
    reader = Reader(page)
    assert "img" not in reader.tags
    assert reader.tags.count("script") == 3
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_nothing_is_fetched_from_anywhere():
    reader = Reader(hostile_page())
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert not [(tag, name) for tag, name, _ in reader.attributes if name in {"src", "href", "action", "style", "data"}]
    assert not re.search(r"url\(|@import", "".join(reader.inline["style"]))
    markup = re.sub(r"<script>.*?</script>", "", hostile_page(), flags=re.DOTALL)
    assert "http://" not in markup.replace("http://cdn.test/", "")
    assert "https://" not in markup


def test_the_policy_allows_exactly_the_inline_texts():
    reader = Reader(hostile_page())
    policy = next(value for _, name, value in reader.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    hashes = set(re.findall(r"'sha256-([^']+)'", policy))
    texts = [*reader.inline["script"], *reader.inline["style"]]
    assert hashes == {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts}


def test_the_data_of_the_charts_is_json_that_cannot_end_its_element():
    data = json.loads(Reader(hostile_page()).data)
    assert data["numbers"] == [1]
    assert any("alert" in source["name"] for source in data["sources"])


def test_every_segment_and_every_part_is_told():
    page = page_of(report_of(polluted_and_failed_over()), RESULT, player={}, judge={})
    for words in (
        "hd_001.m4s",
        "wrong block 1",
        "wrong bytes caught, went on elsewhere in its body",
        "peer:x",
        "212 ms",
    ):
        assert words in page


def test_an_empty_session_makes_a_page():
    assert "Nothing was fetched" in page_of(SessionReport(url=""), {}, player={}, judge={})


def test_bytes_over_time_grow_to_what_was_received():
    data = chart_data(report_of(polluted_and_failed_over(), elapsed_us=1_000_000))
    by_name = {source["name"]: source["megabytes"] for source in data["sources"]}
    assert by_name["peer:x"][-1] == pytest.approx(200 / 1e6, abs=1e-4)
    for values in by_name.values():
        assert values == sorted(values)
        assert values[0] == 0
    assert data["seconds"][-1] == 1.0
    assert data["took_s"] == [0.4]
    assert data["plays_s"] == [2.0]


def test_the_timeline_has_a_bar_for_each_transfer():
    svg = timeline(report_of(polluted_and_failed_over()))
    assert svg.count("<rect") == 2
    assert svg.count("hollow") == 1
    assert svg.count("<circle") == 1


def test_both_files_are_written_and_the_json_reads_back(tmp_path):
    report = report_of(polluted_and_failed_over())
    figures = msgspec.to_builtins(figures_of(report, {}, {}))
    write_report(tmp_path / "out", report, {"ok": True, **figures}, player={"ok": True}, judge={})
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert msgspec.convert(written["session"], SessionReport) == report
    assert written["result"]["polluted_segments_caught"] == 1
    assert "Everything held." in (tmp_path / "out" / "report.html").read_text()


def test_a_full_disk_under_the_store_is_among_the_moments() -> None:
    disk = DiskState(state="full", error="no room left", errors={"full": 3})
    page = page_of(SessionReport(url="", store=StoreState(disk=disk)), {}, player={}, judge={})
    assert "store on disk: full 3" in page
    assert "store on disk is full: no room left" in page
