"""Readings from an MQTT broker, for a while. Needs the extra `mqtt` (paho-mqtt)."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from host_tools.errors import DeviceError, ToolMissing, UsageError
from host_tools.fleet.reading import MAX_READING_BYTES
from host_tools.fleet.sources import Raw

SCHEMES = {"mqtt": 1883, "mqtts": 8883}
PASSWORD = "MQTT_PASSWORD"  # of the environment: a command line is seen by everybody
WAITING = 1000  # readings that may wait, 250 MB at most; the broker is kept back behind them
KEEPALIVE_S = 60
CONNECT_S = 15.0
POLL_S = 0.2


def is_broker(place: str) -> bool:
    """Whether it is the URL of a broker."""
    return place.partition("://")[0] in SCHEMES


def readings_of_broker(url: str, seconds: float) -> Iterator[Raw]:
    """What comes within `seconds` of mqtt[s]://[user@]host[:port]/topic, + and # allowed in it.

    Raises UsageError for another URL, ToolMissing without paho-mqtt, DeviceError when the broker
    does not answer or refuses.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or SCHEMES[parts.scheme]
    except ValueError as error:
        raise UsageError(f"{url}: {error}; expected mqtt://host:1883/topic") from error
    # A topic's # is no fragment of the URL.
    topic = unquote(parts.path[1:]) + (f"#{parts.fragment}" if "#" in url else "")
    if not parts.hostname or not topic:
        raise UsageError(f"{url}: expected mqtt://host/topic, such as mqtt://127.0.0.1/fleet/+")
    try:
        from paho.mqtt import client as paho
    except ImportError as error:
        raise ToolMissing(
            "paho-mqtt is not installed; type: pip install 'tinyproof[mqtt]'"
        ) from error
    come = _Inbox()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *told: come.put("connected", told[3])
    client.on_message = lambda _client, _data, message: come.put("message", _cut(message))
    if parts.username:
        client.username_pw_set(unquote(parts.username), os.environ.get(PASSWORD))
    if parts.scheme == "mqtts":
        client.tls_set()
    try:
        client.connect(parts.hostname, port, KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise DeviceError(f"{url}: no broker answers there: {error}") from error
    client.loop_start()
    try:
        yield from _messages(client, come, url, topic, seconds)
    finally:
        come.closed.set()
        client.disconnect()
        client.loop_stop()


class _Inbox:
    """What paho's thread hands on; a full one holds that thread, until nobody reads any more."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[str, Any]] = queue.Queue(WAITING)
        self.closed = threading.Event()

    def put(self, kind: str, told: Any) -> None:
        """Add one, waiting for a free place."""
        while not self.closed.is_set():
            with contextlib.suppress(queue.Full):
                self.waiting.put((kind, told), timeout=POLL_S)
                return


def _cut(message: Any) -> tuple[str, bytes]:
    """Topic and payload; of one that is too long, as MQTT has up to 256 MB, no more is kept."""
    try:
        topic = str(message.topic)
    except UnicodeDecodeError:
        topic = "(of bytes that are no UTF-8)"
    return topic, bytes(message.payload[: MAX_READING_BYTES + 1])


def _messages(client: Any, come: _Inbox, url: str, topic: str, seconds: float) -> Iterator[Raw]:
    number, deadline, connected = 0, time.monotonic() + CONNECT_S, False
    while (left := deadline - time.monotonic()) > 0:
        try:
            kind, told = come.waiting.get(timeout=left)
        except queue.Empty:
            break
        if kind == "connected":
            if told.is_failure:
                raise DeviceError(f"{url}: the broker refuses: {told}")
            client.subscribe(topic, qos=1)  # again after a connection that was lost
            deadline = deadline if connected else time.monotonic() + seconds
            connected = True
            continue
        number += 1
        topic, payload = told
        yield Raw(f"topic {topic}", number, payload)
    if not connected:
        raise DeviceError(f"{url}: the broker did not answer in {CONNECT_S:.0f} s")
