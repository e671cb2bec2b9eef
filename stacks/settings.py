"""The settings of a stack, typed: what stands under `sovereign:settings` in its Pulumi.<stack>.yaml.

Every field is described where it is declared. An error names the file, the key and what is allowed there,
and never shows a value.
"""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from facts.days import Day
from facts.networks import NetworkSet
from stacks.aws_settings import Aws
from stacks.part import MAPPING, TEXT, Count, Network, Part, Text, form

KEY = "sovereign:settings"

#: `cluster.kubeconfig` of the local cluster that the kit itself starts, and of the one that the ground makes
EMBEDDED, GROUND = "embedded", "ground"


class SettingsError(ValueError):
    """Settings that can't be used; the message is a sentence for the person who wrote them."""


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("an address is one of IPv4 or IPv6, such as 10.20.0.10") from None
    return text


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

Label = Annotated[str, form(_LABEL, "a name has a-z, 0-9 and '-', at most 63 of them")]
ObjectName = Annotated[
    str, form(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", "an object's name has a-z, 0-9, '-' and '.'")
]
LabelValue = Annotated[
    str,
    form(
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
        "a label's value has letters, digits, '.', '_' and '-', at most 63",
    ),
]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Size = Annotated[
    str, form(r"[1-9][0-9]*(Mi|Gi|Ti)", "a size is a whole number of Mi, Gi or Ti, such as 80Gi")
]
Image = Annotated[
    str,
    form(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(/[a-z0-9._-]+)+(:[\w.-]+)?@sha256:[0-9a-f]{64}",
        "an image is pinned by digest: registry.host/path@sha256:<64 hex digits>",
    ),
]


class State(Part):
    """Where the stack's state lives, and which key encrypts its secrets; both are judged by the zone."""

    #: relative files are relative to the site's base
    backend: Annotated[
        str,
        form(r"(file|s3|azblob|https)://\S+", "a backend is file://FOLDER, s3://, azblob:// or https://"),
    ]
    secrets_provider: Annotated[
        str,
        form(
            r"passphrase|(hashivault|awskms|azurekeyvault)://\S+",
            "it is `passphrase`, or a key at hashivault://, awskms:// or azurekeyvault://",
        ),
    ]


class Cluster(Part):
    """The one cluster that the stack is for; none is ever taken from the environment."""

    #: `embedded`, `ground` (the cluster that `aws` makes), or a kubeconfig file of one's own (relative to the
    #: site's base)
    kubeconfig: Text
    context: Text | None = None
    #: the UID of the cluster's namespace kube-system: names one cluster in the world
    uid: (
        Annotated[str, form(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "it is the UID of kube-system")]
        | None
    ) = None
    #: which Kubernetes provider plugin applies the plan
    provider: Literal["kit", "official"] = "official"
    #: `namespaces`: what the whole cluster shares (namespaces, classes of priority, admission policies) is
    #: made by its owner, and the stack needs rights in its own namespaces only
    rights: Literal["cluster", "namespaces"] = "cluster"

    @property
    def embedded(self) -> bool:
        return self.kubeconfig == EMBEDDED

    @property
    def of_ground(self) -> bool:
        return self.kubeconfig == GROUND


class Embedded(Part):
    """The local cluster's simulated nodes."""

    nodes: Annotated[int, Field(strict=True, ge=1, le=5000)] = 4
    #: the product that the nodes are labelled with
    gpu: LabelValue = "NVIDIA-H100-80GB-HBM3"
    gpus_per_node: Annotated[int, Field(strict=True, ge=1, le=16)] = 8
    #: failure domains over which the nodes are spread: zone-1, zone-2, ...
    rooms: Annotated[int, Field(strict=True, ge=1, le=16)] = 3


class Images(Part):
    """What the workloads run, from registries of the zone."""

    vllm: Image
    gateway: Image
    audit: Image
    #: verifies the weights before an engine starts (services/weights)
    verifier: Image


class NodeCache(Part):
    """A copy of the weights on each node's own disk, verified while it is written and at each start."""

    #: an encrypted StorageClass of local disks, and the name of the key that encrypts it
    storage_class: ObjectName
    storage_key: Text
    size: Size


class Weights(Part):
    """Where a model's weights are, and how they are known to be the right ones."""

    #: the PersistentVolume that holds them already; the embedded cluster simulates one
    volume: ObjectName | None = None
    size: Size = "80Gi"
    #: of the signed manifest, as `sovereign weights sign` prints it: any other folder is refused
    digest: Annotated[
        str,
        form(r"sha256:[0-9a-f]{64}", "a digest is sha256: and 64 hex digits, as `weights sign` prints it"),
    ]
    #: MB a second that the volume gives, measured: how long a start may take follows from it
    read_rate: Annotated[int, Field(strict=True, ge=10, le=100_000)] = 200
    cache: NodeCache | None = None


class Autoscale(Part):
    """More engines while requests wait: needs GPUs for the most, and an adapter for vLLM's metrics."""

    #: engines at most
    maximum: Annotated[int, Field(strict=True, ge=2, le=512)]
    #: requests that wait at each engine before there is one more
    waiting: Annotated[int, Field(strict=True, ge=1, le=1000)] = 10


class WritableRoot(Part):
    """An exception for a GPU runtime's hook that writes to the root file system; refused after its day."""

    reason: Text
    #: the last day, within 180 days
    until: Day


class Model(Part):
    """A model, the room that it takes and how it is released."""

    #: how requests call it
    name: LabelValue
    #: what it is, by its name in the catalogue (facts/models.yaml, or a site's own); default: `name`
    architecture: Text | None = None
    #: its engines' image, where it isn't images.vllm
    image: Image | None = None
    quantization: Text = "fp8"
    #: its folder on the volume of weights, which is mounted at /models
    path: Annotated[
        str, form(r"/models/[A-Za-z0-9][A-Za-z0-9._-]*", "the weights are a folder right under /models")
    ]
    weights: Weights
    #: the GPU by its catalogue name, such as H100-80; the embedded cluster has its own
    gpu: Text | None = None
    #: tensor-parallel size: GPUs of one node
    gpus: Literal[1, 2, 4, 8]
    #: tokens of one request, prompt and answer
    max_length: Annotated[int, Field(strict=True, ge=256, le=1_048_576)]
    #: requests of that length at once, for which there is to be room
    concurrency: Annotated[int, Field(strict=True, ge=1, le=4096)] = 8
    #: keys and values: `fp8` or `bf16`; default: fp8 where GPU and quantization suggest it
    cache: Text | None = None
    replicas: Count = 1
    #: engines for which there are GPUs besides, so that a change rolls without missing one
    spare: Annotated[int, Field(strict=True, ge=0, le=64)] = 0
    #: off unless it is given
    autoscale: Autoscale | None = None
    #: over which node label engines are spread: rooms, racks, zones
    failure_domain: Annotated[
        str, form(r"[a-z0-9./-]+/[A-Za-z0-9._-]+", "it is a node label such as topology.kubernetes.io/zone")
    ] = "topology.kubernetes.io/zone"
    #: among the models of a cluster: the higher one is scheduled first; none takes a running one's GPUs
    priority: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 1000
    #: read-only unless it is given
    writable_root: WritableRoot | None = None
    #: arguments of `vllm serve` besides those that the kit sets; the rules judge them
    arguments: tuple[
        Annotated[str, form(r"--[a-z][\w.-]*(=.*)?", "an argument is --flag or --flag=value")], ...
    ] = ()

    @model_validator(mode="after")
    def _room_to_grow(self) -> Self:
        if self.autoscale is not None and self.autoscale.maximum <= self.replicas:
            raise ValueError("autoscale.maximum: is to be more than replicas, which is the least")
        return self

    @property
    def object_name(self) -> str:
        """What the model is called where only a-z, 0-9 and '-' are allowed."""
        return object_name(self.name)


class LoadBalancer(Part):
    """A Service of type LoadBalancer inside the site's own network."""

    #: an address of the zone's networks (spec.loadBalancerIP)
    address: Annotated[str, AfterValidator(_address)] | None = None
    #: by which the cluster's controller gives an internal address: facts/load_balancers.yaml
    annotations: dict[str, str] = Field(default_factory=dict)
    #: spec.loadBalancerClass
    class_name: ObjectName | None = None

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.address is None and not self.annotations:
            raise ValueError("give an address of the zone, or the annotation that makes it internal")
        return self


class SharedGateway(Part):
    """A Gateway of the cluster (Gateway API), whose listener passes TLS through."""

    name: ObjectName
    namespace: Label
    listener: Label
    #: labels of its pods: the only ones from which the gateway then takes calls
    pods: Annotated[dict[str, str], Field(min_length=1)]


class Clients(Part):
    """Who may call the gateway, by which name, through what. Without networks nobody may."""

    #: networks whose hosts may call the gateway
    networks: tuple[Network, ...] = ()
    #: the name that applications call
    host: Annotated[str, form(rf"{_LABEL}(\.{_LABEL})+", "a host is a whole DNS name")] | None = None
    #: who issues the certificate for that name: the kit's own authority, or a ClusterIssuer of cert-manager
    issuer: ObjectName = "kit"
    load_balancer: LoadBalancer | None = None
    gateway: SharedGateway | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = NetworkSet.of(self.networks)
        if any(named.covers(NetworkSet.of([everything])) for everything in ("0.0.0.0/0", "::/0")):
            raise ValueError("networks: is everybody: name the networks whose hosts may call")
        entrances = [way for way in (self.load_balancer, self.gateway) if way is not None]
        if len(entrances) > 1:
            raise ValueError("there is one way in: loadBalancer or gateway, not both")
        if entrances and (not self.networks or self.host is None):
            raise ValueError("a way in needs networks, whose hosts may call, and the host that they call")
        if self.issuer != "kit" and self.host is None:
            raise ValueError("issuer: is for the certificate of host: give host, or leave it out")
        return self


def object_name(model: str) -> str:
    """A model's name where only a-z, 0-9 and '-' are allowed."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")


def _some(models: tuple[Model, ...]) -> tuple[Model, ...]:
    if not models:
        raise ValueError("name at least 1 model")
    return models


class Namespaces(Part):
    """Where the parts stand, and where the cluster's Prometheus does."""

    gateway: Label = "llm-gateway"
    serving: Label = "llm-serving"
    audit: Label = "llm-audit"
    monitoring: Label = "monitoring"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = (self.gateway, self.serving, self.audit, self.monitoring, "kube-system", "default")
        if len(set(names)) < len(names):
            raise ValueError("each of the four is a namespace of its own, not kube-system or default")
        return self


class Audit(Part):
    """The store of audit records, and the networks of an object store for copies (none: no way out)."""

    size: Size = "50Gi"
    networks: tuple[Network, ...] = ()
    port: Port = 443


class Settings(Part):
    """A stack. What is not declared here does not exist: safe is the only form of the rest."""

    zone: Label
    state: State
    cluster: Cluster
    embedded: Embedded | None = None
    #: a ground on AWS, for cluster.kubeconfig: ground
    aws: Aws | None = None
    images: Images
    models: Annotated[tuple[Model, ...], AfterValidator(_some)]
    #: the public half, in PEM, of the ed25519 key that the site signs weights with
    weights_key: Annotated[
        str,
        form(
            r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]{50,100}\n-----END PUBLIC KEY-----\n?",
            "it is a public key in PEM, as `openssl pkey -pubout` writes it, under `weightsKey: |`",
        ),
    ]
    #: who issues the certificates between gateway, engines and audit service: the kit, as encrypted
    #: configuration of the stack, or cert-manager, where the cluster has it
    certificates: Literal["kit", "cert-manager"] = "kit"
    #: scrapes, alerts and a dashboard for the Prometheus operator of the cluster; `none` where there is none
    observability: Literal["none", "prometheus-operator"] = "none"
    namespaces: Namespaces = Namespaces()
    clients: Clients = Clients()
    audit: Audit = Audit()
    #: how long audit records are kept; how long they may be is the zone's matter
    retention_days: Count
    #: an encrypted StorageClass, and the name of the key that encrypts it; the embedded cluster simulates
    #: both
    storage_class: ObjectName | None = None
    storage_key: Text | None = None
    #: Kubernetes groups that may look at the parts' state; never at secrets, logs or into a container
    observers: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.cluster.embedded:
            faults = list(self._embedded_faults())
        else:
            faults = list(self._ground_faults() if self.cluster.of_ground else self._own_cluster_faults())
        if self.aws is not None and not self.cluster.of_ground:
            faults.append("aws: makes a cluster: set cluster.kubeconfig: ground, or leave aws out")
        names = [model.object_name for model in self.models]
        if len(set(names)) < len(names) or not all(names) or any(len(name) > 50 for name in names):
            faults.append(
                "models: each name is its own, also in lower case with '-' for all else, 50 at most"
            )
        if faults:
            raise ValueError("\n".join(f"{fault}." for fault in faults))
        return self

    def _embedded_faults(self) -> Iterator[str]:
        if self.embedded is None:
            yield "embedded: is missing: with cluster.kubeconfig: embedded, say which nodes to simulate"
        elif self.embedded.gpus_per_node < max(model.gpus for model in self.models):
            yield "models.gpus: an engine's GPUs are of one node: no more than embedded.gpusPerNode"
        for key, value in (
            ("cluster.context", self.cluster.context),
            ("cluster.uid", self.cluster.uid),
            *((key, value) for key, value, _ in (*self._of_cluster(), *self._gpus())),
        ):
            if value is not None:
                yield f"{key}: is for a cluster of your own: leave it out, the embedded one has its own"
        if self.cluster.rights != "cluster":
            yield "cluster.rights: the embedded cluster is the stack's own: leave it out"

    def _own_cluster_faults(self) -> Iterator[str]:
        if self.embedded is not None:
            yield "embedded: is for cluster.kubeconfig: embedded: leave it out"
        if self.cluster.context is None:
            yield "cluster.context: is missing: name the kubeconfig's context"
        yield from self._missing(*self._of_cluster(), *self._gpus())
        yield from self.placeholders()

    def _ground_faults(self) -> Iterator[str]:
        if self.aws is None:
            yield "aws: is missing: with cluster.kubeconfig: ground, say which ground it is"
        if self.cluster.provider != "official":
            yield "cluster.provider: the cluster of a ground is for the official plugin: leave it out"
        used = self.aws is not None and self.aws.cluster is not None
        for key, value in (
            ("embedded", self.embedded),
            ("cluster.context", self.cluster.context),
            *((key, value) for key, value, _ in self._of_cluster() if not used),
        ):
            if value is not None:
                yield f"{key}: the ground has its own: leave it out"
        if self.cluster.rights != "cluster" and not used:
            yield "cluster.rights: the cluster is the ground's own: leave it out"
        yield from self._missing(*self._gpus(), *(self._of_cluster() if used else ()))
        if self.aws is not None:
            names = {model.name for model in self.models}
            yield from self.aws.faults(names, self.clients.networks, self.retention_days)

    def _of_cluster(self) -> Iterator[tuple[str, str | None, str]]:
        """What a cluster that is there has of its own, as (key, value, advice)."""
        yield "storageClass", self.storage_class, "name an encrypted StorageClass of the cluster"
        yield "storageKey", self.storage_key, "name the key that encrypts that StorageClass"
        yield from self._of_models("weights.volume", "name the PersistentVolume that holds the weights")

    def _gpus(self) -> Iterator[tuple[str, str | None, str]]:
        yield from self._of_models("gpu", "name the GPU, such as H100-80: `sovereign size` lists them")

    @staticmethod
    def _missing(*wanted: tuple[str, str | None, str]) -> Iterator[str]:
        for key, value, advice in wanted:
            if value is None:
                yield f"{key}: is missing: {advice}"

    def placeholders(self) -> Iterator[str]:
        """Digests that stand for something yet to come: a release is refused with them, a review isn't."""
        for key, image in self.images.model_dump().items():
            if len(set(image.rpartition(":")[2])) == 1:
                yield f"images.{key}: its digest is a placeholder: give the digest of an image that exists"
        for place, model in enumerate(self.models):
            if len(set(model.weights.digest.rpartition(":")[2])) == 1:
                yield f"models.{place}.weights.digest: is a placeholder: give what `weights sign` printed"

    def _of_models(self, field: str, advice: str) -> Iterator[tuple[str, str | None, str]]:
        """A field of each model as (key, value, advice)."""
        for place, model in enumerate(self.models):
            value: Any = model
            for step in field.split("."):
                value = getattr(value, step)
            yield f"models.{place}.{field}", value, advice


