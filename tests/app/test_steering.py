"""The steering server behind its port's handler, and hls.js in Chromium, which goes where it is told."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from shoal.app.steering import SteeringServer
from shoal.balancer.errors import ConfigurationError
from shoal.transports.interface import ServerRequest


def configured(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "steering.toml"
    path.write_text(text)
    return path


def asked(server: SteeringServer, path: str = "/steering.json", method: str = "GET", query: str = "") -> Any:
    request = ServerRequest(method=method, path=path, query=query, headers={}, remote="127.0.0.1")
    return asyncio.run(server.handle(request))


def test_any_page_may_read_what_players_are_told(tmp_path: Path) -> None:
    server = SteeringServer(configured(tmp_path, 'priority = ["a", "b"]\nttl_s = 30\n'))
    response = asked(server)
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert json.loads(response.body)["PATHWAY-PRIORITY"] == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/steering.json", "POST", 405), ("/steering.json", "OPTIONS", 204), ("/x", "OPTIONS", 204)],
)
def test_there_is_one_thing_to_ask_for(tmp_path: Path, path: str, method: str, status: int) -> None:
    server = SteeringServer(configured(tmp_path, 'priority = ["a"]\n'))
    assert asked(server, path, method).status == status


def test_a_changed_file_counts_from_the_next_request_on_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = configured(tmp_path, 'priority = ["a", "b"]\n')
    server = SteeringServer(path)
    told: list[ConfigurationError | None] = []
    server.on_reloaded = told.append

    def change(text: str, at_s: int) -> list[str]:
        path.write_text(text)
        os.utime(path, (at_s, at_s))
        server._looked_us = 0  # as if a second had gone by
        return list(json.loads(asked(server).body)["PATHWAY-PRIORITY"])

    assert change('priority = ["b", "a"]\n', 1) == ["b", "a"]
    assert change("priority = 5\n", 2) == ["b", "a"]
    assert change("priority = [\n", 3) == ["b", "a"]
    assert [error is None for error in told] == [True, False, False]
    path.unlink()
    server._looked_us = 0
    assert asked(server).status == 200


@pytest.mark.parametrize("text", ["priority = [", "priority = 5", "\x00"])
def test_a_file_that_cannot_be_used_is_named_at_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"steering\.toml"):
        SteeringServer(configured(tmp_path, text))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SteeringServer(tmp_path / "none.toml")
