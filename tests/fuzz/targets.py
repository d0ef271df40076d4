"""What is fuzzed: each function takes any bytes, and raises only when there is a bug.

What a parser may raise is caught here by its type, and nothing else is; what it gave is held against what must be
true of it.  `ALL` has them by name.  They run in three ways: on the kept inputs (`test_fuzz.py`, every leg), for
some seconds under atheris (the same file), and for ten minutes each in `make soak` (`run.py`).
"""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Callable

import msgspec

from shoal.app.options import settings
from shoal.app.tracker_core import TrackerCore
from shoal.app.tracker_messages import Shown
from shoal.app.tracker_nodes import Nodes
from shoal.app.tracker_proxies import TrustedProxies
from shoal.app.tracker_tokens import TokenRefused, Tokens
from shoal.balancer import wire
from shoal.balancer.errors import ConfigurationError, PlaylistError, SidecarError, SteeringError
from shoal.balancer.extension import Greeting, UploadState
from shoal.balancer.formats import cmcd, dash
from shoal.balancer.formats.cmsd import server_data
from shoal.balancer.formats.hls.parser import parse
from shoal.balancer.formats.hls.playlist import MediaPlaylist
from shoal.balancer.formats.hls.rewrite import rewrite
from shoal.balancer.formats.steering import cloned_uri
from shoal.balancer.integrity import Sidecar
from shoal.balancer.sim import traces
from shoal.balancer.steering import SteeringClient
from shoal.transports.errors import ConnectFailed, MessageTooLarge, TransportError
from shoal.transports.interface import FetchRequest
from shoal.transports.sansio.bodies import plan_body, status_error
from shoal.transports.sansio.bridge import BridgeCore
from shoal.transports.sansio.bridge_actions import Deliver, Send
from shoal.transports.sansio.bridge_frames import FrameMalformed, Wire, split
from shoal.transports.sansio.descriptions import bounded_description
from shoal.transports.sansio.hosts import parse_authority, parse_origin
from shoal.transports.sansio.ranges import parse_content_range, requested_span
from shoal.transports.sansio.reports import BadReport, Departures, reports_of
from shoal.transports.sansio.signaling import TrackerClient

__all__ = ["ALL"]

URL = "https://cdn.example/live/index.m3u8"
_WRITTEN_BACK = (wire.Request, wire.DataFollows, wire.DataDone, wire.Absent, wire.Cancel, Greeting, UploadState)
INFO_HASH, PEER_ID = "h" * 20, "p" * 20


def text_of(data: bytes) -> str:
    """Every byte a character, as header lines come; some of them text beyond ASCII."""
    return data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode("utf-8", "replace")


def wire_messages(data: bytes) -> None:
    """Messages of a channel, one after another, with a form feed between them: read until the first that is wrong.

    Twice: as a peer of ours hears them that has been greeted, and as one that has not.
    """
    for is_greeted in (False, True):
        decoder = wire.Decoder()
        decoder.is_greeted = is_greeted
        for message in data.split(b"\f"):
            try:
                read = decoder.receive(message)
            except wire.WireError:
                break
            # Lists of ids are not written back: a peer may repeat ids, and have more groups than ours would.
            if isinstance(read, _WRITTEN_BACK):
                again = wire.Decoder()
                again.is_greeted = is_greeted
                assert [again.receive(piece) for piece in wire.encode(read)] == [read], "it is read as written"


def playlist(data: bytes) -> None:
    """A playlist, and then a delta update of it; what players get of it is a playlist too."""
    whole, _, update = data.partition(b"\f")
    try:
        read = parse(whole, URL)
        again = parse(rewrite(read, lambda kind, uri, byte_range: "/x/1").data, "http://127.0.0.1/index.m3u8")
        assert type(again) is type(read), "what players get is of the same kind"
        if update and isinstance(read, MediaPlaylist):
            parse(update, URL, before=read)
    except PlaylistError:
        return


def mpd(data: bytes) -> None:
    """An MPD, and after form feeds an index and a patch; what players get of it is an MPD with as many periods."""
    text, _, rest = data.partition(b"\f")
    index, _, patch = rest.partition(b"\f")
    try:
        read = dash.parse(text, URL)
        if patch:
            read = dash.parse(dash.patched(read, patch), URL)
        catalogue = dash.Catalogue(dash.Limits(segments_max=1_000))
        catalogue.update(read)
        for number, known in catalogue.renditions.items():
            if known.index is not None:
                known.references = dash.references(index, known.index[1].offset)
            catalogue.resources(number, 1_800_000_000_000_000)
        written = dash.rewrite(read, lambda representation: "/dash/1/").data
    except PlaylistError:
        return
    again = dash.parse(written, "http://127.0.0.1/stream.mpd")
    assert len(again.periods) == len(read.periods), "what players get has the same periods"