def load(stack_file: Path) -> Settings:
    """The settings in a stack's file, without the engine. Raises SettingsError."""
    return parse(_rolled_back(_config(stack_file).get(KEY), stack_file), stack_file)


def from_config(stack_file: Path) -> Settings:
    """The settings that the engine hands to the program; messages name `stack_file`. Raises SettingsError."""
    import pulumi

    given = pulumi.Config("sovereign").get("settings")
    try:
        data = None if given is None else json.loads(given)
        return parse(_rolled_back(data, stack_file), stack_file)
    except json.JSONDecodeError:
        raise SettingsError(
            f"{stack_file}: {KEY}: must be a mapping with the keys {_keys(Settings)}."
        ) from None


def rollbacks(stack_file: Path) -> Mapping[str, Any]:
    """The releases that stand in the settings' place, by the model's name. Raises SettingsError."""
    stack = stack_file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    file = stack_file.with_name(f"rollback.{stack}.yaml")
    if not file.is_file():
        return {}
    data = read_file(file)
    for name, release in data.items():
        model = release.get("model") if isinstance(release, dict) else None
        if not isinstance(model, dict) or model.get("name") != name:
            raise SettingsError(f"{file}: {name}: is no release of that model: remove it, or the file.")
    return data


def _rolled_back(data: object, stack_file: Path) -> object:
    """The settings with each model that was rolled back as its release had it."""
    rolled = rollbacks(stack_file)
    models = data.get("models") if isinstance(data, dict) else None
    if not rolled or not isinstance(data, dict) or not isinstance(models, list):
        return data
    named = [model.get("name") for model in models if isinstance(model, dict)]
    for name in rolled:
        if name not in named:
            raise SettingsError(f"{stack_file}: models: {name} is rolled back, and the stack has none of it.")
    return {
        **data,
        "models": [
            rolled[model["name"]]["model"]
            if isinstance(model, dict) and model.get("name") in rolled
            else model
            for model in models
        ],
    }


