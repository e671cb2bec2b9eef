"""A small client for the local API server: JSON over TLS as the administrator; nothing ambient is read."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
FIELD_MANAGER = "sovereign-local-cluster"


class ApiError(Exception):
    """The API server refused a request: `status` is the HTTP status, the text what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One connection to the API server on 127.0.0.1:`port`; OSError and ApiError pass to the caller."""

    def __init__(self, port: int, pki: Path, timeout: float = 2.0) -> None:
        """`pki` holds ca.crt, admin.crt and admin.key; `timeout` is in seconds for each step of a request."""
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._arguments = (port, pki, timeout)
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)

    def ready(self) -> bool:
        """Whether the API server answers and says that it is ready."""
        try:
            return self._exchange("GET", "/readyz", None, None)[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """The object at `path`."""
        return self.request("GET", path)

    def apply(self, path: str, body: Any) -> Any:
        """Applies an object server-side; the cluster's own fields win over other managers'."""
        return self.request("PATCH", f"{path}?fieldManager={FIELD_MANAGER}&force=true", body, APPLY)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """Sends one request and gives the parsed answer."""
        status, data = self._exchange(method, path, body, content_type)
        answer = _parsed(data)
        if status >= 400:
            said = answer.get("message") if isinstance(answer, dict) else data.decode("utf-8", "replace")
            raise ApiError(status, f"{method} {path}: {said} (HTTP {status})")
        return answer

    def another(self) -> "Api":
        """A second connection to the same server, for another thread."""
        return Api(*self._arguments)

    def close(self) -> None:
        self._connection.close()

    def _exchange(self, method: str, path: str, body: Any, content_type: str | None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | (
            {"Content-Type": content_type} if data and content_type else {}
        )
        try:
            self._connection.request(method, path, data, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(f"{method} {path}: {type(error).__name__}") from error
        except OSError:
            self._connection.close()
            raise


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