def sidecar(data: bytes) -> None:
    try:
        Sidecar.parse(data, "https://cdn.example/live/shoal.json")
    except SidecarError:
        return


def steering(data: bytes) -> None:
    """What a steering server says, twice: whatever it is, the client knows when to ask again, and whom."""
    client = SteeringClient("https://steer.example/m.json?sig=1")
    now_us = 0
    for body in (data, data):
        url = client.due(now_us, pathway="a", throughput_bps=5_000_000)
        assert url is not None, "it is asked again when it is due"
        assert url.startswith("https://"), "it never leaves https"
        try:
            manifest = client.came(url, body, now_us)
        except SteeringError:
            pass
        else:
            for clone in manifest.clones:
                made = cloned_uri(clone, "https://a.example:8443/v/1.m3u8?k=1", clone.variant_uris, "1")
                assert made.startswith(("https://", "http://")), "a clone of a URL is a URL"
        assert client.due_us is not None, "it is asked again some time"
        assert now_us + 1_000_000 <= client.due_us <= now_us + 86_400_000_000, "neither at once nor never"
        now_us = client.due_us


def media_data(data: bytes) -> None:
    """CMCD as a player writes it, and CMSD-Static and CMSD-Dynamic as a server does: a line each."""
    lines = [text_of(line) for line in data.split(b"\n")] + [""] * 3
    server_data({"cmsd-static": lines[1], "cmsd-dynamic": lines[2]})
    try:
        values = cmcd.decode(lines[0])
        written = cmcd.text(values)
    except ValueError:  # some of what can be read has no place in the standard, and is not written
        return
    assert cmcd.text(cmcd.decode(written)) == written, "it is read as written"


def configuration(data: bytes) -> None:
    """A file of settings: JSON where it begins with a brace, TOML otherwise."""
    try:
        settings(text_of(data), is_json=data[:1] in {b"{", b"["}, name="fuzzed")
    except ConfigurationError:
        return


def headers(data: bytes) -> None:
    """Range, Content-Range, Host and Origin, and what a server says of a body: a line each."""
    lines = [text_of(line) for line in data.split(b"\n")] + [""] * 8
    total_bytes = len(data)
    span = requested_span(lines[0], total_bytes)
    assert span is None or 0 <= span.first <= span.first + span.length <= total_bytes, "a span lies within the whole"
    try:
        part = parse_content_range(lines[1])
        assert 0 <= part.first <= part.last, "a part is not empty"
        assert part.total is None or part.last < part.total, "a part lies within the whole"
    except ValueError:
        pass
    authority = parse_authority(lines[2])
    if authority is not None:
        shown = f"[{authority.name}]" if ":" in authority.name else authority.name
        written = shown if authority.port is None else f"{shown}:{authority.port}"
        assert parse_authority(written) == authority, "a host that was read is read the same again"
    parse_origin(lines[3])
    names = ("content-range", "content-length", "etag", "transfer-encoding", "retry-after", "date")
    said = {name: line for name, line in zip(names, [lines[1], *lines[4:]], strict=False) if line}
    status_error(URL, 503, lines[0], said)
    for first_byte, status in ((0, 200), (0, 206), (7, 206)):
        try:
            plan = plan_body(status, said, FetchRequest(url=URL, first_byte=first_byte))
        except TransportError:
            continue
        assert plan.wire_bytes is None or plan.wire_bytes >= 0, "as many bytes come as there are"


def description(data: bytes) -> None:
    try:
        bounded = bounded_description(text_of(data))
    except ConnectFailed:
        return
    assert bounded_description(bounded) == bounded, "what is within bounds stays as it is"


def reports(data: bytes) -> None:
    """What a peer says of reports in its description, and after a form feed reports of what came, a line each.

    Between two of them a message leaves, as long as the number of the line.
    """
    said, _, lines = data.partition(b"\f")
    reports_of(text_of(said))
    departures = Departures()
    for number, line in enumerate(lines.split(b"\n")[:50]):
        departures.sent(number * 10_000, number * 1_000)
        try:
            round_trip_us = departures.reported(text_of(line), number * 1_000)
        except BadReport:
            return
        assert round_trip_us is None or round_trip_us >= 0, "what came had left before"
        assert departures.in_flight_bytes >= 0, "no more came than left"


