"""The provider: what the engine asks, in terms of objects, the API server and the state of a resource."""

import os
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from toolchain.providers.core import (
    UNKNOWN,
    Checked,
    Compared,
    Incomplete,
    Log,
    Naming,
    Properties,
    Provider,
    Read,
    Refused,
    Urn,
    paths,
    shape,
)
from toolchain.providers.core.diff import Difference, differences, replacing, without
from toolchain.providers.core.values import has_unknown, plain, unknown_paths
from toolchain.providers.kubernetes import (
    checkpoint,
    drift,
    immutable,
    imported,
    kubeconfig,
    naming,
    objects,
    settings,
    version,
)
from toolchain.providers.kubernetes.apply import Applier, Lost, Request
from toolchain.providers.kubernetes.client import Client
from toolchain.providers.kubernetes.discovery import Discovery, Served
from toolchain.providers.kubernetes.objects import Kind, Object
from toolchain.providers.kubernetes.refusals import ApiError, Redaction, sentence
from toolchain.providers.kubernetes.settings import Settings
from toolchain.providers.kubernetes.waiting import NotReady, Waiter

DEFAULT_NAMESPACE = "default"
_PROPAGATION = {"orphan": "Orphan", "background": "Background"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
#: groups of the SDK that aren't Kubernetes objects, and what to use instead
_NO_OBJECTS = {
    "helm.sh": "render the chart with `helm template` and give its objects one by one",
    "kustomize": "build it with `kubectl kustomize` and give its objects one by one",
    "yaml": "read the file and give its objects one by one",
}


class KubernetesProvider(Provider):
    """One provider instance: one cluster, one set of settings."""

    package = version.PACKAGE
    version = version.VERSION

    def __init__(self, log: Log) -> None:
        self._log = log
        self._stopped = threading.Event()
        self._settings: Settings | None = None
        self._client: Client
        self._discovery: Discovery
        self._applier: Applier
        self._waiter: Waiter
        self._namespace = DEFAULT_NAMESPACE
        self._lock = threading.Lock()
        #: CustomResourceDefinitions that this run makes: whether their objects have a namespace
        self._planned: dict[tuple[str, str], bool] = {}
        self._replaced: set[str] = set()
        #: what a dry run in Diff said, for the Update of the same preview
        self._tried: dict[str, tuple[Object, Object]] = {}

    # The provider's own settings

    def check_config(self, urn: Urn, inputs: Properties) -> Checked:
        if has_unknown(inputs.get("kubeconfig")):
            self._log.warning(
                "The kubeconfig isn't known before something else is made: nothing that goes to this cluster "
                "can be checked in this preview.",
                urn.text,
            )
        return Checked(inputs, list(settings.problems(inputs, os.environ.get("KUBECONFIG", ""))))

    def diff_config(self, urn: Urn, old: Properties, new: Properties) -> Compared:
        """The resources are made anew where another cluster is meant: another clusterIdentifier, or without
        one another server or CA.
        """
        found = list(differences(old, new))
        keys = ("kubeconfig", "context", "cluster")
        before, after = plain(old), plain(new)
        identifiers = before.get("clusterIdentifier"), after.get("clusterIdentifier")
        if identifiers[0] and identifiers[1]:
            return Compared(
                replacing(
                    found, lambda path: path[0] == "clusterIdentifier" and identifiers[0] != identifiers[1]
                )
            )
        if any(has_unknown(after.get(key)) for key in keys) or _destination(before) != _destination(after):
            found = replacing(found, lambda path: path[0] in keys)
        return Compared(found)

    def configure(self, settings_given: Properties) -> None:
        chosen = settings.known(settings_given, os.environ.get("KUBECONFIG", ""))
        access = kubeconfig.load(chosen.kubeconfig, chosen.context, chosen.cluster)
        self._settings = chosen
        self._namespace = chosen.namespace or access.namespace or DEFAULT_NAMESPACE
        self._client = Client(access)
        self._discovery = Discovery(self._client)
        self._applier = Applier(self._client, self._discovery, self._log, self._stopped)
        self._waiter = Waiter(self._client, self._log, self._stopped)
        try:
            self._discovery.find(Kind("", "v1", "Namespace"))
            self._meet(chosen.cluster_identifier)
        except ApiError as error:
            raise Refused(
                f"The API server {access.server} doesn't let the kubeconfig's user in: {error.message}."
            ) from error

    def _meet(self, identifier: str) -> None:
        """A clusterIdentifier in the form of a UID is that of the namespace kube-system: it must be this
        cluster's.
        """
        if not _UUID.fullmatch(identifier):
            return
        try:
            uid = objects.metadata(self._client.get("/api/v1/namespaces/kube-system")).get("uid")
        except ApiError as error:
            raise Refused(
                f"The cluster at {self._client.server} can't be told from others: its namespace kube-system "
                f"can't be read ({error.message}). Let the kubeconfig's user read it, or leave "
                "clusterIdentifier out."
            ) from error
        if uid != identifier:
            raise Refused(
                f"The kubeconfig leads to {self._client.server}, which is another cluster (kube-system has "
                f"the UID {uid}) than clusterIdentifier names ({identifier}). Correct one of them."
            )

    # Resources

    def check(self, urn: Urn, old: Properties, new: Properties, naming_rules: Naming) -> Checked:
        kind = _kind(urn, new)
        old_inputs = objects.dashed(plain(old))
        inputs: Object = objects.dashed(plain(new))
        inputs.setdefault("apiVersion", kind.api_version)
        inputs.setdefault("kind", kind.name)
        inputs = objects.normalised(inputs)
        if inputs.get("metadata") is None:
            inputs["metadata"] = {}
        if isinstance(inputs["metadata"], dict):
            naming.name(inputs, old_inputs, urn, naming_rules)
            self._place(inputs)
        if (kind.group, kind.name) == _DEFINITION:
            self._plan(inputs)
        return Checked(
            checkpoint.with_secrets(inputs, objects.dashed(new)), list(shape.problems(inputs, _shape()))
        )

    def diff(
        self,
        urn: Urn,
        id: str,
        state: Properties,
        old: Properties,
        new: Properties,
        ignored: Sequence[str],
    ) -> Compared:
        before = objects.dashed(plain(old)) or checkpoint.inputs_of(state)
        after = objects.dashed(plain(new))
        before = objects.normalised(before) if before.get("kind") else before
        kind = objects.kind_of(after)
        old_kind = objects.kind_of(before) if before.get("kind") else kind
        found = self._differences(before, after, ignored)
        chosen = self._chosen()
        content_mutable = {"ConfigMap": chosen.config_map_mutable, "Secret": chosen.secret_mutable}
        found = replacing(found, immutable.replaces(old_kind, kind, before, content_mutable))
        if found and not any(one.replace for one in found) and not has_unknown(after):
            found = self._ask(urn, state, after, new, found, ignored)
        if not any(one.replace for one in found):
            return Compared(found)
        with self._lock:
            self._replaced.add(urn.text)
        live = checkpoint.live_of(state)
        same_name = objects.id_of(after) == (objects.id_of(live) or id)
        return Compared(found, delete_first=same_name and not objects.asks(after, objects.AUTONAMED))

    def create(self, urn: Urn, inputs: Properties, timeout: float, preview: bool) -> tuple[str, Properties]:
        obj: Object = objects.dashed(plain(inputs))
        request = self._request(urn, {}, obj, inputs)
        upsert = self._chosen().upsert
        if preview:
            if self._unknown(urn, obj):
                return "", inputs
            live = self._applier.try_create(request, upsert, urn.text in self._replaced)
            return "", inputs if live is None else self._state(request, _previewed(live, obj), inputs, {})
        try:
            live = self._applier.create(request, upsert)
        except Lost as lost:
            # whether it is there will show: the engine keeps it, and the next run applies it again
            state = self._state(request, obj, inputs, {})
            raise Incomplete(str(lost), objects.id_of(obj), state, [str(lost)]) from lost
        if (objects.kind_of(obj).group, obj["kind"]) == _DEFINITION:
            self._discovery.forget()
        live = self._await(request, live, inputs, {}, timeout)
        return objects.id_of(live), self._state(request, live, inputs, {})

    def read(self, urn: Urn, id: str, state: Properties, inputs: Properties) -> Read:
        old: Object = objects.dashed(plain(inputs)) or checkpoint.inputs_of(state)
        found_first = not old.get("kind")
        kind = objects.kind_of(old) if not found_first else _kind(urn, {})
        namespace, name = objects.split_id(id)
        served = self._discovery.find(kind)
        if served is None or not name:
            return Read("")
        if served.namespaced:
            namespace = namespace or objects.namespace_of(old) or self._namespace
        try:
            live = self._client.get(served.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return Read("")
            raise Refused(sentence(_named(kind, namespace, name), error, Redaction(inputs))) from error
        now = imported.inputs_of(live) if found_first else drift.observed(objects.normalised(old), live)
        marked = objects.dashed(inputs) if inputs else now
        request = self._request(urn, state, now, marked)
        new_state = self._state(request, live, marked, state)
        new_inputs = checkpoint.with_secrets(now, marked)
        if not found_first and (trouble := self._waiter.judged(old, live)) is not None:
            raise self._incomplete(request, trouble, marked, state, new_inputs)
        return Read(id, new_state, new_inputs)

    def update(
        self,
        urn: Urn,
        id: str,
        state: Properties,
        inputs: Properties,
        timeout: float,
        ignored: Sequence[str],
        preview: bool,
    ) -> Properties:
        obj: Object = objects.dashed(plain(inputs))
        request = self._request(urn, state, obj, inputs)
        if preview:
            if self._unknown(urn, obj):
                return inputs
            live = self._try_update(request, ignored)
            return inputs if live is None else self._state(request, _previewed(live, live), inputs, state)
        live = self._applier.update(request, ignored)
        live = self._await(request, live, inputs, state, timeout)
        return self._state(request, live, inputs, state)

    def delete(self, urn: Urn, id: str, state: Properties, inputs: Properties, timeout: float) -> None:
        old = checkpoint.inputs_of(state) or objects.dashed(plain(inputs))
        live = checkpoint.live_of(state)
        kind = objects.kind_of(live if live.get("kind") else old)
        served = self._discovery.find(kind)
        if served is None:
            return  # its CustomResourceDefinition is gone, and all its objects with it
        namespace, name = objects.split_id(id)
        path = served.path(namespace or objects.namespace_of(live), name)
        policy = _PROPAGATION.get(objects.annotation(old, objects.DELETION_PROPAGATION).lower(), "Foreground")
        redact = Redaction(inputs or state)
        named = _named(kind, namespace, name)
        try:
            found = self._client.get(path)
            uid = str(objects.metadata(found).get("uid"))
            # one that was made anew under the same name meanwhile isn't ours
            options = {
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "propagationPolicy": policy,
                "preconditions": {"uid": uid},
            }
            self._client.request("DELETE", path, None, options)
            if not objects.asks(old, objects.SKIP_AWAIT):
                self._waiter.gone(urn.text, path, old, uid, timeout)
        except ApiError as error:
            if error.code != 404:
                raise Refused(sentence(named, error, redact)) from error
        except NotReady as trouble:
            because = "".join(f" {reason.rstrip('.')}." for reason in trouble.reasons)
            raise Refused(redact(f"{trouble}{because}")) from trouble
        if (kind.group, kind.name) == _DEFINITION:
            self._discovery.forget()

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> NoReturn:
        raise Refused(_no_object(token))

    def construct(self, type: str) -> NoReturn:
        raise Refused(_no_object(type))

    def cancel(self) -> None:
        self._stopped.set()
        if self._settings is not None:
            self._client.stop()

    # Helpers

    def _chosen(self) -> Settings:
        if self._settings is None:
            raise Refused("The Kubernetes provider has no settings yet: give it its kubeconfig.")
        return self._settings

    def _request(self, urn: Urn, state: Properties, obj: Object, marked: Properties) -> Request:
        return Request(
            urn.text,
            obj,
            checkpoint.manager_of(state, obj),
            Redaction(marked),
            self._chosen().patch_force,
        )

    def _state(self, request: Request, live: Object, marked: Properties, old: Properties) -> Properties:
        initial = checkpoint.initial_of(old, request.inputs)
        return checkpoint.build(request.inputs, live, objects.underscored(marked), request.manager, initial)

    def _place(self, inputs: Object) -> None:
        """Puts an object of a kind that has namespaces into the default one, where it names none."""
        if inputs["metadata"].get("namespace"):
            return
        kind = objects.kind_of(inputs)
        served = self._find(kind, inputs)
        namespaced = served.namespaced if served else self._planned.get((kind.group, kind.name), True)
        if namespaced:
            inputs["metadata"]["namespace"] = self._namespace

    def _find(self, kind: Kind, obj: Object) -> Served | None:
        self._chosen()
        try:
            return self._discovery.find(kind)
        except ApiError as error:
            raise Refused(sentence(obj, error, Redaction({}))) from error

    def _plan(self, definition: Object) -> None:
        spec = definition.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if isinstance(spec, dict) and isinstance(names, dict):
            with self._lock:
                self._planned[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") != "Cluster"

    def _differences(self, before: Object, after: Object, ignored: Sequence[str]) -> list[Difference]:
        if objects.metadata(before) and objects.metadata(after) and not objects.namespace_of(before):
            # an object that was made before the namespace was filled in
            namespace = objects.metadata(after).get("namespace")
            if namespace == self._namespace:
                before = dict(before) | {"metadata": dict(before["metadata"]) | {"namespace": namespace}}
        return without(differences(before, after), ignored)

    def _ask(
        self,
        urn: Urn,
        state: Properties,
        after: Object,
        marked: Properties,
        found: list[Difference],
        ignored: Sequence[str],
    ) -> list[Difference]:
        """Marks what the API server itself says can't be changed in place, which no table can know of all
        kinds.
        """
        request = self._request(urn, state, after, marked)
        try:
            live = self._applier.try_update(request, ignored)
        except ApiError as error:
            fixed = [paths.parsed(field) for field in error.fixed_fields if field]
            if not fixed:
                return found  # the update itself will say what is wrong
            marked_found = replacing(found, lambda path: any(paths.touches(field, path) for field in fixed))
            if any(one.replace for one in marked_found):
                return marked_found
            return replacing(found, lambda path: path[0] == "spec")
        if live is not None:
            with self._lock:
                self._tried[urn.text] = (after, live)
        return found

    def _try_update(self, request: Request, ignored: Sequence[str]) -> Object | None:
        with self._lock:
            asked, live = self._tried.pop(request.urn, ({}, {}))
        if asked and asked == request.inputs:
            return live
        try:
            tried = self._applier.try_update(request, ignored)
        except ApiError as error:
            raise self._applier.refusal(error, request) from error
        if tried is None:
            kind = objects.kind_of(request.inputs)
            self._log.info(
                f"{kind.api_version} {kind.name} isn't known to the API server yet: "
                f"{objects.described(request.inputs)} can't be checked before it is.",
                request.urn,
            )
        return tried

    def _unknown(self, urn: Urn, obj: Object) -> bool:
        """Whether a preview can't ask the API server, because values aren't known yet; tells which."""
        missing = [paths.written(path) for path in unknown_paths(obj)]
        if missing:
            shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            self._log.info(
                f"{obj.get('kind')} {urn.name} can't be checked by the API server in this preview: "
                f"{shown} isn't known before something else is made.",
                urn.text,
            )
        return bool(missing)

    def _await(
        self, request: Request, live: Object, marked: Properties, old: Properties, timeout: float
    ) -> Object:
        served = self._discovery.find(objects.kind_of(live))
        if served is None:
            return live
        path = served.path(objects.namespace_of(live), objects.name_of(live))
        try:
            return self._waiter.ready(request.urn, path, request.inputs, live, timeout)
        except NotReady as trouble:
            raise self._incomplete(request, trouble, marked, old) from trouble

    def _incomplete(
        self,
        request: Request,
        trouble: NotReady,
        marked: Properties,
        old: Properties,
        inputs: Properties | None = None,
    ) -> Incomplete:
        return Incomplete(
            request.redact(str(trouble)),
            objects.id_of(trouble.live),
            self._state(request, trouble.live, marked, old),
            [request.redact(text) for text in (str(trouble), *trouble.reasons)],
            inputs,
        )


def _kind(urn: Urn, inputs: Mapping[str, Any]) -> Kind:
    """The kind that a resource's type names; raises Refused for the SDK's types that aren't one object."""
    token = urn.type
    module = token.split(":")[1] if token.count(":") >= 2 else ""
    if module.split("/")[0] in _NO_OBJECTS:
        raise Refused(_no_object(token))
    kind = objects.kind_of_token(token)
    said = plain(inputs.get("kind"))
    if kind.name.endswith("Patch") and said != kind.name and (said or kind.builtin):
        raise Refused(
            f"{token} {urn.name}: this provider doesn't patch single fields of objects that others made. "
            f"Import the object as {token.removesuffix('Patch')}, or leave the fields to who made it."
        )
    if kind.name.endswith("List") and kind.builtin:
        raise Refused(f"{token} {urn.name}: a list is no object of its own: give its items one by one.")
    return kind


def _no_object(token: str) -> str:
    module = token.split(":")[1] if token.count(":") >= 1 else ""
    instead = _NO_OBJECTS.get(module.split("/")[0], "give the objects one by one")
    if module == "helm":
        instead = _NO_OBJECTS["helm.sh"]
    return (
        f"{token} is made by the official Kubernetes plugin only, and this stack uses the kit's own: "
        f"{instead}, or install the official plugin."
    )


def _named(kind: Kind, namespace: str, name: str) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
    }


def _previewed(live: Object, inputs: Object) -> Object:
    """A dry run's answer as a preview shows it: its status isn't what it will be, nor are the address and
    ports of a Service that `inputs` leave to the server.
    """
    shown = {key: item for key, item in live.items() if key != "status"}
    if objects.kind_of(live) == Kind("", "v1", "Service"):
        shown["spec"] = _unallocated(live.get("spec") or {}, inputs.get("spec") or {})
    return shown


def _unallocated(spec: Object, asked: Object) -> Object:
    found = dict(spec)
    if "clusterIP" not in asked and found.get("clusterIP"):
        found["clusterIP"] = UNKNOWN
        found["clusterIPs"] = UNKNOWN
    ports = asked.get("ports") or []
    for index, port in enumerate(found.get("ports") or []):
        if "nodePort" in port and not (index < len(ports) and "nodePort" in ports[index]):
            port["nodePort"] = UNKNOWN
    return found


def _destination(config: Mapping[str, Any]) -> tuple[str, str] | None:
    given = config.get("kubeconfig")
    if not given or given is UNKNOWN:
        return None
    try:
        return kubeconfig.destination(
            settings.kubeconfig_text(given), config.get("context") or "", config.get("cluster") or ""
        )
    except Refused:
        return None  # Configure says what is wrong with it


@cache
def _shape() -> shape.Shape:
    return shape.load(yaml.safe_load(Path(__file__).with_name("shape.yaml").read_text()))
