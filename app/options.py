"""The options that say what to play and from where, shared by the commands."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import msgspec

from shoal.balancer.config import BalancerConfig, UnknownSetting, load
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.identity import scheme_named

from .cmcd import MODES
from .page_stream import PageOptions
from .peering import PeerOptions, TurnServer
from .session import SessionOptions

__all__ = ["add_stream_options", "balancer_config", "page_options", "port_number", "settings", "stream_options"]

_KEY = re.compile(r"[0-9a-fA-F]{64}")
# RFC 9110, 5.1 and 5.5: a name is a token, and a value holds no control characters.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BYTES = re.compile(r"([0-9]{1,12})([KMGTkmgt]?)")
_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="an HLS playlist or a DASH manifest, http or https")
    parser.add_argument(
        "--format",
        default="auto",
        choices=("auto", "hls", "dash"),
        help="which of the two it is; auto goes by its path, which ends in .mpd or does not",
    )
    stream = parser.add_argument_group("sources")
    stream.add_argument(
        "--cdn",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="the same playlist on another CDN (or its folder, with a slash at the end); may be repeated",
    )
    stream.add_argument(
        "--weight", action="append", default=[], metavar="NAME=X", help="business preference of a CDN (1 by default)"
    )
    stream.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="NAME=X",
        help="what a CDN costs per GB (0 by default); of those surely in time the cheapest is asked",
    )
    stream.add_argument(
        "--priority",
        action="append",
        default=[],
        metavar="NAME=N",
        help="0 by default; a CDN of a higher number is asked only while none below it can be",
    )
    stream.add_argument(
        "--commit",
        action="append",
        default=[],
        metavar="NAME=GB",
        help="what is paid for already at a CDN, as this viewer's part of it: free until then",
    )
    stream.add_argument(
        "--hashes",
        default="auto",
        metavar="URL",
        help="sidecar of SHA-256 hashes, ours or PeerTube's; auto looks for shoal-hashes.json beside the"
        " playlist, none does without",
    )
    stream.add_argument(
        "--hashes-key",
        metavar="HEX",
        help="public key of Ed25519, 64 hex digits: hashes that are not signed with it count for nothing",
    )
    stream.add_argument(
        "--no-steering", action="store_true", help="do not ask the content steering server that the playlist names"
    )
    stream.add_argument(
        "--cmcd",
        choices=MODES,
        help="tell CDNs of each request what it is for (CMCD 2, CTA-5004-B), in its query or in headers (nothing)",
    )
    stream.add_argument(
        "--cmcd-report",
        metavar="URL",
        help="tell this collector of each response, from CDNs and peers, and how the player fares (CMCD 2, event mode)",
    )
    stream.add_argument("--cmcd-content", metavar="ID", help="what is played, as they are told (a hash of URL)")
    stream.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="sent to every CDN")
    stream.add_argument(
        "--cookies", action="store_true", help="send back the cookies that origins set, while the session lasts (none)"
    )
    stream.add_argument(
        "--environment-proxies",
        action="store_true",
        help="fetch through HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, but for NO_PROXY; they are trusted with names (not)",
    )
    _add_peer_options(parser)
    store = parser.add_argument_group("store")
    store.add_argument(
        "--store",
        metavar="DIR",
        help="keep segments in this folder too; sessions of this machine share it (memory alone)",
    )
    store.add_argument(
        "--store-max", default="4G", metavar="BYTES", help="most that lies there, such as 500M or 20G (4G)"
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="also fetch from this host when a playlist names it",
    )
    limits.add_argument(
        "--allow-private", action="store_true", help="fetch from loopback, private and link-local addresses too"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write down every event and decision, without media, URLs and addresses"
    )
    limits.add_argument("--config", metavar="FILE", help="settings of the balancer, TOML or JSON")


def _add_peer_options(parser: argparse.ArgumentParser) -> None:
    peers = parser.add_argument_group("peers")
    peers.add_argument(
        "--tracker", action="append", default=[], metavar="URL", help="WebTorrent tracker (ws or wss); enables peers"
    )
    peers.add_argument("--swarm-id", metavar="TEXT", help="swarm name, as p2p-media-loader's swarmId (the URL)")
    peers.add_argument(
        "--swarm-scheme",
        default="2.3",
        metavar="VERSION",
        help="whose swarms to meet in: p2p-media-loader 2.3, 2.2, or PROTOCOL:PREFIX of a later one (2.3)",
    )
    peers.add_argument(
        "--stun",
        action="append",
        default=[],
        metavar="URL",
        help="stun:HOST:PORT, which tells us our public address; may be repeated where WebRTC takes several (none)",
    )
    peers.add_argument(
        "--turn",
        action="append",
        default=[],
        metavar="URL",
        help="turn:HOST:PORT, a relay; repeated as --stun is (none)",
    )
    peers.add_argument("--turn-login", metavar="FILE", help="NAME:PASSWORD at the relays, in a file")
    peers.add_argument(
        "--candidates",
        default="auto",
        choices=("auto", "all", "public", "relay"),
        help="which of our addresses other viewers learn: all, public ones, a relay's alone, or auto: all where every"
        " tracker is at a private or loopback address (or localhost), else public ones (auto)",
    )
    peers.add_argument("--upload-max", metavar="MBIT", help="most that is uploaded, in Mbit/s on the line (no limit)")
    peers.add_argument(
        "--no-peers",
        action="store_true",
        help="begin without the viewer's consent: no tracker is asked, no address gathered (SIGUSR2: it is given)",
    )
    peers.add_argument(
        "--no-audit", action="store_true", help="without hashes, use no peers, instead of auditing what they send"
    )
    peers.add_argument(
        "--announce-audited",
        action="store_true",
        help="without hashes, offer on what came from peers and was audited (nothing)",
    )
    peers.add_argument(
        "--announce-unaudited",
        action="store_true",
        help="without hashes, offer also what came from a CDN, which nobody audits: for a swarm's first peer",
    )
    peers.add_argument("--webrtc", metavar="NAME", help="another implementation of WebRTC, such as webrtc-native")


def stream_options(args: argparse.Namespace) -> SessionOptions:
    """SessionOptions of parsed arguments; ConfigurationError names the argument that is wrong."""
    url = _url("URL", args.url)
    return SessionOptions(
        url=url,
        format=args.format,
        cdns={name: _url(f"--cdn {name}", value, base=url) for name, value in _pairs("--cdn", args.cdn).items()},
        weights={name: _number("--weight", value) for name, value in _pairs("--weight", args.weight).items()},
        prices={name: _number("--price", value) for name, value in _pairs("--price", args.price).items()},
        priorities={name: _count("--priority", value) for name, value in _pairs("--priority", args.priority).items()},
        commits={name: int(1e9 * _number("--commit", v)) for name, v in _pairs("--commit", args.commit).items()},
        trackers=tuple(_tracker(url) for url in args.tracker),
        swarm_id=args.swarm_id,
        swarm_scheme=scheme_named(args.swarm_scheme).version,
        hashes=args.hashes if args.hashes in {"auto", "none"} else _url("--hashes", args.hashes, base=url),
        hashes_key=_key(args.hashes_key),
        headers=tuple(_header(header) for header in args.header),
        cookies=args.cookies,
        environment_proxies=args.environment_proxies,
        steering=not args.no_steering,
        cmcd=args.cmcd,
        cmcd_report=None if args.cmcd_report is None else _url("--cmcd-report", args.cmcd_report),
        cmcd_content=args.cmcd_content,
        peers=_peer_options(args),
        are_peers_allowed=not args.no_peers,
        allowed_hosts=frozenset(host.lower() for host in args.allow_host),
        allow_private=args.allow_private,
        config=_with_audits(balancer_config(args.config), args),
        store=args.store,
        store_bytes_max=_byte_count("--store-max", args.store_max),
        record=args.record,
    )


def page_options(args: argparse.Namespace) -> PageOptions:
    """What a page's session may be told of them; ConfigurationError names the argument that is wrong."""
    url = _url("URL", args.url)
    return PageOptions(
        url=url,
        cdns={name: _url(f"--cdn {name}", value, base=url) for name, value in _pairs("--cdn", args.cdn).items()},
        trackers=tuple(_tracker(url) for url in args.tracker),
        peers=_peer_options(args),
        are_peers_allowed=not args.no_peers,
        allow_private=args.allow_private,
        record=args.record,
    )


