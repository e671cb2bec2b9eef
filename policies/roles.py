"""The cluster's own roles, which no plan shows: kubernetes.io/docs/reference/access-authn-authz/rbac."""

from typing import Final

#: They read secrets, or have ways into pods.
STRONG: Final = frozenset(("admin", "cluster-admin", "edit", "system:kubelet-api-admin"))
#: They do neither.
WEAK: Final = frozenset(
    (
        "extension-apiserver-authentication-reader",
        "system:auth-delegator",
        "system:basic-user",
        "system:discovery",
        "system:monitoring",
        "system:node-proxier",
        "system:public-info-viewer",
        "system:service-account-issuer-discovery",
        "view",
    )
)
