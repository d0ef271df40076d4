"""In the page: transports, made and called for `chromium_world.py`, which is native.  A JSON text each way.

{"task": 1, "do": "make", "kind": "fetcher", "fields": {...}}          a transport of this platform
{"task": 2, "do": "call", "object": 1, "method": "open", "arguments": [...], "fields": {...}}
{"task": 3, "do": "next", "object": 2}                                  the next piece of a body
{"task": 4, "do": "get", "object": 2, "name": "buffered_bytes"}
{"task": 5, "do": "cancel", "other": 2}
{"task": 6, "do": "left"}                                              what is held, by name, as JSON
"""

import asyncio
import base64
import json

import msgspec
from pyodide.code import run_js

from shoal.transports import registry
from shoal.transports.browser.page import proxies_alive
from shoal.transports.interface import AddressPolicy, FetchRequest
from shoal.transports.sansio.limits import ChannelLimits

_TYPES = {"FetchRequest": FetchRequest, "AddressPolicy": AddressPolicy, "ChannelLimits": ChannelLimits}
_FIELDS = ("phase", "timeout_us", "status", "retry_after_us", "detail", "is_fault")
_SHOWN = (
    *("url", "status", "headers", "first_byte", "total_bytes", "etag"),
    *("label", "fingerprint", "remote_address", "is_relayed", "max_message_bytes", "description"),
)
objects = {}
tasks = {}

# What the browser itself has open, whoever made it: each class that we use is counted where it is made.
held = run_js("""(() => {
  const made = { RTCPeerConnection: [], WebSocket: [] };
  for (const name of Object.keys(made)) {
    const Own = globalThis[name];
    if (Own === undefined) continue;
    globalThis[name] = new Proxy(Own, {
      construct(target, given) {
        const one = Reflect.construct(target, given);
        made[name].push(one);
        return one;
      },
    });
  }
  const isOpen = {
    RTCPeerConnection: (one) => one.connectionState !== "closed",
    WebSocket: (one) => one.readyState !== WebSocket.CLOSED,
  };
  return () => {
    const counts = {};
    for (const [name, all] of Object.entries(made)) {
      made[name] = all.filter(isOpen[name]);
      counts[name] = made[name].length;
    }
    return JSON.stringify(counts);
  };
})()""")


def left():
    connectors = [made.statistics() for made in objects.values() if hasattr(made, "statistics")]
    return {
        "proxies": proxies_alive(),
        "tasks": len(asyncio.all_tasks()) - 1,
        **{
            name: sum(getattr(one, name) for one in connectors)
            for name in ("connections", "buffered_bytes", "unread_bytes")
        },
        **json.loads(held()),
    }


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
        case "left":
            return json.dumps(left())
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
