"""Secret stores: where keys and passwords come from, and who holds the key that opens the store itself."""

import re
from collections.abc import Iterator

from facts import integrations
from facts.zones import Zone
from policies import called, carried, command_line, control_plane, kubernetes, variables
from policies.command_line import Environment
from policies.kubernetes import PODS, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.table import reach

_CONTROLS = ("HDS EXI 28", "HDS EXI 30", "HIPAA 164.312(a)(2)(iv)", "GDPR 32", "GDPR 44-46", "SNC 19.2")
_FIX = "Name a store, a key service or an HSM on a host or in a region of the zone."

_HELD = "keys are held there"
_UNTOLD = "where keys are held is not told"
#: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates: the name is a host there
_AZURE = "vault.azure.net"

#: developer.hashicorp.com/vault/docs/commands, openbao.org/docs/commands
_VARIABLE = re.compile(r"(?:BAO|VAULT)_ADDR")
#: developer.hashicorp.com/vault/docs/deploy/kubernetes/injector, bank-vaults.dev/docs/mutating-webhook
_ANNOTATIONS = ("vault.hashicorp.com/service", "vault.security.banzaicloud.io/vault-addr")

#: `seal "awskms" { ... }` of Vault's and OpenBao's configuration, and the setting that says where the key is
#: (developer.hashicorp.com/vault/docs/configuration/seal); pkcs11 is a module in the machine.
_SEAL = re.compile(r"""(?s)\bseal\s+"(\w+)"\s*\{(.*?)\}""")
_PAIR = re.compile(r"""(?m)^[ \t]*(\w+)\s*=\s*"([^"]*)\"""")
_SEALS = {"awskms": "region", "gcpckms": "region", "transit": "address"}
_LOCAL_SEAL = "pkcs11"

#: programs that stand between the API server and a key service (kubernetes.io/docs/tasks/administer-cluster/
#: kms-provider)
_PLUGIN = re.compile(r"aws-encryption-provider|\bkms\b")


@rule(
    "secret-stores.external-secrets",
    title="External Secrets may take keys from stores of the zone only",
    routes=["K39"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["external-secrets.io/ClusterSecretStore", "external-secrets.io/SecretStore"],
)
def external_secrets(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who runs the store reads every key in it. Most providers are services of one company in one place, and
    many of the others mean that company's service where no address is given."""
    for name, provider in subject["spec"]["provider"].members():
        store = integrations.secret_stores().get(name)
        if store is None:
            yield subject.undecided(provider, seen=name, why=_UNTOLD)
        elif store.region is not None:
            where = provider[store.region]
            yield from called.region(subject, where, zone, store.cloud, _HELD, absent=_UNTOLD)
        else:
            for where in reach(provider, store.host or ""):
                if where.absent:
                    where = Node(store.default, where.path, where.touched)
                yield from called.host(subject, where, zone, _HELD, absent=_UNTOLD)


@rule(
    "secret-stores.mounted",
    title="Mounted secrets may come from stores of the zone only",
    routes=["K39"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["secrets-store.csi.x-k8s.io/SecretProviderClass"],
)
def mounted(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The Secrets Store CSI driver fetches on each node what a class names: from a Vault, a key vault, a
    cloud. A second region for when the first fails counts as well."""
    provider, parameters = subject["spec"]["provider"], subject["spec"]["parameters"]
    yield from called.settings(subject, parameters, zone, _HELD)
    kind = provider.text()
    if kind == "vault" and parameters["vaultAddress"].absent:
        yield subject.undecided(parameters, seen="no vaultAddress", why=_UNTOLD)
    elif kind == "azure":
        yield from _key_vault(subject, parameters["keyvaultName"], zone)
    elif kind not in ("aws", "vault"):
        yield subject.undecided(provider, seen=kind or "no provider", why=_UNTOLD)


@rule(
    "secret-stores.vault",
    title="Vaults must be the zone's",
    routes=["K39"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["secrets.hashicorp.com/VaultConnection", *PODS],
)
def vault(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Vault is named by a connection, by a variable, or by an annotation at which an injector puts an agent
    beside the pod."""
    yield from called.host(subject, quiet(subject["spec"])["address"], zone, _HELD)
    for pod in kubernetes.pods(subject):
        for name in _ANNOTATIONS:
            yield from called.host(subject, pod.annotations[name], zone, _HELD)
    for container in kubernetes.containers(subject):
        for found in variables.given(container, subject, _VARIABLE):
            if found.hidden:
                yield subject.undecided(found.where, seen=found.name, why=_UNTOLD)
            else:
                where = Node(found.text, found.where.path, subject.touched)
                yield from called.host(subject, where, zone, _HELD)


@rule(
    "secret-stores.seals",
    title="The key that opens a vault must be the zone's",
    routes=["K39"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=carried.HOLDERS,
)
def seals(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Vault in the zone whose seal is a cloud's key service opens for whoever holds that key."""
    for file in carried.files(subject):
        for kind, body in _SEAL.findall(file.text):
            told = Node(dict(_PAIR.findall(body)), file.where.path, subject.touched)
            yield from called.settings(subject, told, zone, _HELD)
            if kind == "azurekeyvault":
                yield from _key_vault(subject, told["vault_name"], zone)
            elif kind != _LOCAL_SEAL and (kind not in _SEALS or told[_SEALS[kind]].absent):
                yield subject.undecided(file.where, seen=f"seal {kind}", why=_UNTOLD)


@rule(
    "secret-stores.plugins",
    title="The API server's key service must be the zone's",
    routes=["K39"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=PODS,
)
def plugins(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A KMS plugin wraps the keys of etcd with a key of a service, which its flags name by a region, an ARN
    or an address."""
    for container in kubernetes.containers(subject):
        still = quiet(container.node)
        image, command = still["image"].text() or "", still["command"].texts()
        if not _PLUGIN.search(" ".join((image.partition("@")[0], *command[:1]))):
            continue
        line = command_line.words(container, Environment(container, subject))
        for name, word in control_plane.flags(line):
            where = Node(word.text, word.where.path, subject.touched)
            yield from called.setting(subject, name, where, zone, _HELD)
            if name == "keyvault-name":
                yield from _key_vault(subject, where, zone)


def _key_vault(subject: Subject, name: Node, zone: Zone) -> Iterator[Hit]:
    text = name.text()
    where = Node(f"{text}.{_AZURE}" if text else None, name.path, name.touched)
    yield from called.host(subject, where, zone, _HELD, absent=_UNTOLD)
