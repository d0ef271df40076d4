"""Each transport that the registry knows is held to the contract of its kind, by the classes named here."""

from __future__ import annotations

import importlib

import pytest

from shoal.transports import registry

from .contract import ChannelContract, HasherContract, ShelfContract, SignalingContract
from .contract_http import FetcherContract

CONTRACTS = {
    "fetcher": FetcherContract,
    "server": FetcherContract,  # each is the other's test
    "connector": ChannelContract,
    "signaling": SignalingContract,
    "hasher": HasherContract,
    "shelf": ShelfContract,
}
HELD = {
    "connector.browser": "test_browser_contract.TestDataChannels",
    "connector.memory": "test_memory_contract.TestChannelsInMemory",
    "connector.native": "test_native_contract.TestWebRtcChannels",
    "connector.webrtc-apart": "test_apart.TestApartChannels",
    "connector.webrtc-native": "test_native_contract.TestNativeEngineChannels",
    "fetcher.browser": "test_browser_contract.TestFetch",
    "fetcher.memory": "test_memory_contract.TestFetcherInMemory",
    "fetcher.native": "test_native_contract.TestHttpFetcher",
    "hasher.browser": "test_browser_contract.TestSubtle",
    "hasher.memory": "test_memory_contract.TestHasherInline",
    "hasher.native": "test_native_contract.TestThreadHasher",
    "server.memory": "test_memory_contract.TestFetcherInMemory",
    "server.native": "test_native_contract.TestHttpFetcher",
    "shelf.memory": "test_memory_contract.TestShelfInMemory",
    "shelf.native": "test_native_contract.TestThreadShelf",
    "signaling.browser": "test_browser_contract.TestWebSockets",
    "signaling.memory": "test_memory_contract.TestSignalingInMemory",
    "signaling.native": "test_native_contract.TestWebSocketSignaling",
}


def test_every_transport_of_ours_has_its_place_here() -> None:
    assert set(HELD) == set(registry._BUILTIN)


@pytest.mark.parametrize("name", sorted(HELD))
def test_it_is_held_to_the_contract_of_its_kind(name: str) -> None:
    module, _, test = HELD[name].partition(".")
    try:
        held = getattr(importlib.import_module(f"{__package__}.{module}"), test)
    except pytest.skip.Exception as missing:
        pytest.skip(str(missing))
    assert issubclass(held, CONTRACTS[name.partition(".")[0]])
