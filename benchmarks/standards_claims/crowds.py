"""A thousand slow clients (slowhttptest) at our proxy, and somebody who only wants to watch.

    slow headers   each drips the head of a request
    slow body      each announces a body and drips it
    slow read      each asks for a segment of 1 MiB and takes a few bytes a second

Meanwhile a segment is asked for ten times a second, each time on a new connection;
what counts is the slowest of all.  The same without a crowd is printed beside it.
"""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import threading
import time

from harness import Claim

from .bodies import SIZES
from .serving import server

CONNECTIONS = 1000
ATTACK_S = 12  # of which five go by until all connections are made
MODES = {
    "slow headers": ["-H", "-i", "1"],
    "slow body": ["-B", "-i", "1"],
    "slow read": ["-X", "-n", "1", "-w", "10", "-y", "20", "-z", "5"],
}
EVERY_S = 0.1
PATH = "/media/0/1/x.ts"
LIMIT_MS = 500
MADE_MIN = 0.9 * CONNECTIONS  # in the attacker's last report, which comes some seconds before its end
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COUNTS = re.compile(r"(?:connected|closed): (\d+)")
NEVER_MS = 1e9  # of a request that was refused or cut


def request_ms(port: int) -> float:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        whole = len(response.read()) == SIZES["1"] and response.status == 200
    except (OSError, http.client.HTTPException):
        whole = False
    finally:
        connection.close()
    return 1000 * (time.perf_counter() - began) if whole else NEVER_MS


def watched_ms(port: int, is_over: threading.Event) -> list[float]:
    taken: list[float] = []
    while not is_over.wait(EVERY_S):
        taken.append(request_ms(port))
    return taken


def attacked_ms(port: int, arguments: list[str]) -> tuple[list[float], str, bool]:
    """What each request took meanwhile, what the attacker says of its connections, and whether it made them all.

    Those that are open and those that were cut are all that it made.
    """
    is_over = threading.Event()
    taken: list[float] = []
    watcher = threading.Thread(target=lambda: taken.extend(watched_ms(port, is_over)))
    watcher.start()
    command = ["slowhttptest", *arguments, "-c", str(CONNECTIONS), "-r", "200", "-l", str(ATTACK_S), "-x", "8"]
    done = subprocess.run(
        [*command, "-u", f"http://127.0.0.1:{port}{PATH}"], capture_output=True, text=True, check=False
    )
    is_over.set()
    watcher.join()
    rows = [" ".join(COLOUR.sub("", row).split()) for row in done.stdout.splitlines()]
    states = [row for row in rows if row.startswith(("connected:", "closed:", "error:"))]
    made = sum(int(count) for count in COUNTS.findall(" ".join(states[-3:])))
    return taken, ", ".join(states[-3:]), done.returncode == 0 and made >= MADE_MIN


def claims(rounds: int) -> list[Claim]:  # noqa: ARG001 - each mode takes its seconds once
    has_tool = shutil.which("slowhttptest") is not None
    found: list[Claim] = []
    with server("bare") as origin, server("shoal", str(origin.port), "1", "64") as proxy:
        calm = [request_ms(proxy.port) for _ in range(20)]
        print(f"a request without a crowd: {max(calm):.0f} ms at most")
        for name, arguments in MODES.items():
            slowest: float | None = None
            if has_tool:
                taken, states, is_attack = attacked_ms(proxy.port, arguments)
                slowest = max(taken) if is_attack else None  # else nothing was measured
                failed = sum(each == NEVER_MS for each in taken)
                print(f"{name}, {CONNECTIONS} connections ({states}): {len(taken)} requests, {failed} failed")
            what = f"slowest request beside {CONNECTIONS} of {name}"
            found.append(Claim(what, slowest, LIMIT_MS, at_least=False, unit="ms"))
    if not has_tool:
        print("slowhttptest is not installed (Debian, as root: apt-get install slowhttptest)")
    return found
