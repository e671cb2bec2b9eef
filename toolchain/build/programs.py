"""Which programs there are, what each is built from, and by which words one knows that it is the right one.

The versions are those of the go.mod beside each program's go.sum; a test compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: the engine's version, which the Python SDK shares
PULUMI = "v3.259.0"
KUBERNETES = "v1.36.3"
ETCD = "3.6.5"
KWOK = "v0.7.0"

_STRIPPED = "-s -w"
_VERSIONED = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Extra:
    """A file to lie beside a program. `source` is a path in the Go module `module`, or in the checkout."""

    source: str
    target: str
    executable: bool = False
    module: str = ""


@dataclass(frozen=True)
class Program:
    """One program of a Go module of ours."""

    name: str
    #: the folder of its go.mod and go.sum
    module: str
    package: str
    ldflags: str
    #: asks the program for its version, and what the answer must hold
    ask: Sequence[str]
    answer: str
    extras: Sequence[Extra] = ()

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
    )
}

ALL = tuple(PROGRAMS)
