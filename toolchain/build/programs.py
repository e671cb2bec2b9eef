"""Which programs there are, what each is built from, and by which words one knows that it is the right one.

The versions are those of the go.mod beside each program's go.sum; a test compares them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.build import kubernetes_api

HERE = Path(__file__).resolve().parent

#: the engine's version, which the Python SDK shares
PULUMI = "v3.259.0"
KUBERNETES = "v1.36.3"
ETCD = "3.6.5"
KWOK = "v0.7.0"
#: peers that `make score` compares the rules with
CONFTEST = "v0.71.0"
KYVERNO = "v1.19.1"
#: a second scanner of the rendered stacks (`make scan`)
KUBE_SCORE = "v1.20.0"

_STRIPPED = "-s -w"
_VERSIONED = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Extra:
    """A file to lie beside a program. `source` is a path in the Go module `module`, or in the checkout.

    `made`: gives the file's text from what `source` names, where it is no copy of it.
    """

    source: str
    target: str
    executable: bool = False
    module: str = ""
    made: Callable[[Path], str] | None = None


@dataclass(frozen=True)
class Program:
    """One program of a Go module of ours; without a package it is one of its extras, and nothing is built."""

    name: str
    #: the folder of its go.mod and go.sum
    module: str
    package: str = ""
    ldflags: str = ""
    #: asks the program for its version, and what the answer must hold
    ask: Sequence[str] = ()
    answer: str = ""
    extras: Sequence[Extra] = ()
    #: nothing in the kit needs it: it is built where it is asked for by name
    optional: bool = False

    @property
    def folder(self) -> Path:
        return HERE / self.module


def _kubernetes(
    name: str, ask: Sequence[str] = ("--version",), answer: str = f"Kubernetes {KUBERNETES}"
) -> Program:
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    version = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    stamps = " ".join(f"-X {_VERSIONED}.{key}={value}" for key, value in version.items())
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", f"{_STRIPPED} {stamps}", ask, answer)


def _sdk(source: str) -> Extra:
    return Extra(source, Path(source).name, executable=True, module="github.com/pulumi/pulumi/sdk/v3")


def _stage(source: str) -> Extra:
    return Extra(f"kustomize/stage/{source}", f"stages/{Path(source).name}", module="sigs.k8s.io/kwok")


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "pulumi",
            "pulumi",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            f"{_STRIPPED} -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI}",
            ("version",),
            PULUMI,
            (
                _sdk("python/cmd/pulumi-language-python-exec"),
                _sdk("python/dist/pulumi-resource-pulumi-python"),
                # the engine looks for a language host beside itself first
                Extra(
                    "toolchain/language_python/pulumi-language-python",
                    "pulumi-language-python",
                    executable=True,
                ),
            ),
        ),
        Program(
            "etcd", "etcd", "go.etcd.io/etcd/server/v3", _STRIPPED, ("--version",), f"etcd Version: {ETCD}"
        ),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl", ("version", "--client"), f"Client Version: {KUBERNETES}"),
        # by which objects are checked where there is no API server to ask
        Program(
            "kubernetes-api",
            "kubernetes",
            extras=(Extra("", "kubernetes-api", module="k8s.io/kubernetes", made=kubernetes_api.of_module),),
        ),
        Program(
            "kwok",
            "kwok",
            "sigs.k8s.io/kwok/cmd/kwok",
            _STRIPPED,
            ("--version",),
            f"kwok version {KWOK}",
            (
                _stage("node/fast/node-initialize.yaml"),
                _stage("node/heartbeat-with-lease/node-heartbeat-with-lease.yaml"),
                _stage("pod/fast/pod-ready.yaml"),
                _stage("pod/fast/pod-complete.yaml"),
                _stage("pod/fast/pod-delete.yaml"),
            ),
        ),
        Program(
            "conftest",
            "conftest",
            "github.com/open-policy-agent/conftest",
            f"{_STRIPPED} -X github.com/open-policy-agent/conftest/internal/version.Version={CONFTEST}",
            ("--version",),
            f"Conftest: {CONFTEST}",
            optional=True,
        ),
        Program(
            "kyverno",
            "kyverno",
            "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
            f"{_STRIPPED} -X github.com/kyverno/kyverno/pkg/version.BuildVersion={KYVERNO}",
            ("version",),
            f"Version: {KYVERNO}",
            optional=True,
        ),
        Program(
            "kube-score",
            "kube-score",
            "github.com/zegl/kube-score/cmd/kube-score",
            f"{_STRIPPED} -X main.version={KUBE_SCORE}",
            ("version",),
            f"kube-score version: {KUBE_SCORE}",
            optional=True,
        ),
    )
}

#: what a machine needs to run the kit
ALL = tuple(name for name, program in PROGRAMS.items() if not program.optional)