def tokens(data: bytes) -> None:
    """A token out of a tracker's URL: nobody comes in with what was not signed here."""
    try:
        subject = Tokens((b"k" * 32,)).check(text_of(data), 1_000.0)
    except TokenRefused:
        return
    assert text_of(data).rpartition(".")[0].endswith(subject), "it was made for whom it names"


def forwarded(data: bytes) -> None:
    """Lines of X-Forwarded-For: what a client writes, left of what our proxies do, changes nothing."""
    proxies = TrustedProxies(["127.0.0.1", "10.0.0.0/8"])
    lines = text_of(data).split("\n")
    assert proxies.caller("192.0.2.1", lines).address == "192.0.2.1", "who is not trusted is not asked"
    caller = proxies.caller("127.0.0.1", lines)
    assert str(ipaddress.ip_address(caller.address)) == caller.address, "an address is written in one way"
    lines[-1] += ", 2001:db8::1, 10.0.0.1"
    assert proxies.caller("127.0.0.1", lines).address == "2001:db8::1", "the nearest that is not ours"


def tracker_client(data: bytes) -> None:
    """What a tracker and the peers behind it send to a peer, a line each, a second apart."""
    client = TrackerClient(INFO_HASH, PEER_ID, chance=lambda: 0.5)
    client.connected(0)
    client.announce({"o" * 20: "v=0"}, 0)
    for second, line in enumerate(data.split(b"\n")[:50]):
        now_us = second * 1_000_000
        client.receive(text_of(line), now_us)
        client.tick(now_us)
        assert client.wake_at_us is None or client.wake_at_us > 0, "there is a time to wake at"


def tracker_server(data: bytes) -> None:
    """What clients send to the tracker, a line each: its first byte says which of three sockets."""
    core = TrackerCore(random.Random(1))
    for socket in range(3):
        assert core.opened(socket, "192.0.2.1") is None
    for number, line in enumerate(data.split(b"\n")[:50]):
        for _, text in core.receive(line[0] % 3 if line else 0, text_of(line[1:]), number * 100_000):
            json.loads(text)
    for socket in range(3):
        core.closed(socket)
    assert core.statistics().peers == 0, "who left is gone"


class Note(msgspec.Struct):
    number: int
    data: bytes = b""


def bridge(data: bytes) -> None:
    """What a page sends to a bridge: frames with a form feed between them, joined with byte strings or text alone."""
    core = BridgeCore()
    core.expose("it", [Note])
    core.begin(0)
    for number, message in enumerate(data.split(b"\f")[:50]):
        try:
            wire = split(message, core.limits) if message[:1] == b"\0" else Wire(text_of(message))
        except (FrameMalformed, MessageTooLarge):
            continue
        for action in core.receive(wire.text, wire.parts, number):
            if isinstance(action, Send):
                json.loads(action.wire.text)
            assert not isinstance(action, Deliver) or type(action.message) is Note, "only what is registered is reached"
    core.close("over")
    assert core.statistics().questions == 0, "nothing is left"


def tracker_nodes(data: bytes) -> None:
    """What comes from a tracker's other nodes, or from who has got at their Redis: messages with newlines between."""
    nodes = Nodes("here")
    nodes.update(INFO_HASH, Shown(0, 1, [PEER_ID]))
    for number, payload in enumerate(data.split(b"\n")[:50]):
        relay = nodes.heard(payload, number * 1_000_000)
        assert relay is None or len(relay.peer_id) == len(PEER_ID), "a text is for somebody"
    assert all(len(far.peer_id) == len(PEER_ID) for far in nodes.peers(INFO_HASH)), "a peer has a whole id"
    nodes.expire(10**12)
    assert nodes.counts(INFO_HASH) == (0, 0), "what is not told again ends"


def trace(data: bytes) -> None:
    try:
        read = traces.parse(text_of(data))
    except traces.BadTrace:
        return
    assert 0 < read.next_us(0) <= read.length_us, "time goes on"


ALL: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        *(wire_messages, playlist, mpd, sidecar, steering, media_data, configuration, headers),
        *(description, reports, tokens, forwarded, tracker_client, tracker_server, tracker_nodes, trace, bridge),
    )
}
