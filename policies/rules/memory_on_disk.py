"""Memory that comes to lie on a disk: core dumps of a process or of a GPU, swap, and keys and values of
prompts that an engine puts aside. What was only ever in memory is then kept by nobody's decision.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import carried, control_plane, estate, kubernetes, variables, vllm
from policies.control_plane import KUBELET
from policies.kubernetes import PODS, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.vllm import Engine
from policies.walkers import strings
from policies.walkers.strings import Leaf

_CONTROLS = ("HIPAA 164.312(a)(2)(iv)", "HIPAA 164.310(d)(1)", "HDS EXI 05", "GDPR 5(1)(c)", "GDPR 32")

#: docs.nvidia.com/cuda/cuda-gdb, GPU core dump support: the switches, and where a dump goes
_GPU_DUMP = re.compile(r"CUDA_(?:ENABLE_\w*COREDUMP\w*|COREDUMP_(?:FILE|PIPE))")
_OFF = ("", "0", "false")

#: How text sets a limit of core dumps, or what the kernel does with one, and which values keep none: bash(1),
#: systemd.exec(5), core(5).
_NOWHERE = re.compile(r"\|\s*/\S*/(?:false|true)\b.*")
_CORE = (
    (re.compile(r"\bulimit\s+(?:-[HS]\s+)?-[HS]?c\s+(\w+)"), re.compile("0")),
    (re.compile(r"(?m)^[ \t]*(?:Default)?LimitCORE\s*=\s*(\S+)"), re.compile("0")),
    (re.compile(r"kernel[./]core_pattern\s*=\s*[\"']?([^\"'\n;]+)"), _NOWHERE),
    (re.compile(r"echo\s+[\"']?([^\"'\n>]+?)[\"']?\s*>\s*/proc/sys/kernel/core_pattern"), _NOWHERE),
)
_MENTIONED = re.compile(r"core_pattern|LimitCORE|ulimit")
_NO_CORE = re.compile(r"\bulimit\s+(?:-[HS]\s+)?-[HS]?c\s+0\b")

#: kubernetes.io/docs/concepts/cluster-administration/swap-memory-management
_SWAPS = ("LimitedSwap", "UnlimitedSwap")

#: docs.lmcache.ai/api_reference/configurations: the variables, and the file that they may name
_LMCACHE, _LMCACHE_FILE = re.compile(r"LMCACHE_(?!CONFIG_FILE)\w+"), "LMCACHE_CONFIG_FILE"
_PATH = re.compile(r"(?:file://)?(/[^\s:]+)")
#: stands for a folder that is not told
_ANYWHERE = "/anywhere"


@rule(
    "memory-on-disk.gpu-dumps",
    title="No GPU core dumps",
    routes=["K54"],
    controls=_CONTROLS,
    fix="Leave the variable out.",
    pack="protection",
    kinds=PODS,
)
def gpu_dumps(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """On an exception, CUDA writes the GPU's memory, prompts and answers in it, into a file or a pipe."""
    for container in kubernetes.containers(subject):
        for found in variables.given(container, subject, _GPU_DUMP):
            if found.hidden:
                yield subject.undecided(found.where, seen=found.name, why="whether it is on is not told")
            elif (found.text or "").lower() not in _OFF:
                yield subject.refuse(found.where, seen=found.name, why="it writes the GPU's memory to a file")


