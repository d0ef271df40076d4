"""Two homes behind NATs, and the internet between them with a STUN and TURN server: network namespaces of this machine.

    home a            router a                  internet                 router b            home b
    10.0.1.2 -------- 10.0.1.1 | 203.0.113.10 --- bridge --- 203.0.113.20 | 10.0.2.1 -------- 10.0.2.2
                                                    |
                                              203.0.113.1  coturn

What a router does to UDP, in the words of RFC 4787 (NETWORK is what older papers call it):

    open            no router: the home has a public address                          203.0.113.11 and .21
    full-cone       maps independent of the endpoint, keeps the port, lets in everybody
    address         the same, and lets in only addresses that were spoken to          (address-restricted cone)
    port            the same, and lets in only addresses and ports that were          (port-restricted cone)
    symmetric       maps anew for each endpoint, to a port of chance, and lets in only that

Linux's masquerade keeps ports and filters by address and port; the others are made of it by nftables' rules.  What
comes unasked is dropped and not refused, as home routers do: a refusal would end a try that the next packet saves.

Needs root, iproute2, nftables and coturn; `missing()` says what is not there.  Nothing of the machine's own network is
touched, and all ends with the block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["KINDS", "PROGRAMS", "RELAY_URL", "STUN_URL", "USER", "Lab", "expected", "missing"]

KINDS = ("open", "full-cone", "address", "port", "symmetric")
SERVER = "203.0.113.1"  # TEST-NET-3 (RFC 5737), as all that is public here
WORLD = "203.0.113.254"  # where nobody is
STUN_URL, RELAY_URL = f"stun:{SERVER}:3478", f"turn:{SERVER}:3478"
USER, PASSWORD = "viewer", "secret"
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "turnserver": "coturn"}
_SIDES = {"a": 1, "b": 2}
_START_S = 20.0

_RULES = """
table ip nat {
  set spoken_to { type ipv4_addr; flags dynamic, timeout; timeout 5m; }
  chain out { type nat hook postrouting priority srcnat; oifname "ext" masquerade %(masquerade)s; }
  chain in { type nat hook prerouting priority dstnat; %(let_in)s }
  chain through { type filter hook forward priority filter; iifname "in" oifname "ext" add @spoken_to { ip daddr }; }
  chain unasked { type filter hook input priority filter; iifname "ext" drop; }
}
"""
_LET_IN = {
    "full-cone": 'iifname "ext" meta l4proto udp dnat to %(home)s;',
    "address": 'iifname "ext" ip saddr @spoken_to meta l4proto udp dnat to %(home)s;',
}


def missing(programs: Mapping[str, str] = PROGRAMS) -> str | None:
    """What a lab needs and does not find, by program and Debian's package; None when it can be built."""
    if os.geteuid() != 0:
        return "a lab of networks needs root, for network namespaces"
    for program, package in programs.items():
        if shutil.which(program) is None:
            return f"{program} is missing; Debian, as root: apt-get install {package}"
    probe = f"shoal-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"this machine lets nobody make a network namespace: {made.stderr.strip()}"
    ruled = subprocess.run(["ip", "netns", "exec", probe, "nft", "list", "ruleset"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return "this kernel has no nftables" if ruled.returncode else None


def expected(one: str, other: str) -> bool:
    """Whether two such homes can meet without a relay (RFC 5128, 3.3).

    A symmetric NAT tells the server one port and the peer another; the peer learns it from the first packet that comes
    through, which its own NAT must let in from a port that it has not spoken to.
    """
    kinds = {one, other}
    return "symmetric" not in kinds or bool(kinds & {"open", "full-cone", "address"})


class Lab:
    """`with Lab() as lab:`, then `lab.home(side, kind)` and processes by `lab.inside(side)`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for coturn's log."""
        self._folder = folder
        self._prefix = f"shoal-{os.getpid()}"
        self._relay: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as building:
            self._stack = building
            self._namespace("net")
            self._in("net", "ip", "link", "add", "bridge", "type", "bridge")
            self._in("net", "ip", "address", "add", f"{SERVER}/24", "dev", "bridge")
            self._in("net", "ip", "link", "set", "bridge", "up")
            # The rest of the world, where packets to homes' private addresses are lost; a coturn that has no route for
            # them ends the session that asked for it.
            self._in(
                "net", "ip", "neigh", "add", WORLD, "lladdr", "02:00:00:00:00:01", "dev", "bridge", "nud", "permanent"
            )
            self._in("net", "ip", "route", "add", "default", "via", WORLD)
            self._start_relay()
            self._stack = building.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def home(self, side: str, kind: str):
        """A home on side `a` or `b` behind such a router, until the end of the block."""
        with contextlib.ExitStack() as building:
            outer, self._stack = self._stack, building
            try:
                self._build(side, kind)
            finally:
                self._stack = outer
            yield

    def inside(self, side: str) -> list[str]:
        """What to put before a command, for it to run in that home."""
        return ["ip", "netns", "exec", self._name(f"home-{side}")]

    def _build(self, side: str, kind: str) -> None:
        number, home, router = _SIDES[side], f"home-{side}", f"router-{side}"
        self._namespace(home)
        if kind == "open":
            self._plug(home, "eth", side, f"203.0.113.{number}1/24")
            self._in(home, "ip", "route", "add", "default", "via", SERVER)
            return
        self._namespace(router)
        self._plug(router, "ext", side, f"203.0.113.{number}0/24")
        self._in(home, "ip", "link", "add", "eth", "type", "veth", "peer", "in", "netns", self._name(router))
        self._in(home, "ip", "address", "add", f"10.0.{number}.2/24", "dev", "eth")
        self._in(router, "ip", "address", "add", f"10.0.{number}.1/24", "dev", "in")
        self._in(home, "ip", "link", "set", "eth", "up")
        self._in(router, "ip", "link", "set", "in", "up")
        self._in(home, "ip", "route", "add", "default", "via", f"10.0.{number}.1")
        self._in(router, "ip", "route", "add", "default", "via", SERVER)
        self._in(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        rules = _RULES % {
            "masquerade": "fully-random" if kind == "symmetric" else "",
            "let_in": _LET_IN.get(kind, "") % {"home": f"10.0.{number}.2"},
        }
        self._in(router, "nft", "-f", "-", given=rules)

    def _plug(self, name: str, device: str, side: str, address: str) -> None:
        """A device in that namespace, plugged into the internet's bridge."""
        plug = f"plug-{side}"
        self._in("net", "ip", "link", "add", plug, "type", "veth", "peer", device, "netns", self._name(name))
        # The kernel takes a namespace's devices away some time after its name.
        self._stack.callback(self._in, "net", "ip", "link", "del", plug)
        self._in("net", "ip", "link", "set", plug, "master", "bridge", "up")
        self._in(name, "ip", "address", "add", address, "dev", device)
        self._in(name, "ip", "link", "set", device, "up")

    def _start_relay(self) -> None:
        log = self._folder / "turn.log"
        self._relay = subprocess.Popen(
            [
                *("ip", "netns", "exec", self._name("net"), "turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls"),
                *("-L", SERVER, "-E", SERVER, "-p", "3478", "--lt-cred-mech", "--user", f"{USER}:{PASSWORD}"),
                *("--realm", "shoal", "--log-file", str(log), "--simple-log"),
                *("--pidfile", str(self._folder / "turn.pid")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(self._stop_relay, self._relay)
        deadline = time.monotonic() + _START_S
        while not self._listens():
            if self._relay.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"coturn does not listen; see {log}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        """Whether somebody has UDP port 3478 in the internet's namespace."""
        return ":0D96 " in self._in("net", "cat", "/proc/net/udp")

    @staticmethod
    def _stop_relay(relay: subprocess.Popen[bytes]) -> None:
        relay.terminate()
        try:
            relay.wait(10)
        except subprocess.TimeoutExpired:
            relay.kill()
            relay.wait()

    def _name(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _namespace(self, name: str) -> None:
        full = self._name(name)
        _run("ip", "netns", "add", full)
        self._stack.callback(_run, "ip", "netns", "del", full)
        self._in(name, "ip", "link", "set", "lo", "up")

    def _in(self, name: str, *command: str, given: str | None = None) -> str:
        return _run("ip", "netns", "exec", self._name(name), *command, given=given)


def _run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
