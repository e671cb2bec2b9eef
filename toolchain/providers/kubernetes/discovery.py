"""Which kinds the API server serves, and where: asked once per group and version, and again when a kind is
missing.
"""

import threading
import time
from dataclasses import dataclass

from toolchain.providers.kubernetes.client import Client
from toolchain.providers.kubernetes.objects import Kind
from toolchain.providers.kubernetes.refusals import ApiError

FRESH_SECONDS = 0.5  # a miss is believed for so long, so that a thousand objects don't ask a thousand times


@dataclass(frozen=True, slots=True)
class Served:
    """One kind that the API server serves."""

    kind: Kind
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """The URL path of an object, or of all of them; of all namespaces when `namespace` is ""."""
        root = (
            f"/apis/{self.kind.group}/{self.kind.version}" if self.kind.group else f"/api/{self.kind.version}"
        )
        if self.namespaced and namespace:
            root += f"/namespaces/{namespace}"
        return f"{root}/{self.plural}/{name}" if name else f"{root}/{self.plural}"


class Discovery:
    """The kinds of one API server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, dict[str, Served]]] = {}

    def find(self, kind: Kind) -> Served | None:
        """Where `kind` is served, or None when it isn't (yet). Raises what the client raises."""
        key = (kind.group, kind.version)
        with self._lock:
            asked, known = self._known.get(key, (float("-inf"), {}))
            if kind.name in known or time.monotonic() - asked < FRESH_SECONDS:
                return known.get(kind.name)
            known = self._ask(kind)
            self._known[key] = time.monotonic(), known
            return known.get(kind.name)

    def forget(self) -> None:
        """Asks anew from now on: a kind was added or removed."""
        with self._lock:
            self._known.clear()

    def _ask(self, kind: Kind) -> dict[str, Served]:
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        try:
            answer = self._client.get(path)
        except ApiError as error:
            if error.code == 404:
                return {}
            raise
        return {
            entry["kind"]: Served(
                Kind(kind.group, kind.version, entry["kind"]), entry["name"], bool(entry["namespaced"])
            )
            for entry in answer.get("resources", [])
            if "/" not in entry["name"] and "get" in entry.get("verbs", [])
        }