@rule(
    "memory-on-disk.core-dumps",
    title="No core dumps",
    routes=["K54"],
    controls=_CONTROLS,
    fix="Set the limit of core dumps to 0, and kernel.core_pattern to |/bin/false.",
    pack="protection",
    kinds=[*carried.HOLDERS, *PODS],
)
def core_dumps(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A process that crashes leaves its memory in a file, or hands it to the program in core_pattern, which
    keeps it or sends it away (apport, systemd-coredump, abrt)."""
    assert subject.resource is not None
    for leaf in filter(_mentions, subject.resource.leaves or ()):
        for sets, harmless in _CORE:
            if any(not harmless.fullmatch(value.strip()) for value in sets.findall(_text(leaf))):
                yield subject.refuse(leaf.path, seen="core dumps", why="memory is written to a disk")


@rule(
    "memory-on-disk.core-dumps-unsaid",
    title="It must be known that engines leave no core dumps",
    routes=["K54"],
    controls=_CONTROLS,
    fix="Start the engine after `ulimit -c 0`, or declare K54 in the zone, with an owner and a day.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def core_dumps_unsaid(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The limit of core dumps is the node's, where containerd runs without one; no pod can be given a limit
    but by its own command line."""
    if zone.declares("K54", subject.plan.at):
        return
    for look, engine in estate.engines(subject.plan):
        still = quiet(engine.container.node)
        line = " ".join((*still["command"].texts(), *still["args"].texts()))
        if not _NO_CORE.search(line):
            where = engine.container.node
            yield kubernetes.hit(look, where, seen="an engine", why="nothing says that core dumps are off")


@rule(
    "memory-on-disk.swap",
    title="No swap for pods",
    routes=["K55"],
    controls=("HIPAA 164.312(a)(2)(iv)", "HIPAA 164.310(d)(1)", "GDPR 32"),
    fix="Leave failSwapOn at true or swapBehavior at NoSwap; or declare K55, if swap is encrypted.",
    pack="protection",
    kinds=[*carried.HOLDERS, *PODS],
)
def swap(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A node that swaps writes the memory of pods to its disk."""
    if zone.declares("K55", subject.plan.at):
        return
    why = "memory of pods goes to the node's disk"
    for _, node in carried.objects(subject, "KubeletConfiguration"):
        behaviour = node["memorySwap"]["swapBehavior"]
        if behaviour.text() in _SWAPS:
            yield subject.refuse(behaviour, seen=str(behaviour.text()), why=why)
        elif node["failSwapOn"].flag() is False and behaviour.absent:
            yield subject.refuse(node["failSwapOn"], seen="failSwapOn: false", why=why)
    for told in control_plane.programs(subject):
        if told.program == KUBELET and "fail-swap-on" in told.flags and not told.on("fail-swap-on"):
            yield subject.refuse(told.flags["fail-swap-on"].where, seen="fail-swap-on=false", why=why)


@rule(
    "memory-on-disk.offload",
    title="Engines may put prompts aside in memory or on encrypted volumes only",
    routes=["K55"],
    controls=("HIPAA 164.312(a)(2)(iv)", "HIPAA 164.310(d)(1)", "GDPR 32"),
    fix="Mount an encrypted volume, or an emptyDir in memory; or declare K55, if nodes' disks are encrypted.",
    pack="protection",
    kinds=PODS,
)
def offload(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Keys and values of a prompt are the prompt, to whoever has the model. Connectors put them into a folder
    when GPU memory is short, and leave them there."""
    if zone.declares("K55", subject.plan.at):
        return
    for engine in vllm.engines(subject):
        for where, text in _asides(subject, engine):
            for leaf in strings.leaves({"aside": text}):
                found = _PATH.fullmatch(str(leaf.value).strip())
                if found is not None and not _is_safe(engine, found.group(1)):
                    yield subject.refuse(where, seen="a folder", why="it lies on the node's disk as it is")


def _asides(subject: Subject, engine: Engine) -> Iterator[tuple[Node, str]]:
    """Where an engine is told to put keys and values, as texts that may hold paths."""
    for flag in engine.flags("kv-transfer-config"):
        yield flag.value.where, flag.value.text
    for name, _ in engine.names():
        setting = engine.setting(name)
        assert setting is not None, "it is one of the names that are set"
        if setting.text is None and _is_told_by_cluster(setting.where):
            continue
        if _LMCACHE.fullmatch(name):
            yield setting.where, _ANYWHERE if setting.text is None else setting.text
        elif name == _LMCACHE_FILE:
            files = list(carried.find(subject.plan, (setting.text or "").rpartition("/")[2]))
            yield from ((setting.where, file.text) for file in files)
            if not files:
                yield setting.where, _ANYWHERE


def _is_told_by_cluster(where: Node) -> bool:
    """Whether a variable is a name, an address or a number that the cluster itself gives: none is a folder."""
    return where.path.endswith(".fieldRef") or not quiet(where)["resourceFieldRef"].absent


def _mentions(leaf: Leaf) -> bool:
    return bool(_MENTIONED.search(_text(leaf)))


def _text(leaf: Leaf) -> str:
    return f"{leaf.key}=\n{leaf.value}"


def _is_safe(engine: Engine, path: str) -> bool:
    """Whether a folder lies on a volume that is encrypted or in memory."""
    mount = engine.container.mount(path)
    if mount is None:
        return False
    name = mount["name"].text()
    for volume in engine.container.pod.spec["volumes"].each():
        if volume["name"].text() == name:
            in_memory = volume["emptyDir"]["medium"].text() == "Memory"
            return in_memory or (volume["emptyDir"].absent and volume["hostPath"].absent)
    return False
