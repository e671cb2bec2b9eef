"""`make bench`: what the kit costs, as ratios against a named peer, both taken in the same run.

    rules           a plan of 10,000 resources against one of 1,000, per resource        aim: 1 (linear)
    packs           `pulumi preview` with the combined pack against without              aim: under 1.10
    up              `pulumi up` with the pack against `kubectl apply --server-side`,
                    both until every Deployment is available                            aim: under 1.5
    rollout         the same for one Deployment of 200 engines on 100 nodes             aim: under 1.5
    start           the same where each engine takes half a minute to be available, and
                    not no time at all; a real 70B takes several                        aim: under 1.5
    plans           a review of each stack on a cloud with the combined pack against
                    the same program without                                            aim: under 1.10
    parallel        eight such reviews at once, against eight times one                 aim: 1 / processors

The engine runs as a person runs it, on a real API server with simulated nodes. Absolute times stand beside
the ratios, and are those of this machine in this hour.
"""

import argparse
import gc
import json
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from cli import review
from cli.workspace import Stack
from facts import zones
from facts.site import ROOT, Site
from policies import closed_world, rules
from policies.judge import judge
from policies.model import Plan, Resource
from policies.model.resource import kubernetes_type
from tests.cli.support import run_out
from tests.support.cluster import LiveCluster, shared_cluster
from tests.support.estate import engines, estate
from tests.support.project import PACK, Project

#: of a preview, and of an `up`, which waits for each
OBJECTS, MADE = 1000, 250
#: stacks that are reviewed without an account, and how many at once
CLOUD, AT_ONCE = ("aws-paris-hds", "aws-stockholm", "aws-eusc-brandenburg", "aws-oregon-hipaa"), 8
#: engines of four GPUs, on nodes of eight
ENGINES, NODES = 200, 100
#: seconds until such an engine counts as available
START = 30


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=OBJECTS, help="objects of a preview")
    parser.add_argument("--made", type=int, default=MADE, help="objects of an up")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--pairs", type=int, default=9, help="the same of what differs by a few percent")
    parser.add_argument("--only", choices=["rules", "engine", "rollout", "plans"], help="a part of it")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    chosen = parser.parse_args(arguments)
    figures: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "objects": chosen.objects,
        "made": chosen.made,
        "runs": chosen.runs,
        "pairs": chosen.pairs,
    }
    if chosen.only in (None, "rules"):
        figures["rules"] = _rules(chosen.runs)
    if chosen.only in (None, "engine"):
        with shared_cluster() as cluster:
            figures["packs"] = _packs(cluster, chosen.objects, chosen.pairs)
            figures["up"] = _up(cluster, "up", estate(chosen.made), chosen.runs)
    if chosen.only in (None, "rollout"):
        with shared_cluster(nodes=NODES) as cluster:
            figures["rollout"] = _up(cluster, "rollout", engines(ENGINES), chosen.runs)
            figures["start"] = _up(cluster, "start", engines(ENGINES, START), chosen.runs)
    if chosen.only in (None, "plans"):
        figures["plans"] = {name: _plan(name, chosen.pairs) for name in CLOUD}
        figures["parallel"] = _parallel()
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def plan_of(size: int) -> Plan:
    """A plan of the honest estate, as the engine would show it."""
    return Plan.of(
        (
            Resource(
                urn=f"urn:pulumi:bench::sovereign::{item['kind']}::{index}",
                type=kubernetes_type(item["apiVersion"], item["kind"]),
                name=str(index),
                inputs=item,
            )
            for index, item in enumerate(estate(size))
        ),
        allowed_types=closed_world.allowed(None),
    )


def _rules(runs: int) -> dict[str, float]:
    zone, chosen = zones.load(ROOT / "stacks" / "zones" / "local.yaml"), rules.load()

    def per_resource(size: int) -> float:
        times = []
        for _ in range(runs + 1):
            plan = plan_of(size)  # a new one each time: a plan remembers what it has been asked
            gc.collect()
            times.append(_seconds(lambda: judge(plan, zone, chosen)))  # noqa: B023
        return statistics.median(times[1:]) / size  # the first fills caches that live as long as the process

    small, large = per_resource(1000), per_resource(10_000)
    _say(
        "rules", f"{len(chosen)} rules, per resource: 10,000 / 1,000", large / small, large * 1e4, small * 1e3
    )
    return {"per_resource_1000_s": small, "per_resource_10000_s": large, "ratio": large / small}


