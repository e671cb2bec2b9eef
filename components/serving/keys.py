"""The keys of the service as Secrets, each only where it is used: certificates, keys of the audit trail.

They come from the stack's encrypted configuration, so that a plan is the same each time and no key is in
clear in state or on disk. In etcd it is the cluster's encryption at rest that seals them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions, RunError
from pulumi_kubernetes.core.v1 import Secret

from components.serving import names
from components.serving.certificates import ClusterAuthority, certificate_of
from components.serving.isolation import Isolation, Place
from components.serving.names import Identity
from components.serving.workload import metadata

#: the certificates that the service needs: who holds one, and what for
SERVERS = (names.GATEWAY, names.AUDIT)
CLIENTS = (f"{names.GATEWAY}-client", "prometheus-client")

#: bytes of entropy that the audit key has at least
AUDIT_KEY_BYTES = 32


@dataclass(frozen=True)
class Sealed:
    """A Secret that a workload mounts."""

    name: str
    secret: Resource


class Keys(ComponentResource):
    """Certificates of each server, and of the gateway as a client; the keys of prompt hashes and of the
    chain.
    """

    #: by a model's name
    engines: Mapping[str, Sealed]
    gateway: Sealed
    #: for the name that applications call, where another authority than the service's issues it
    entrance: Sealed | None
    gateway_client: Sealed
    audit: Sealed
    #: the name of the Secret with which Prometheus asks engines for their metrics
    prometheus: str
    #: hashes prompts, in the gateway: a plain hash of a short clinical text can be guessed
    prompt: Sealed
    #: keys the chain of records, in the audit service, which can't compute a prompt's hash
    chain: Sealed

    def __init__(
        self,
        name: str,
        audit_key: Output[str],
        certificates: Output[str] | ClusterAuthority,
        models: Sequence[str],
        isolation: Isolation,
        host: str | None = None,
        issuer: str | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`audit_key`: 32 bytes, base64. `certificates`: JSON {"ca": PEM, HOLDER: {"certificate", "key"}}, or
        the authority that has them issued. `host` is the name that applications call, `issuer` the
        ClusterIssuer of its certificate; without one it is a second name of the gateway's own."""
        super().__init__("sovereign:index:Keys", name, None, opts)
        gateway, audit = names.part(names.GATEWAY), names.part(names.AUDIT)
        engines = {model: names.engine(model) for model in models}
        self.engines = {
            model: self._server(who, isolation.serving, certificates) for model, who in engines.items()
        }
        own = [host] if host and issuer is None else []
        self.gateway = self._server(gateway, isolation.gateway, certificates, own)
        self.entrance = None
        if host and issuer:
            name = f"{gateway.name}-entrance"
            self.entrance = Sealed(
                f"{name}-tls", certificate_of(name, gateway, [host], isolation.gateway, issuer, self, [])
            )
        self.gateway_client = self._certificate(CLIENTS[0], gateway, [], isolation.gateway, certificates)
        scrapes = Identity(names.VLLM, CLIENTS[1])
        self.prometheus = self._certificate(CLIENTS[1], scrapes, [], isolation.serving, certificates).name
        self.audit = self._server(audit, isolation.audit, certificates)
        self.prompt = self._derived("prompt-key", gateway, isolation.gateway, audit_key)
        self.chain = self._derived("chain-key", audit, isolation.audit, audit_key)
        self.register_outputs({})

    def _server(
        self,
        who: Identity,
        place: Place,
        certificates: Output[str] | ClusterAuthority,
        own: Sequence[str] = (),
    ) -> Sealed:
        return self._certificate(who.name, who, [who.host(place.name), *own], place, certificates)

    def _certificate(
        self,
        holder: str,
        who: Identity,
        hosts: Sequence[str],
        place: Place,
        certificates: Output[str] | ClusterAuthority,
    ) -> Sealed:
        name = f"{holder}-tls"
        if isinstance(certificates, ClusterAuthority):
            return Sealed(name, certificates.certificate(holder, who, hosts, place))
        return self._seal(
            name, who, place, "kubernetes.io/tls", certificates, lambda text: _pems(text, holder)
        )

    def _derived(self, name: str, who: Identity, place: Place, audit_key: Output[str]) -> Sealed:
        return self._seal(name, who, place, "Opaque", audit_key, lambda key: {"key": _derive(key, name)})

    def _seal(
        self,
        name: str,
        who: Identity,
        place: Place,
        kind: str,
        source: Output[str],
        fields: Callable[[str], Mapping[str, bytes]],
    ) -> Sealed:
        def encode(text: str) -> dict[str, str]:
            return {key: base64.b64encode(value).decode() for key, value in fields(text).items()}

        sealed: Output[str] = Output.secret(source)
        secret = Secret(
            f"{place.name}/{name}",
            metadata=metadata(who, place, name),
            type=kind,
            data=sealed.apply(encode),
            opts=place.options(self),
        )
        return Sealed(name, secret)


def _pems(text: str, holder: str) -> dict[str, bytes]:
    try:
        given = json.loads(text)
        pair = given[holder]
        parts = {"ca.crt": given["ca"], "tls.crt": pair["certificate"], "tls.key": pair["key"]}
        return {key: pem.encode() for key, pem in parts.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunError(
            f"The secret sovereign:tls holds no certificate of {holder}: remove it, and `sovereign up` makes "
            "new ones, or give one of your own: JSON with ca, and certificate and key for each holder."
        ) from None


def _derive(audit_key: str, purpose: str) -> bytes:
    try:
        master = base64.b64decode(audit_key, validate=True)
    except ValueError:
        master = b""
    if len(master) < AUDIT_KEY_BYTES:
        raise RunError(
            f"The secret sovereign:auditKey is not {AUDIT_KEY_BYTES} bytes in base64: remove it, and "
            "`sovereign up` makes a new one. Records made with the old one can then no longer be compared."
        )
    return hmac.digest(master, f"sovereign/{purpose}".encode(), hashlib.sha256)