def _peer_options(args: argparse.Namespace) -> PeerOptions:
    upload = None if args.upload_max is None else int(_number("--upload-max", args.upload_max) * 1e6 / 8)
    name, password = _login(args.turn_login) if args.turn else ("", "")
    options = PeerOptions(
        stun_servers=tuple(args.stun),
        turn_servers=tuple(TurnServer(url, name, password) for url in args.turn),
        candidates=args.candidates,
        line_bytes_per_s=upload,
        webrtc=args.webrtc,
    )
    options.check()
    return options


def _with_audits(config: BalancerConfig, args: argparse.Namespace) -> BalancerConfig:
    """What the command line says of audits, over what the file of settings says."""
    return msgspec.structs.replace(
        config,
        audit=config.audit and not args.no_audit,
        announce_audited=config.announce_audited or args.announce_audited,
        announce_unaudited=config.announce_unaudited or args.announce_unaudited,
    )


def _login(path: str | None) -> tuple[str, str]:
    """From a file and not from the command line, which every user of the machine can read."""
    if path is None:
        raise ConfigurationError("--turn needs --turn-login FILE, with NAME:PASSWORD in it; relays serve nobody else")
    try:
        name, is_there, password = Path(path).read_text("utf-8").strip().partition(":")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--turn-login {path} cannot be read: {error}") from error
    if not (name and is_there and password):
        raise ConfigurationError(f"--turn-login {path} is not of the form NAME:PASSWORD")
    return name, password