def _packs(cluster: LiveCluster, size: int, pairs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sovereign-bench-") as name:
        project = Project(Path(name), cluster, estate(size))
        project.create()
        packed, bare = _in_turn(
            lambda: project.preview(packs=True), lambda: project.preview(packs=False), pairs
        )
    ratio = _ratio(packed, bare)
    _say("packs", f"preview of {size} objects: with / without", ratio, *_medians(packed, bare))
    return {"with_s": packed, "without_s": bare, "ratio": ratio}


def _up(cluster: LiveCluster, figure: str, objects: list[dict[str, Any]], runs: int) -> dict[str, Any]:
    namespaces = [item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"]
    with tempfile.TemporaryDirectory(prefix="sovereign-bench-") as name:
        manifest = Path(name) / "objects.yaml"
        manifest.write_text(yaml.safe_dump_all(objects), encoding="utf-8")

        def apply() -> None:
            cluster.kubectl("apply", "--server-side", "-f", str(manifest), timeout=600)
            ready = ("wait", "--for=condition=Available", "deployment", "--all", "--all-namespaces")
            cluster.kubectl(*ready, "--timeout=300s", timeout=600)

        ours: list[float] = []
        theirs: list[float] = []
        for run in range(runs):
            project = Project(Path(name) / str(run), cluster, objects)
            project.create()
            ours.append(_seconds(lambda: project.up(packs=True)))  # noqa: B023
            cluster.kubectl("delete", "namespace", *namespaces, timeout=600)
            theirs.append(_seconds(apply))
            cluster.kubectl("delete", "namespace", *namespaces, timeout=600)
    ratio = _ratio(ours, theirs)
    pods = sum(item["spec"].get("replicas", 0) for item in objects if item["kind"] == "Deployment")
    what = f"{len(objects)} objects, {pods} pods: up / kubectl apply and wait"
    _say(figure, what, ratio, *_medians(ours, theirs))
    return {"up_s": ours, "kubectl_s": theirs, "ratio": ratio}


def _plan(name: str, pairs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sovereign-bench-") as folder:
        stack = Stack(name, Site(_site(Path(folder))))
        with review.prepared(stack, "symbolic", None, print) as prepared:
            verb = ["preview", "--stack", name]

            def run(*packs: str) -> None:
                done = prepared.engine.run([*verb, *packs])
                assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

            packed, bare = _in_turn(lambda: run("--policy-pack", str(PACK)), run, pairs)
    ratio = _ratio(packed, bare)
    _say("plans", f"review of {name}: with the pack / without", ratio, *_medians(packed, bare))
    return {"with_s": packed, "without_s": bare, "ratio": ratio}


def _parallel() -> dict[str, Any]:
    """Each review in a site of its own, as pull requests are checked."""

    def one(site: Path) -> None:
        done = run_out("--site", site, "plan", CLOUD[0], "--json", timeout=600)
        assert done.returncode == 0, done.stderr

    with tempfile.TemporaryDirectory(prefix="sovereign-bench-") as folder:
        sites = [_site(Path(folder) / str(number)) for number in range(AT_ONCE)]
        one(sites[0])  # the first copies what all share
        alone = _seconds(lambda: one(sites[0]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            together = _seconds(lambda: list(pool.map(one, sites)))
    ratio = together / (AT_ONCE * alone)
    _say("parallel", f"{AT_ONCE} reviews at once / {AT_ONCE} x one", ratio, together, AT_ONCE * alone)
    return {"together_s": together, "one_s": alone, "ratio": ratio}


def _site(folder: Path) -> Path:
    shutil.copytree(ROOT / "stacks" / "zones", folder / "zones")
    for name in CLOUD:
        shutil.copy(ROOT / "stacks" / f"Pulumi.{name}.yaml", folder)
    return folder


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _in_turn(one: Callable[[], Any], other: Callable[[], Any], pairs: int) -> tuple[list[float], list[float]]:
    """Seconds of both, each after a first run that doesn't count. A machine that slows down slows both; and
    which comes first changes, for what one leaves behind may slow the next."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(pairs + 1):
        for which in (True, False) if turn % 2 else (False, True):
            taken = _seconds(one if which else other)
            if turn:
                seconds[which].append(taken)
    return seconds[True], seconds[False]


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _medians(*series: Sequence[float]) -> tuple[float, ...]:
    return tuple(statistics.median(times) for times in series)


def _say(name: str, what: str, ratio: float, one: float, other: float) -> None:
    print(f"{name:<8} {what:<52} {ratio:6.2f}   ({one:.2f} s / {other:.2f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
