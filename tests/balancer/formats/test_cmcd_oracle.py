"""CMCD held against the library that the players use (@svta/cml-cmcd, npm): each reads what the other writes."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shoal.balancer.formats.cmcd import KEYS, MIME_TYPE, decode, headers, query, report, text

from ..actors.test_cmcd import requests_of
from ..actors.test_collecting import told

pytestmark = pytest.mark.real  # once: it is the same Python in every leg, and Node takes a second

NPM = Path(__file__).resolve().parents[3] / "build" / "npm"
EVENT_KEYS = {name for name, key in KEYS.items() if not key.header}

# Runs where the package lies, so that its name is found.  Values of theirs that are rates carry their object type as a
# parameter; here they are pairs.
SCRIPT = """
import * as cmcd from '@svta/cml-cmcd'
import { SfItem } from '@svta/cml-structured-field-values'
import { readFileSync } from 'node:fs'
const rates = new Set(JSON.parse(process.argv[1]))
const theirs = (values) => Object.fromEntries(Object.entries(values).map(([key, value]) => [key,
    rates.has(key) ? Object.entries(value).map(([ot, rate]) => ot ? new SfItem(rate, {[ot]: true}) : rate) : value]))
const ours = (values) => Object.fromEntries(Object.entries(values).map(([key, value]) => [key, rates.has(key)
    ? Object.fromEntries([value].flat().map((one) => typeof one === 'number' ? ['', one]
        : [Object.keys(one.params ?? {})[0] ?? '', one.value])) : value]))
const answer = JSON.parse(readFileSync(0, 'utf8')).map(({ values, text, query, headers, event, report }) => ({
    text: cmcd.encodeCmcd(theirs(values), { version: 2, reportingMode: event ? 'event' : 'request' }),
    headers: event ? null : cmcd.toCmcdHeaders(theirs(values), { version: 2 }),
    query: event ? null : cmcd.toCmcdQuery(theirs(values), { version: 2 }),
    fromText: ours(cmcd.decodeCmcd(text)),
    fromQuery: ours(cmcd.fromCmcdQuery(query)),
    fromHeaders: ours(cmcd.fromCmcdHeaders(headers)),
    issues: event
        ? cmcd.validateCmcdEventReport({ url: 'https://c.example', method: 'POST', body: report,
            headers: { 'content-type': event } }).issues
        : cmcd.validateCmcdRequest(new Request('https://a.example/s.m4s?' + query)).issues
            .concat(cmcd.validateCmcdHeaders(headers).issues),
}))
process.stdout.write(JSON.stringify(answer))
"""


VALIDATE = """
import * as cmcd from '@svta/cml-cmcd'
import { readFileSync } from 'node:fs'
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(({ query, headers }) => {
    const found = query.includes('CMCD=')
        ? cmcd.validateCmcdRequest(new Request('https://a.example/s.m4s?' + query)) : cmcd.validateCmcdHeaders(headers)
    return { issues: found.issues, keys: Object.keys(found.data).sort() }
})))
"""


REPORTS = """
import * as cmcd from '@svta/cml-cmcd'
import { readFileSync } from 'node:fs'
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map((body) =>
    cmcd.validateCmcdEventReport({ url: 'https://c.example', method: 'POST', body,
        headers: { 'content-type': process.argv[1] } }).issues)))
"""


def in_node(script: str, given: Any, *arguments: str) -> Any:
    """What the script writes, which reads `given`; both are JSON."""
    if not (NPM / "node_modules" / "@svta" / "cml-cmcd").exists():
        pytest.skip(f"no @svta/cml-cmcd in {NPM}; run: tools/install-test-tools")
    ended = subprocess.run(
        ["node", "--input-type=module", "-e", script, *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=NPM,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def some_values(source: random.Random, *, event: bool) -> dict[str, Any]:
    """As a session says them: what must be there, and some of the rest."""

    def value(name: str) -> Any:
        key = KEYS[name]
        words = "".join(source.choices('abz09 -_/"\\;=,()%?', k=source.randint(1, 20)))
        match key.kind:
            case "rates":
                # Theirs of 2.7.0 does not round tbl.
                step = 100 if name == "tbl" else 1
                return {ot: source.randint(0, 200) * step for ot in source.sample(["v", "a"], source.randint(1, 2))}
            case "flag":
                return True
            case "integer":
                return source.randint(0, 100_000)
            case "decimal":
                return source.choice([0.5, 1.5, 2.25])
            case "token":
                return source.choice(sorted(key.words))
            case "strings":
                return [words]
            case "next":
                return [f"s{source.randint(0, 999)}.m4s"]
        return f"https://a.example/{source.randint(0, 999)}" if name == "url" else words

    left_out = {"v", "sid", "e", "ts", "sn", "h", "cen"} | (set() if event else EVENT_KEYS)
    # Of both of these pairs one is to be said; which, is for the encoder to choose.
    left_out |= {"ab", "lab", "tab"}
    names = source.sample(sorted(set(KEYS) - left_out), source.randint(3, 20))
    values = {name: value(name) for name in names} | {"v": 2, "sid": "6e2fb550-c457", "sn": source.randint(0, 99)}
    if "ot" in values and {"d", "tpb"} & set(values):  # which only media have
        values["ot"] = source.choice(["v", "a", "av"])
    if event:
        values |= {"e": "rr", "ts": 1_700_000_000_000 + source.randint(0, 10**9), "url": "https://a.example/s.m4s"}
    return values


def test_each_reads_what_the_other_writes_and_neither_finds_fault() -> None:
    source = random.Random(5004)
    events = [place % 3 == 0 for place in range(300)]
    rows = [some_values(source, event=event) for event in events]
    asked = [
        {
            "values": values,
            "text": text(values),
            "query": query(values),
            "headers": dict(headers(values)),
            "event": MIME_TYPE if event else "",
            "report": report([values]).decode(),
        }
        for values, event in zip(rows, events, strict=True)
    ]
    rates = sorted(name for name, key in KEYS.items() if key.kind == "rates")
    for values, given, answer in zip(rows, asked, in_node(SCRIPT, asked, json.dumps(rates)), strict=True):
        assert answer["issues"] == [], given["text"]
        said = decode(given["text"])
        assert answer["fromText"] == said
        assert answer["fromQuery"] == said
        if not given["event"]:
            assert answer["fromHeaders"] == said
            assert answer["headers"] == given["headers"]
            assert answer["query"].lower() == given["query"].lower()
        assert answer["text"] == given["text"]
        assert decode(answer["text"]) == said
        assert set(said) == {name for name, value in values.items() if value is not False}


@pytest.mark.parametrize("mode", ["query", "header"])
def test_it_finds_no_fault_with_what_a_session_says(mode: str) -> None:
    asked = [{"query": request.query, "headers": dict(request.headers)} for request in requests_of(mode)]
    found = in_node(VALIDATE, asked)
    assert [row["issues"] for row in found] == [[]] * len(asked)
    assert {"br", "cdn", "cid", "d", "dl", "mtp", "nor", "ot", "sf", "sid", "sn", "st", "su", "tb", "v"} == {
        key for row in found for key in row["keys"]
    }


def test_it_finds_no_fault_with_what_a_collector_is_told_of_responses_and_of_the_player() -> None:
    took, _, _ = told(fault="stop")
    failed = {**took[0], "e": "e", "ec": ["unavailable"]}
    failed.pop("sta", None)
    assert {event["e"] for event in took} == {"rr", "ps", "t"}
    assert in_node(REPORTS, [report([*took, failed]).decode()], MIME_TYPE) == [[]]
