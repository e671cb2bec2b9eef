"""The API server over HTTPS: pooled connections for many threads, and patience with a server that is away a
while.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from toolchain.providers.core import Refused
from toolchain.providers.kubernetes.kubeconfig import Access
from toolchain.providers.kubernetes.refusals import ApiError
from toolchain.providers.kubernetes.version import VERSION

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0  # the API server ends a request after as long
CONNECTIONS = 64
#: so that those who wait leave connections to those who work; whoever finds no place asks now and then
WATCHES = 32
#: how long a server that has answered before may be away, and one that never has
PATIENCE, FIRST_PATIENCE = 30.0, 3.0
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
#: OpenSSL's words; a handshake that only breaks off has others
_LASTING = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|ALERT|UNSUPPORTED_PROTOCOL")
_BUSY = frozenset({429, 502, 503, 504})


class Unreachable(Refused):
    """The server can't be reached. `sent` says that a request may have been carried out all the same."""

    def __init__(self, sentence: str, sent: bool) -> None:
        super().__init__(sentence)
        self.sent = sent


class Client:
    """One API server. Methods raise ApiError for its refusals and Unreachable when it doesn't answer."""

    def __init__(self, access: Access) -> None:
        self.server = access.server
        self._access = access
        parts = urlsplit(access.server)
        self._base = parts.path.rstrip("/")
        self._pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "",
            parts.port or 443,
            maxsize=CONNECTIONS,
            block=False,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            ssl_context=access.tls,
            server_hostname=access.server_name,
            assert_hostname=access.server_name,
        )
        self._lock = threading.Lock()
        self._answered = False
        self._away_since: float | None = None
        self._stopped = threading.Event()
        self._watches = threading.BoundedSemaphore(WATCHES)

    def stop(self) -> None:
        """From now on a server that is away isn't waited for."""
        self._stopped.set()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The object or list at `path`."""
        return self.request("GET", path, query)

    def apply(
        self,
        path: str,
        body: Mapping[str, Any],
        query: Mapping[str, str],
        warn: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Applies `body` server-side, gives the object as it is then; `warn` takes the server's warnings."""
        return self.request("PATCH", path, query, body, APPLY, warn)

    def changed(self, path: str, version: str, seconds: int) -> bool | None:
        """Waits until the object at `path` is another than its resourceVersion `version`, `seconds` at most.

        Whether it is; None, and at once, where it can't be watched: it is forbidden, the server is away, or
        as many as may are watching already.
        """
        if not self._watches.acquire(blocking=False):
            return None
        collection, _, name = path.rpartition("/")
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        try:
            url = self._url(collection, query)
            response = self._pool.urlopen("GET", url, None, self._headers(None), preload_content=False)
            if response.status != 200:
                response.drain_conn()  # which leaves the connection to others
                return None
            try:
                return bool(next(response.stream(1), b""))
            finally:
                response.close()
        except urllib3.exceptions.HTTPError:
            return None
        finally:
            self._watches.release()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        warn: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Sends one request, again while the server is away or busy, and gives the parsed answer."""
        url = self._url(path, query)
        data = None if body is None else json.dumps(body).encode()
        sent = False
        attempt = 0
        while True:
            try:
                response = self._pool.urlopen(method, url, data, self._headers(data and content_type))
            except urllib3.exceptions.HTTPError as error:
                sent = sent or not _never_sent(error)
                if _lasting(error) or not self._wait(attempt, None):
                    raise Unreachable(self._unreachable(error), sent) from error
            else:
                self._reached()
                if warn is not None:
                    for text in _warnings(response.headers):
                        warn(text)
                if response.status < 400:
                    return _parsed(response.data)
                refusal = ApiError(response.status, _parsed(response.data), _plain(response.data))
                if response.status == 401:
                    raise Refused(
                        f"The API server {self.server} doesn't accept the credentials of the kubeconfig: "
                        "renew them."
                    )
                if not _passes(refusal) or not self._wait(attempt, response.headers.get("Retry-After")):
                    raise refusal
            attempt += 1

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._base}{path}?{urlencode(query)}" if query else f"{self._base}{path}"

    def _headers(self, content_type: str | bytes | None) -> dict[str, str]:
        headers = {"Accept": JSON, "User-Agent": f"sovereign-kubernetes-provider/{VERSION}"}
        if content_type:
            headers["Content-Type"] = str(content_type)
        if bearer := self._access.bearer():
            headers["Authorization"] = f"Bearer {bearer}"
        return headers

    def _reached(self) -> None:
        if self._away_since is not None or not self._answered:
            with self._lock:
                self._answered, self._away_since = True, None

    def _wait(self, attempt: int, after: str | None) -> bool:
        """Pauses before the next attempt; False when there is to be none, for any of the threads."""
        now = time.monotonic()
        with self._lock:
            if self._away_since is None:
                self._away_since = now
            away = now - self._away_since
            patience = PATIENCE if self._answered else FIRST_PATIENCE
        if away >= patience or self._stopped.is_set():
            return False
        pause = PAUSES[min(attempt, len(PAUSES) - 1)]
        if after is not None and after.isdigit():
            pause = max(pause, min(float(after), patience))
        return not self._stopped.wait(pause)

    def _unreachable(self, error: Exception) -> str:
        return (
            f"The API server {self.server} can't be reached: {_reason(error)}. "
            "Check that it runs and that the kubeconfig leads to it, then run the same command again."
        )


def _passes(error: ApiError) -> bool:
    if error.code in _BUSY:
        return True
    return error.code == 500 and ("etcdserver:" in error.message or "try again" in error.message)


def _never_sent(error: Exception) -> bool:
    return isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _lasting(error: Exception) -> bool:
    """Whether waiting won't help: it is another server, or no TLS server at all."""
    return isinstance(error, urllib3.exceptions.LocationValueError) or (
        isinstance(error, urllib3.exceptions.SSLError) and _LASTING.search(str(error)) is not None
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name has no address"
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # before ConnectTimeoutError, its base
        return "connection refused" if "refused" in str(error) else "no connection"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    if isinstance(error, urllib3.exceptions.SSLError):
        text = str(error)
        cause = "its certificate isn't the one that the kubeconfig's CA vouches for"
        return cause if "CERTIFICATE_VERIFY_FAILED" in text else "the TLS connection fails"
    return "the connection breaks off"


def _warnings(headers: Any) -> list[str]:
    # RFC 9111: 299 - "text"; the text's quotes and backslashes are escaped
    found = []
    for value in headers.getlist("Warning") if hasattr(headers, "getlist") else []:
        start, end = value.find('"'), value.rfind('"')
        if 0 <= start < end:
            found.append(value[start + 1 : end].replace('\\"', '"').replace("\\\\", "\\"))
    return found


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _plain(data: bytes) -> str:
    return data[:300].decode("utf-8", "replace").strip()
