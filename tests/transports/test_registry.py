"""Transports are found by name; a missing one says what was tried and what to install."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from shoal.transports import interface, registry
from shoal.transports.errors import TransportMissing

KINDS = ["fetcher", "server", "connector", "signaling", "hasher"]


def offer(monkeypatch, *entries):
    """Pretend that installed packages offer these (name, value)."""
    points = [metadata.EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in entries]
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: metadata.EntryPoints(points).select(**wanted))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["native", "memory"])
def test_every_built_in_is_found(kind, name):
    assert callable(registry.resolve(kind, name))
    assert f"{kind}.{name}" in registry.available()


def test_every_module_that_it_says_it_has_is_there():
    named = re.findall(r"\b(?:native|memory|browser)/\w+\.py|\b\w+\.py\b", registry.__doc__)
    assert len(named) >= len(KINDS) * 3
    folder = Path(registry.__file__).parent
    assert [name for name in named if not (folder / name).is_file()] == []


def test_without_a_name_it_is_the_platforms_own():
    assert registry.platform() == "native"
    assert registry.resolve_fetcher() is registry.resolve("fetcher", "native")
    assert isinstance(registry.resolve_fetcher()(), interface.Fetcher)
    assert isinstance(registry.resolve_hasher("memory")(), interface.Hasher)
    assert isinstance(registry.resolve_server()(), interface.Server)


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, shoal.transports.registry as r, shoal.transports.native\n"
        "assert not {'aiohttp', 'aiortc', 'asyncio'} & set(sys.modules), sorted(sys.modules)\n"
        "r.resolve('fetcher', 'native')\n"
        "assert 'aiohttp' in sys.modules and 'aiortc' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_memory_network_needs_no_package_but_msgspec():
    code = (
        "import sys\nsys.modules.update(dict.fromkeys(['aiohttp', 'yarl', 'aiortc', 'multidict']))\n"
        "import shoal.transports.memory\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "package", "install"),
    [("connector", "aiortc", 'pip install "shoal[webrtc]"'), ("fetcher", "aiohttp", "pip install shoal")],
)
def test_a_missing_package_is_named_with_what_to_install(kind, package, install, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("shoal.transports.native")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TransportMissing) as caught:
        registry.resolve(kind, "native")
    assert install in str(caught.value)
    assert package in str(caught.value)
    assert f"tried shoal.transports.native.{ {'connector': 'webrtc', 'fetcher': 'http'}[kind] }" in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "server"])
def test_the_browsers_say_where_they_work(kind):
    with pytest.raises(TransportMissing, match=rf"{kind}\.browser could not be loaded.* in a web page only"):
        registry.resolve(kind, "browser")


def test_a_page_has_no_server_and_does_not_pretend():
    with pytest.raises(TransportMissing, match=r"server\.browser is missing.* cannot listen"):
        registry.resolve("server", "browser")


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(TransportMissing, match=r"fetcher\.pigeon .* fetcher\.memory, fetcher\.native"):
        registry.resolve_fetcher("pigeon")


def test_another_package_adds_a_transport(monkeypatch):
    offer(monkeypatch, ("fetcher.pigeon", "collections:OrderedDict"))
    import collections

    assert registry.resolve("fetcher", "pigeon") is collections.OrderedDict
    assert "fetcher.pigeon" in registry.available()


def test_another_package_adds_a_kind(monkeypatch):
    offer(monkeypatch, ("cache.redis", "collections:Counter"))
    import collections

    assert registry.resolve("cache", "redis") is collections.Counter


def test_a_built_in_cannot_be_replaced(monkeypatch):
    offer(monkeypatch, ("fetcher.native", "collections:OrderedDict"))
    assert registry.resolve("fetcher", "native").__name__ == "HttpFetcher"


def test_the_browsers_gap_can_be_filled(monkeypatch):
    offer(monkeypatch, ("server.browser", "collections:OrderedDict"))
    assert registry.resolve("server", "browser").__name__ == "OrderedDict"


@pytest.mark.parametrize("value", ["no_such_module:X", "collections:NoSuchThing"])
def test_a_broken_entry_point_is_named(monkeypatch, value):
    offer(monkeypatch, ("fetcher.pigeon", value))
    with pytest.raises(TransportMissing, match=value):
        registry.resolve("fetcher", "pigeon")


def test_two_packages_of_one_name_are_not_chosen_between(monkeypatch):
    offer(monkeypatch, ("fetcher.pigeon", "a:X"), ("fetcher.pigeon", "b:X"))
    with pytest.raises(TransportMissing, match=r"more than once \(a:X, b:X\)"):
        registry.resolve("fetcher", "pigeon")
