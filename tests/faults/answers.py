"""What a server that does wrong says in place of the truth, in memory and on sockets alike."""

from __future__ import annotations

import datetime as dt
import email.utils
import functools
import gzip

__all__ = ["answer_without", "dates", "flipped", "other_body"]

_PAGE = b"<!doctype html><title>504 Gateway Time-out</title>" + b"<p>sorry</p>" * 20
_DAY = dt.timedelta(days=1)
_BOMB_BYTES = 10_000_000  # compressed it is as short as a page


def answer_without(fault: str, path: str, inside: str) -> tuple[int, dict[str, str]] | None:
    """Status and headers of an answer that has nothing of the resource; None where the fault is another.

    `path` is what was asked for, and `inside` a URL that nobody may reach.
    """
    match fault:
        case "429":
            return 429, {"retry-after": "1"}
        case "skewed" | "skewed-back":
            now = dt.datetime.now(dt.UTC) + (_DAY if fault == "skewed" else -_DAY)
            return 503, {"date": _date(now), "retry-after": _date(now + dt.timedelta(seconds=2))}
        case "loop":
            return 302, {"location": path}
        case "private":
            return 302, {"location": inside}
        case "scheme":
            return 302, {"location": "file:///etc/passwd"}
        case "header-bomb":
            return 200, {f"x-bomb-{number}": "1" for number in range(10_000)}
        case status if status.isdigit() and status != "206":
            return int(status), {}
    return None


def other_body(fault: str, data: bytes, before: bytes) -> tuple[bytes, dict[str, str]] | None:
    """A body that is another, said plainly, and headers of it; None where the fault is another.

    `data` is the truth, and `before` what it was once.
    """
    match fault:
        case "short":
            return data[: -max(1, len(data) // 3)], {}
        case "long":
            return data + bytes(max(100, len(data) // 3)), {}
        case "empty":
            return b"", {}
        case "garbage":
            return _PAGE, {}
        case "gzip":
            return gzip.compress(data, mtime=0), {"content-encoding": "gzip"}
        case "bomb":
            return _bomb(), {"content-encoding": "gzip"}
        case "other":
            return bytes(byte ^ 0x55 for byte in data), {}
        case "stale":
            return before, {}
    return None


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(_BOMB_BYTES), mtime=0)


def dates(fault: str) -> dict[str, str]:
    """What a clock that is a day off has in the headers of a right answer."""
    now = dt.datetime.now(dt.UTC) + (_DAY if fault == "ahead" else -_DAY)
    return {"date": _date(now), "last-modified": _date(now), "expires": _date(now + dt.timedelta(seconds=10))}


def flipped(data: bytes) -> bytes:
    """One bit in the middle is wrong."""
    half = len(data) // 2
    return data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]


def _date(moment: dt.datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True)