def parse(data: object, stack_file: Path) -> Settings:
    """Settings from plain data. Raises SettingsError: a line for each fault, with file, key and what is
    allowed.
    """
    if not isinstance(data, Mapping):
        what = "is missing" if data is None else "is no mapping"
        raise SettingsError(f"{stack_file}: {KEY}: {what}: give it the keys {_keys(Settings)}.")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        sentences = (_sentence(fault["loc"], fault["type"], fault["msg"]) for fault in faults)
        lines = (line for sentence in sentences for line in sentence.splitlines())
        raise SettingsError("\n".join(f"{stack_file}: {line}" for line in lines)) from None


def read_file(stack_file: Path) -> dict[str, Any]:
    """A Pulumi.<stack>.yaml as plain data. Raises SettingsError."""
    try:
        data = yaml.safe_load(stack_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"There is no settings file {stack_file}: write one, or correct the stack's name."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {stack_file} can't be read: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise SettingsError(f"The settings file {stack_file} is not YAML{line}: correct it.") from None
    if not isinstance(data, dict):
        raise SettingsError(f"The settings file {stack_file} must hold a mapping with the key `config`.")
    return data


def _config(stack_file: Path) -> Mapping[str, Any]:
    config = read_file(stack_file).get("config")
    if not isinstance(config, Mapping):
        raise SettingsError(f"{stack_file}: config: is missing: it holds {KEY}.")
    return config


def _sentence(place: tuple[int | str, ...], kind: str, message: str) -> str:
    either, place = TEXT in place, tuple(step for step in place if step not in (TEXT, MAPPING))
    key = ".".join(str(step) for step in place)
    if kind == "extra_forbidden":
        allowed = _model_at(place[:-1])
        near = get_close_matches(str(place[-1]), _aliases(allowed), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{key}: is not a setting: {hint}The keys allowed here are {_keys(allowed)}."
    if kind == "missing":
        return f"{key}: is missing: the keys of this place are {_keys(_model_at(place[:-1]))}."
    if kind == "model_type":
        return f"{key}: is no mapping: give it the keys {_keys(_model_at(place))}."
    said = message.removeprefix("Value error, ").replace("Input should", "it should").removesuffix(".")
    if either:
        said += f"; or give it the keys {_keys(_model_at(place))}"
    return f"{key}: {said}." if key else f"{said}."


def _model_at(place: tuple[int | str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for step in place:
        for field in model.model_fields.values():
            if field.alias == step:
                model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(_aliases(model))