def port_number(text: str) -> int:
    """For argparse: a port to listen on, or 0 for any free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _url(option: str, text: str, *, base: str = "") -> str:
    """`text` as it is, if it can be taken apart; what it names is judged where it is used."""
    try:
        parts = urlsplit(urljoin(base, text))
        (parts.hostname or "").encode("idna")  # refuses empty and overlong labels
        _ = parts.port  # refuses what is no port
    except ValueError as error:
        raise ConfigurationError(f"{option} {text!r} is not a URL: {error}; check its host and port") from error
    return text


def _pairs(option: str, rows: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for row in rows:
        name, is_there, value = row.partition("=")
        if not (name and is_there and value):
            raise ConfigurationError(f"{option} {row!r} is not of the form NAME=VALUE")
        if name in pairs:
            raise ConfigurationError(f"{option} {name} is given twice")
        pairs[name] = value
    return pairs


def _count(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise ConfigurationError(f"{option} {text!r} is not a whole number from 0 to 999")
    return int(text)


def _byte_count(option: str, text: str) -> int:
    """`500M` is 500 * 1024 * 1024, as config.py counts."""
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{option} {text!r} is not a number of bytes, such as 500M or 20G")
    return int(match[1]) << _SHIFTS[match[2].upper()]


def _number(option: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise ConfigurationError(f"{option} {text!r} is not a number above 0")
    return number


def _tracker(url: str) -> str:
    if not url.startswith(("ws://", "wss://")):
        raise ConfigurationError(f"--tracker {url!r} is not a ws or wss URL")
    return _url("--tracker", url)


def _key(text: str | None) -> str | None:
    if text is not None and not _KEY.fullmatch(text):
        raise ConfigurationError(f"--hashes-key has {len(text)} characters; it is a public key in 64 hex digits")
    return text


def _header(row: str) -> tuple[str, str]:
    name, is_there, value = row.partition(":")
    if not (is_there and _HEADER_NAME.fullmatch(name.strip()) and _HEADER_VALUE.fullmatch(value.strip())):
        raise ConfigurationError(f"--header {row!r} is not of the form NAME:VALUE")
    return name.strip(), value.strip()


def balancer_config(path: str | None) -> BalancerConfig:
    """What `--config` names, or the defaults.  ConfigurationError says what is wrong with it."""
    if path is None:
        return BalancerConfig()
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"--config {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--config {path}: {error}") from error
    return settings(text, is_json=path.endswith(".json"), name=path)


def settings(text: str, *, is_json: bool, name: str) -> BalancerConfig:
    """What the text of a file of settings means; `name` is for the message.  ConfigurationError if it is none."""
    try:
        values = json.loads(text) if is_json else tomllib.loads(text)
        if not isinstance(values, dict):
            raise ConfigurationError(f"--config {name}: it holds a {type(values).__name__}, not settings by name")
        return load(values)
    except RecursionError:
        raise ConfigurationError(f"--config {name}: it is nested deeper than can be read; settings are flat") from None
    except (ValueError, UnknownSetting, msgspec.ValidationError) as error:
        raise ConfigurationError(f"--config {name}: {error}") from error
