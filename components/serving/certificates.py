"""Certificates by cert-manager: an authority of the cluster's own, a certificate for each server and client.

The authority's key is made in the cluster and stays there. cert-manager renews a certificate a month before
its end into the same Secret, under the same authority, so those who still hold the old one are trusted, and
services reload theirs without a stop.
"""

from collections.abc import Sequence

from pulumi import ComponentResource, Resource, ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.ground import Ground
from components.serving.isolation import Place
from components.serving.names import Identity
from components.serving.workload import metadata

_VERSION = "cert-manager.io/v1"
#: where cert-manager looks for the keys of issuers of the whole cluster (its --cluster-resource-namespace)
_HOME = "cert-manager"
_YEARS_10, _DAYS_90, _DAYS_30 = "87600h", "2160h", "720h"


class ClusterAuthority(ComponentResource):
    """An authority that signs itself, and the issuer that issues with its key; one for each service."""

    issuer: str
    made: Resource

    def __init__(self, name: str, service: str, ground: Ground, opts: ResourceOptions | None = None) -> None:
        """`service`: by which name the authority is told from those of other services of the cluster."""
        super().__init__("sovereign:index:ClusterAuthority", name, None, opts)
        self.issuer = f"{service}-authority"
        root = f"{service}-self-signed"
        self_signed = self._object("ClusterIssuer", root, {"selfSigned": {}}, ground, [*ground.made])
        certificate = self._object(
            "Certificate",
            self.issuer,
            {
                "isCA": True,
                "commonName": f"{service} service authority",
                "secretName": self.issuer,
                "duration": _YEARS_10,
                "privateKey": {"algorithm": "ECDSA", "size": 256},
                "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": root},
            },
            ground,
            [self_signed],
        )
        self.made = self._object(
            "ClusterIssuer", self.issuer, {"ca": {"secretName": self.issuer}}, ground, [certificate]
        )
        self.register_outputs({})

    def certificate(self, holder: str, who: Identity, hosts: Sequence[str], place: Place) -> Resource:
        """A certificate in the Secret `<holder>-tls`: of a server for `hosts`, of a client for none."""
        return certificate_of(holder, who, hosts, place, self.issuer, self, [self.made])

    def _object(
        self, kind: str, name: str, spec: dict[str, object], ground: Ground, after: list[Resource]
    ) -> Resource:
        namespace = _HOME if kind == "Certificate" else None
        return CustomResource(
            name if namespace is None else f"{namespace}/{name}",
            api_version=_VERSION,
            kind=kind,
            metadata=ObjectMetaArgs(
                name=name, namespace=namespace, labels={"app.kubernetes.io/part-of": "sovereign"}
            ),
            spec=spec,
            opts=ResourceOptions(parent=self, provider=ground.provider, depends_on=after),
        )


def certificate_of(
    holder: str,
    who: Identity,
    hosts: Sequence[str],
    place: Place,
    issuer: str,
    parent: Resource,
    after: Sequence[Resource],
) -> Resource:
    """A certificate by any ClusterIssuer, in the Secret `<holder>-tls`."""
    return CustomResource(
        f"{place.name}/{holder}-tls",
        api_version=_VERSION,
        kind="Certificate",
        metadata=metadata(who, place, f"{holder}-tls"),
        spec={
            "secretName": f"{holder}-tls",
            "commonName": holder,
            **({"dnsNames": list(hosts)} if hosts else {}),
            # one purpose a certificate: a server's can't be used to call another server
            "usages": ["digital signature", "server auth" if hosts else "client auth"],
            "duration": _DAYS_90,
            "renewBefore": _DAYS_30,
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer},
        },
        opts=place.options(parent, after=after),
    )
