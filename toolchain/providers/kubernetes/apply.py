"""Making and changing objects by server-side apply, and asking by dry run what the API server would say."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolchain.providers.core import Log, Refused, paths
from toolchain.providers.kubernetes import managers, objects
from toolchain.providers.kubernetes.client import JSON_PATCH, Client, Unreachable
from toolchain.providers.kubernetes.discovery import Discovery, Served
from toolchain.providers.kubernetes.objects import Object
from toolchain.providers.kubernetes.refusals import ApiError, Redaction, sentence

#: How long an object waits for the namespace, kind or account that it needs, which another resource may be
#: making.
PREREQUISITE_SECONDS = 30.0
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
#: No object has it: so an object that is there already answers with a conflict, and nothing is overwritten.
NO_VERSION = "1"
TAKE_OVER_ATTEMPTS = 5
#: where objects of a namespace that isn't there yet are tried
STAND_IN_NAMESPACE = "default"
_LABEL_LENGTH = 63  # RFC 1123; the shortest limit that names of objects have
_ACCOUNT_MISSING = re.compile(r"service ?account .*not found", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """One object that is to be as `inputs` say, for the resource `urn`."""

    urn: str
    inputs: Object
    manager: str
    redact: Redaction
    force: bool = False

    @property
    def forced(self) -> bool:
        """Whether fields of other managers are to be taken over."""
        return self.force or objects.asks(self.inputs, objects.PATCH_FORCE)


class Lost(Exception):
    """The server went away while an object was being made: it may be there, or not."""

    def __init__(self, cause: Unreachable) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Applier:
    """Applies objects to one cluster. Methods raise Refused, a sentence, for what the API server refuses."""

    def __init__(self, client: Client, discovery: Discovery, log: Log, stopped: threading.Event) -> None:
        self._client = client
        self._discovery = discovery
        self._log = log
        self._stopped = stopped
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._absent_namespaces: set[str] = set()

    def create(self, request: Request, upsert: bool) -> Object:
        """Makes an object that isn't there yet; with `upsert`, changes the one that is. Raises Lost."""
        deadline = time.monotonic() + PREREQUISITE_SECONDS
        attempt = 0
        while True:
            kind = objects.kind_of(request.inputs)
            served = self._discovery.find(kind)
            try:
                if served is not None:
                    return self._create_once(served, request, upsert)
                waiting_for = f"the kind {kind.api_version} {kind.name}"
            except ApiError as error:
                missing = _prerequisite(error, request.inputs)
                if missing is None:
                    raise Refused(self._refusal(error, request)) from error
                waiting_for = missing
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            if time.monotonic() + pause > deadline or self._stopped.is_set():
                raise Refused(_prerequisite_missing(request.inputs, waiting_for))
            self._log.status(f"waiting for {waiting_for}", request.urn)
            self._stopped.wait(pause)
            attempt += 1

    def try_create(self, request: Request, upsert: bool, replaces: bool) -> Object | None:
        """What creating the object would give, by dry run; None when it can't be asked yet, which is told.

        `replaces` says that an object of this name is there and goes first.
        """
        kind = objects.kind_of(request.inputs)
        served = self._discovery.find(kind)
        if served is None:
            self._log.info(
                f"{kind.api_version} {kind.name} isn't known to the API server yet: "
                f"{objects.described(request.inputs)} can't be checked before it is.",
                request.urn,
            )
            return None
        try:
            return self._try_served(served, request, upsert, replaces)
        except ApiError as error:
            raise Refused(self._refusal(error, request)) from error

    def update(self, request: Request, ignored: Sequence[str]) -> Object:
        """Changes an object to be as the inputs say, or makes it again when it is gone."""
        served = self._served(request)
        obj = _scoped(request.inputs, served)
        try:
            live = self._apply_shared(served, obj, request, ignored, dry_run=False)
            if managers.taken_over(live, request.manager):
                self._take_over(served, obj, request)
                live = self._apply(served, obj, request, self._query(request, force=request.forced))
            return live
        except ApiError as error:
            raise Refused(self._refusal(error, request)) from error

    def try_update(self, request: Request, ignored: Sequence[str]) -> Object | None:
        """What changing the object would give, by dry run; None when it can't be asked yet, which is told.

        Raises ApiError, so that the caller can see whether the change is refused in place only.
        """
        kind = objects.kind_of(request.inputs)
        served = self._discovery.find(kind)
        if served is None:
            return None
        return self._apply_shared(served, _scoped(request.inputs, served), request, ignored, dry_run=True)

    def refusal(self, error: ApiError, request: Request) -> Refused:
        """`error` as a sentence about the object."""
        return Refused(self._refusal(error, request))

    def once(self, sentence: str, urn: str) -> None:
        """Tells something that holds for many resources only once."""
        with self._lock:
            if sentence in self._told:
                return
            self._told.add(sentence)
        self._log.info(sentence, urn)

    def _served(self, request: Request) -> Served:
        kind = objects.kind_of(request.inputs)
        served = self._discovery.find(kind)
        if served is None:
            raise Refused(_prerequisite_missing(request.inputs, f"the kind {kind.api_version} {kind.name}"))
        return served

    def _create_once(self, served: Served, request: Request, upsert: bool) -> Object:
        obj = _scoped(request.inputs, served)
        try:
            if upsert:
                return self._apply_shared(served, obj, request, (), dry_run=False)
            return self._apply(served, _unversioned(obj), request, self._query(request))
        except Unreachable as error:
            if error.sent:
                raise Lost(error) from error
            raise
        except ApiError as error:
            if error.code != 409 or upsert:
                raise
            # a request sent again after its answer was lost finds what it made itself
            live = self._existing(served, obj)
            if live is not None and managers.fields(live, request.manager):
                return live
            raise Refused(_exists(obj, request.urn)) from error

    def _existing(self, served: Served, obj: Object) -> Object | None:
        try:
            return self._client.get(served.path(objects.namespace_of(obj), objects.name_of(obj)))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def _apply_shared(
        self, served: Served, obj: Object, request: Request, ignored: Sequence[str], dry_run: bool
    ) -> Object:
        """Applies, and takes over what gives way, or leaves out what is to be ignored, where another manager
        has it.
        """
        force = request.forced
        try:
            return self._apply(served, obj, request, self._query(request, dry_run, force))
        except ApiError as error:
            conflicts = error.conflicts
            if not conflicts:
                raise
            left = _left_out(obj, [field for _, field in conflicts], ignored)
            if left is not None:
                return self._apply(served, left, request, self._query(request, dry_run, force))
            if not managers.gives_way([manager for manager, _ in conflicts]):
                raise
            if dry_run:
                return self._apply(served, obj, request, self._query(request, dry_run, True))
            self._take_over(served, obj, request)
            return self._apply(served, obj, request, self._query(request, dry_run, force))

    def _take_over(self, served: Served, obj: Object, request: Request) -> None:
        path = served.path(objects.namespace_of(obj), objects.name_of(obj))
        for attempt in range(TAKE_OVER_ATTEMPTS):
            live = self._client.get(path)
            version = objects.metadata(live).get("resourceVersion")
            fields = managers.moved(live, request.manager)
            patch = [
                {"op": "replace", "path": "/metadata/managedFields", "value": fields},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            ]
            try:
                self._client.request("PATCH", path, None, patch, JSON_PATCH)
                return
            except ApiError as error:
                # a controller wrote its status meanwhile
                if error.code != 409 or attempt == TAKE_OVER_ATTEMPTS - 1:
                    raise

    def _try_served(self, served: Served, request: Request, upsert: bool, replaces: bool) -> Object | None:
        obj = _scoped(request.inputs, served)
        namespace = objects.namespace_of(obj)
        if namespace in self._absent_namespaces:
            return self._try_elsewhere(served, obj, request)
        try:
            if replaces:
                return self._try_renamed(served, obj, request, namespace)
            query = self._query(request, dry_run=True, force=upsert and request.forced)
            return self._apply(served, obj if upsert else _unversioned(obj), request, query)
        except ApiError as error:
            if error.missing_namespace:
                self._absent_namespaces.add(namespace)
                return self._try_elsewhere(served, obj, request)
            if error.code == 409 and not upsert:
                self._log.warning(_exists(obj, request.urn), request.urn)
                return self._try_renamed(served, obj, request, namespace)
            raise

    def _try_elsewhere(self, served: Served, obj: Object, request: Request) -> Object | None:
        namespace = objects.namespace_of(obj)
        self.once(
            f'The namespace "{namespace}" isn\'t there yet: its objects are tried in "{STAND_IN_NAMESPACE}" '
            f'instead. What depends on "{namespace}" itself (Pod Security level, quotas, policies, rights) '
            "is only judged when they are made.",
            request.urn,
        )
        try:
            return self._try_renamed(served, obj, request, STAND_IN_NAMESPACE)
        except ApiError as error:
            # what is forbidden in one namespace may be allowed in the other
            if error.code in (403, 404):
                return None
            raise

    def _try_renamed(self, served: Served, obj: Object, request: Request, namespace: str) -> Object:
        """Tries the object under a name that is free, and gives it back under its own."""
        own = dict(obj["metadata"])
        name = objects.name_of(obj)
        free = f"{name}-{secrets.token_hex(4)}"
        tried = dict(obj) | {"metadata": own | {"name": free if len(free) <= _LABEL_LENGTH else name}}
        if namespace:
            tried["metadata"]["namespace"] = namespace
        live = self._apply(served, tried, request, self._query(request, dry_run=True, force=True))
        for key in ("name", "namespace"):
            if key in own:
                live["metadata"][key] = own[key]
        return live

    def _apply(self, served: Served, obj: Object, request: Request, query: Mapping[str, str]) -> Object:
        path = served.path(objects.namespace_of(obj), objects.name_of(obj))
        return self._client.apply(path, obj, query, self._warn(request))

    def _warn(self, request: Request) -> Callable[[str], None]:
        return lambda text: self._log.warning(
            request.redact(f"{objects.described(request.inputs)}: {text}"), request.urn
        )

    def _query(self, request: Request, dry_run: bool = False, force: bool = False) -> dict[str, str]:
        query = {"fieldManager": request.manager, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        if force:
            query["force"] = "true"
        return query

    def _refusal(self, error: ApiError, request: Request) -> str:
        return sentence(request.inputs, error, request.redact)


def _scoped(obj: Object, served: Served) -> Object:
    """The object without a namespace, where its kind has none."""
    if served.namespaced or not objects.namespace_of(obj):
        return obj
    return dict(obj) | {
        "metadata": {key: item for key, item in obj["metadata"].items() if key != "namespace"}
    }


def _unversioned(obj: Object) -> Object:
    return dict(obj) | {"metadata": dict(obj["metadata"]) | {"resourceVersion": NO_VERSION}}


def _prerequisite(error: ApiError, obj: Mapping[str, Any]) -> str | None:
    """What the object waits for, when the error says that something isn't there yet."""
    if error.missing_namespace:
        return f"the namespace {objects.namespace_of(obj)}"
    if error.code == 404 and "could not find the requested resource" in error.message:
        return "its kind"
    if error.code == 403 and _ACCOUNT_MISSING.search(error.message):
        return "its service account"
    return None


def _prerequisite_missing(obj: Mapping[str, Any], what: str) -> str:
    return (
        f"{objects.described(obj)} needs {what}, which isn't there: make it first "
        "(for a custom resource, its CustomResourceDefinition)."
    )


def _exists(obj: Mapping[str, Any], urn: str) -> str:
    kind = objects.kind_of(obj)
    token = f"kubernetes:{kind.group or 'core'}/{kind.version}:{kind.name}"
    name = urn.rsplit("::", 1)[-1] or "NAME"
    return (
        f"{objects.described(obj)} already exists, and this stack didn't make it: take it over with "
        f"`pulumi import {token} {name} {objects.id_of(obj)}`, delete it, or give this one another name."
    )


def _left_out(obj: Object, fields: Sequence[str], ignored: Sequence[str]) -> Object | None:
    """The object without the `ignored` fields, when all the `fields` in conflict are among them."""
    patterns = [paths.parsed(text) for text in ignored]
    found = [paths.parsed(field.lstrip(".")) for field in fields if "[" not in field]
    if len(found) < len(fields) or not patterns:
        return None
    if not all(any(paths.covers(pattern, path) for pattern in patterns) for path in found):
        return None
    result = obj
    for path in found:
        result = _removed(result, [str(step) for step in path])
    return result


def _removed(obj: Object, path: list[str]) -> Object:
    key, *rest = path
    if not rest:
        return {name: item for name, item in obj.items() if name != key}
    inner = obj.get(key)
    return dict(obj) | {key: _removed(inner, rest)} if isinstance(inner, dict) else obj
