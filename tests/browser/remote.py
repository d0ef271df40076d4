"""In the page: transports, made and called for `chromium_world.py`, which is native.  A JSON text each way.

{"task": 1, "do": "make", "kind": "fetcher", "fields": {...}}          a transport of this platform
{"task": 2, "do": "call", "object": 1, "method": "open", "arguments": [...], "fields": {...}}
{"task": 3, "do": "next", "object": 2}                                  the next piece of a body
{"task": 4, "do": "get", "object": 2, "name": "buffered_bytes"}
{"task": 5, "do": "cancel", "other": 2}
"""

import asyncio
import base64
import json

import msgspec

from shoal.transports import registry
from shoal.transports.browser.page import proxies_alive
from shoal.transports.interface import AddressPolicy, FetchRequest

_TYPES = {"FetchRequest": FetchRequest, "AddressPolicy": AddressPolicy}
_FIELDS = ("phase", "timeout_us", "status", "retry_after_us", "detail")
_SHOWN = (
    *("url", "status", "headers", "first_byte", "total_bytes", "etag"),
    *("label", "fingerprint", "remote_address", "is_relayed", "max_message_bytes", "description"),
)
objects = {}
tasks = {}


def decoded(value):
    if isinstance(value, dict) and "bytes" in value:
        return base64.b64decode(value["bytes"])
    if isinstance(value, dict) and "struct" in value:
        return msgspec.convert(value["value"], _TYPES[value["struct"]])
    return value


def encoded(value):
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    number = len(objects) + 1
    objects[number] = value
    return {"object": number, "shown": {name: getattr(value, name) for name in _SHOWN if hasattr(value, name)}}


async def perform(request):
    fields = {name: decoded(value) for name, value in request.get("fields", {}).items()}
    match request["do"]:
        case "make":
            return registry.resolve(request["kind"])(**fields)
        case "call":
            arguments = [decoded(value) for value in request["arguments"]]
            return await getattr(objects[request["object"]], request["method"])(*arguments, **fields)
        case "next":
            return await anext(aiter(objects[request["object"]]), None)
        case "get":
            return getattr(objects[request["object"]], request["name"])
        case "cancel":
            if request["other"] in tasks:
                tasks[request["other"]].cancel()
            return None
        case "proxies":
            return proxies_alive()
    raise ValueError(request["do"])


async def call(text):
    request = json.loads(text)
    tasks[request["task"]] = asyncio.current_task()
    try:
        return json.dumps({"value": encoded(await perform(request))})
    except asyncio.CancelledError:
        return json.dumps({"error": "CancelledError"})
    except Exception as error:
        fields = {name: getattr(error, name) for name in _FIELDS if hasattr(error, name)}
        return json.dumps({"error": type(error).__name__, "message": str(error), "fields": fields})
    finally:
        del tasks[request["task"]]
