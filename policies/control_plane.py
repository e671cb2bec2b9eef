"""What the programs of a cluster's control plane and nodes are told, wherever a plan shows it: in the command
lines of their pods, also of pods that lie as files in a ConfigMap, in kubeadm's configuration, and in the
configuration files of k3s and RKE2.

kubernetes.io/docs/reference/config-api (kubeadm-config.v1beta3 and v1beta4), docs.k3s.io/cli/server,
docs.rke2.io/reference/server_config.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from policies import carried, command_line, kubernetes
from policies.command_line import Environment, Word
from policies.kubernetes import Container, Pod, quiet
from policies.model import Node, Resource
from policies.rule import Subject

API_SERVER: Final = "kube-apiserver"
KUBELET: Final = "kubelet"
#: k3s, and RKE2, which takes the same settings
K3S: Final = "k3s"

_PROGRAMS = {API_SERVER: API_SERVER, KUBELET: KUBELET, K3S: K3S, "rke2": K3S}
#: what k3s hands on to the programs within it
_HANDED_ON = {"kube-apiserver-arg": API_SERVER, "kubelet-arg": KUBELET}
#: keys by which a file is known for the configuration of k3s or RKE2
_OF_K3S = re.compile(
    r"""(?m)^["']?(?:kube-apiserver-arg|kubelet-arg|etcd-s3|secrets-encryption|disable-network-policy|"""
    r"""flannel-backend|write-kubeconfig-mode|tls-san|cluster-cidr)\b"""
)
#: k3s reads where its snapshots go from the keys of a Secret too (docs.k3s.io/cli/etcd-snapshot)
_OF_SNAPSHOTS = "etcd-s3-"


@dataclass(frozen=True)
class Told:
    """A program and its flags, of each the last that was given. `whole`: nothing else tells it more, so what
    is absent counts."""

    program: str
    flags: Mapping[str, Word]
    where: Node
    whole: bool

    def on(self, flag: str) -> bool:
        """Whether a switch is given and not set to false."""
        return flag in self.flags and self.flags[flag].text.lower() != "false"


def programs(subject: Subject) -> tuple[Told, ...]:
    """The programs that an object tells something."""
    return subject.once("programs", lambda: tuple(_programs(subject)))


def _programs(subject: Subject) -> Iterator[Told]:
    if _names_a_program(subject.resource):
        for container in kubernetes.containers(Subject(subject.plan, subject.resource)):
            yield from _container(container, subject)
    kinds = ("ClusterConfiguration", "InitConfiguration", "JoinConfiguration", "Pod")
    for kind, node in carried.objects(subject, *kinds):
        if kind == "Pod":
            for container in Pod(node).containers():
                yield from _container(container, subject)
        elif kind == "ClusterConfiguration":
            yield _told(API_SERVER, _extra(node["apiServer"]["extraArgs"]), node, whole=True)
        else:
            yield _told(KUBELET, _extra(node["nodeRegistration"]["kubeletExtraArgs"]), node, whole=False)
    files = list(carried.files(subject))
    for file in files:
        for node in carried.mappings(file) if _OF_K3S.search(file.text) else ():
            if node["kind"].absent:
                yield from _k3s(_entries(node), node)
    snapshots = [
        (file.name, Word(file.text, file.where)) for file in files if file.name.startswith(_OF_SNAPSHOTS)
    ]
    if snapshots:
        yield _told(K3S, snapshots, subject["data"], whole=False)


def _names_a_program(resource: Resource | None) -> bool:
    """Whether an object names one of the programs at all: most don't, and needn't be taken apart."""
    leaves = resource.leaves if resource is not None else ()
    if leaves is None:
        return True
    text = "\n".join(leaf.value for leaf in leaves if isinstance(leaf.value, str))
    return any(name in text for name in _PROGRAMS)


def _container(container: Container, subject: Subject) -> Iterator[Told]:
    still = Container(quiet(container.node), container.group, Pod(quiet(container.pod.node)))
    environment = Environment(still, Subject(subject.plan, subject.resource))
    for command in command_line.simple(still, environment):
        program = _PROGRAMS.get(command.program)
        if program is None:
            continue
        node = Node(container.node.value, container.node.path, subject.touched)
        for key in ("command", "args"):
            node[key].texts()  # what of them isn't known is remembered
        given = list(flags(command.words[1:]))
        yield from _k3s(given, node) if program == K3S else [_told(program, given, node, whole=True)]


def flags(words: Iterable[Word]) -> Iterator[tuple[str, Word]]:
    """The flags of a command line, `--name=value` or `--name value`, with their values."""
    line = list(words)
    for place, word in enumerate(line):
        if not word.text.startswith("--"):
            continue
        name, equals, value = word.text[2:].partition("=")
        following = line[place + 1] if place + 1 < len(line) else None
        if equals:
            yield name, Word(value, word.where)
        elif following is not None and not following.text.startswith("-"):
            yield name, following
        else:
            yield name, Word("true", word.where)


def _k3s(given: Iterable[tuple[str, Word]], where: Node) -> Iterator[Told]:
    listed = list(given)
    yield _told(K3S, listed, where, whole=False)
    for name, program in _HANDED_ON.items():
        handed_on = [
            (flag, Word(value, word.where))
            for key, word in listed
            if key == name
            for flag, _, value in [word.text.removeprefix("--").partition("=")]
        ]
        if handed_on:
            yield _told(program, handed_on, where, whole=False)


def _extra(node: Node) -> Iterator[tuple[str, Word]]:
    """kubeadm's extraArgs: a mapping, and since v1beta4 a list of names and values."""
    if not isinstance(node.value, list):
        yield from _entries(node)
        return
    for item in node.each():
        name = item["name"].text()
        if name is not None:
            yield name, _word(item["value"])


def _entries(node: Node) -> Iterator[tuple[str, Word]]:
    for name, value in node.members():
        for one in value.each() if isinstance(value.value, list) else (value,):
            yield name, _word(one)


def _word(node: Node) -> Word:
    value = node.value
    return Word(str(value).lower() if isinstance(value, bool) else str(value), node)


def _told(program: str, given: Iterable[tuple[str, Word]], where: Node, *, whole: bool) -> Told:
    return Told(program, dict(given), where, whole)
