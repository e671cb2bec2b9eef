"""Waits until an object is ready or gone, tells how far it is, and says why not when time is up."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.providers.core import Log
from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.client import Client, Unreachable
from toolchain.providers.kubernetes.objects import Object
from toolchain.providers.kubernetes.readiness import DEFAULT_SECONDS, readiness_of
from toolchain.providers.kubernetes.reasons import reasons
from toolchain.providers.kubernetes.refusals import ApiError

#: between the first looks; later ones wait for a change of the object itself, WATCH_SECONDS at most, because
#: what it takes to be ready may change elsewhere
PAUSES = (0.05, 0.1, 0.2, 0.3)
WATCH_SECONDS = 1
AFTER_CHANGE = 0.1  # an object may change many times a second
REASONS_SECONDS = 10.0  # between two looks at pods and events while waiting


@dataclass
class NotReady(Exception):
    """An object didn't get ready; `live` is how it was last seen."""

    sentence: str
    reasons: list[str]
    live: Object

    def __str__(self) -> str:
        return self.sentence


class Waiter:
    """Waits for objects of one cluster; `stopped` ends every wait."""

    def __init__(self, client: Client, log: Log, stopped: threading.Event) -> None:
        self._client = client
        self._log = log
        self._stopped = stopped

    def ready(self, urn: str, path: str, inputs: Mapping[str, Any], live: Object, timeout: float) -> Object:
        """Waits until the object at `path` is ready, `timeout` seconds or as long as its kind takes; raises
        NotReady.

        `live` is the object as it is now; gives it as it is then.
        """
        readiness = readiness_of(inputs)
        if readiness is None:
            return live
        limit = seconds(inputs, timeout, readiness.seconds)
        deadline = time.monotonic() + limit
        looked, told, attempt = time.monotonic(), "", 0
        while True:
            progress = readiness.judge(live, self.look)
            if progress.done:
                if told:
                    self._log.status("", urn)
                return live
            if progress.failed:
                raise self._not_ready(live, progress.message, "")
            message = progress.message
            now = time.monotonic()
            if now - looked > REASONS_SECONDS:
                looked = now
                if found := self._reasons(live):
                    message = f"{message}; {found[0]}"
            if now >= deadline:
                raise self._not_ready(live, progress.message, f"within {limit:.0f} s")
            if self._stopped.is_set():
                raise self._not_ready(live, progress.message, "before the operation was cancelled")
            if message != told:
                told = message
                self._log.status(message, urn)
            self._pause(attempt, path, live, deadline - now)
            attempt += 1
            live = self._again(path, live)

    def judged(self, inputs: Mapping[str, Any], live: Object) -> NotReady | None:
        """Why the object isn't ready right now; None when it is, or when a refresh doesn't judge its kind."""
        readiness = readiness_of(inputs)
        if readiness is None or not readiness.refreshed:
            return None
        progress = readiness.judge(live, self.look)
        return None if progress.done else self._not_ready(live, progress.message, "")

    def gone(self, urn: str, path: str, inputs: Mapping[str, Any], uid: str, timeout: float) -> None:
        """Waits until the object of that uid is gone from `path`; raises NotReady."""
        limit = seconds(inputs, timeout, DEFAULT_SECONDS)
        deadline = time.monotonic() + limit
        attempt, told = 0, ""
        while (live := self.look(path, {})) is not None and objects.metadata(live).get("uid") == uid:
            finalizers = objects.metadata(live).get("finalizers") or []
            held = [str(name) for name in finalizers if name != "foregroundDeletion"]
            message = f"it is ending{', held by ' + ', '.join(held) if held else ''}"
            if message != told and attempt > len(PAUSES):
                told = message
                self._log.status(message, urn)
            if time.monotonic() >= deadline or self._stopped.is_set():
                when = (
                    f"within {limit:.0f} s"
                    if not self._stopped.is_set()
                    else "before the operation was cancelled"
                )
                causes = self._reasons(live) + [
                    str(found.get("message"))
                    for found in (live.get("status") or {}).get("conditions") or []
                    if found.get("status") == "True" and found.get("message")
                ]
                raise NotReady(f"{objects.described(live)} isn't gone {when}: {message}.", causes, live)
            self._pause(attempt, path, live, deadline - time.monotonic())
            attempt += 1
        if told:
            self._log.status("", urn)

    def look(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """The object or list at `path`; None when it isn't there or may not be read."""
        try:
            return self._client.get(path, query)
        except ApiError as error:
            if error.code in (403, 404):
                return None
            raise

    def _pause(self, attempt: int, path: str, live: Object, left: float) -> None:
        """Waits before the next look, `left` seconds at most: the first times a moment, then for a change."""
        pause = PAUSES[min(attempt, len(PAUSES) - 1)]
        if attempt >= len(PAUSES):
            version = str(objects.metadata(live).get("resourceVersion") or "")
            if left >= WATCH_SECONDS and self._client.changed(path, version, WATCH_SECONDS) is not None:
                pause = AFTER_CHANGE
            else:
                pause = float(WATCH_SECONDS)
        self._stopped.wait(max(0.0, min(pause, left)))

    def _again(self, path: str, live: Object) -> Object:
        try:
            return self._client.get(path)
        except ApiError as error:
            if error.code == 404:
                raise NotReady(
                    f"{objects.described(live)} was deleted by someone else while it was waited for.",
                    [],
                    live,
                ) from error
            raise NotReady(
                f"{objects.described(live)} can't be watched: {error.message}.", [], live
            ) from error
        except Unreachable as error:
            raise NotReady(
                f"{objects.described(live)} was made or changed, but: {error}", [], live
            ) from error

    def _not_ready(self, live: Object, message: str, when: str) -> NotReady:
        found = self._reasons(live)
        text = f"{objects.described(live)} isn't ready{' ' + when if when else ''}: {message}."
        return NotReady(text, found, live)

    def _reasons(self, live: Object) -> list[str]:
        try:
            return reasons(live, self.look)
        except (ApiError, Unreachable):
            return []  # the sentence itself says what is known


def seconds(inputs: Mapping[str, Any], timeout: float, otherwise: float) -> float:
    """How long to wait: the resource's customTimeouts, else its annotation, else `otherwise`."""
    if timeout:
        return timeout
    text = objects.annotation(inputs, objects.TIMEOUT_SECONDS)
    return float(text) if text.isdigit() else otherwise
