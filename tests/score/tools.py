"""The tools, each over all examples in one run: what it said of each, and how long it took."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies import rules
from policies.judge import judge
from policies.rule import Rule
from tests.score import material
from tests.score.material import Case
from tests.support.examples import Example
from toolchain import build, checkov
from toolchain.build.programs import CONFTEST, KYVERNO
from toolchain.commands import Report
from toolchain.errors import BuildError, ToolchainError

HERE = Path(__file__).resolve().parent

#: the kinds that the policies for Kyverno speak of, or are put to by its own rules for templates; objects of
#: the same kind in a group of their own end its command-line tool
KYVERNO_KINDS = frozenset(
    {
        *("core/Pod", "core/Service", "core/ReplicationController"),
        *("apps/Deployment", "apps/DaemonSet", "apps/StatefulSet", "apps/ReplicaSet"),
        *("batch/Job", "batch/CronJob", "networking.k8s.io/Ingress"),
        *("rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole"),
    }
)


@dataclass(frozen=True)
class Failed:
    """A check that failed on a resource; `routes`: those that it concerns. `urn` empty: on the whole plan."""

    urn: str
    check: str
    routes: frozenset[str]


@dataclass
class Said:
    """What a tool said of one example. `judged`: the resources that it had any check for."""

    failed: list[Failed] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Run:
    """A tool's run. `left_out` says why it did not take place."""

    tool: str
    about: str
    said: Mapping[str, Said] = field(default_factory=dict)
    ms: int = 0
    left_out: str = ""


def kit() -> tuple[Run, list[Example]]:
    """The kit itself, from reading the examples to the findings."""
    start = time.monotonic()
    chosen = {rule.id: rule for rule in rules.load()}
    found = material.read()
    said = {example.name: _kit_on(example, chosen) for example in found}
    return Run("kit", f"{len(chosen)} rules", said, _since(start)), found


def _kit_on(example: Example, chosen: Mapping[str, Rule]) -> Said:
    said = Said(judged={resource.urn for resource in example.plan.objects})
    expect = example.expect
    for one in judge(example.plan, example.zone, chosen.values()).findings:
        meant = (
            one.route == (expect.route or example.route)
            and example.route in chosen[one.rule].routes
            and expect.path in (None, one.path)
            and expect.verdict in (None, str(one.verdict))
        )
        said.failed.append(Failed(one.urn, one.rule, frozenset([example.route] if meant else [])))
    return said


def by_checkov(cases: Sequence[Case], report: Report) -> Run:
    """checkov as its own command runs, each example apart; what it fails on it has not read."""
    about = f"checkov {checkov.VERSION}, all its checks"
    asked = [(case, framework) for case in cases for framework in case.rendered.files]
    tasks = [checkov.Task(case.folder / framework, framework) for case, framework in asked]
    try:
        python = checkov.ensure(report)
        report(f"checkov looks at {len(cases)} examples, which takes minutes")
        start = time.monotonic()
        reports = checkov.scan(python, tasks)
    except ToolchainError as error:
        return Run("checkov", about, left_out=_first(error))
    ms = _since(start)
    said = {case.example.name: Said() for case in cases}
    for (case, framework), answer in zip(asked, reports, strict=True):
        for outcome, results in (answer.get("results") or {}).items():
            if outcome in ("passed_checks", "failed_checks"):
                for one in results:
                    name = one["resource"] if framework == "terraform_plan" else one["file_path"].lstrip("/")
                    resource = case.resource(framework, name)
                    if resource is not None:
                        said[case.example.name].judged.add(resource.urn)
                        if outcome == "failed_checks":
                            failed = _failed(case, resource.urn, one["check_id"])
                            said[case.example.name].failed.append(failed)
    return Run("checkov", about, said, ms)


def by_conftest(cases: Sequence[Case], report: Report) -> Run:
    """conftest with the rules of tests/score/conftest/, over every file."""
    about = f"conftest {CONFTEST}, which ships no rules: some after Gatekeeper's library and trivy's checks"
    try:
        program = build.ensure(("conftest",), report)["conftest"]
    except BuildError as error:
        return Run("conftest", about, left_out=_first(error))
    places = {
        str(file): (case, file)
        for case in cases
        for file in case.files("kubernetes", "terraform_plan", "arm")
    }
    start = time.monotonic()
    done = _run([program, "test", "--policy", HERE / "conftest", "--output", "json", _root(cases)])
    ms = _since(start)
    if not done.stdout.startswith("["):
        return Run("conftest", about, left_out=f"it failed: {_first(done.stderr)}")
    said = {case.example.name: Said() for case in cases}
    for answer in json.loads(done.stdout):
        case, file = places[answer["filename"]]
        # a Terraform plan is one file: what a rule says of it is said of each resource in it
        named = [
            resource.urn
            for (framework, name), resource in case.rendered.resources.items()
            if framework == file.parent.name and (framework == "terraform_plan" or name == file.name)
        ]
        for urn in named:
            said[case.example.name].judged.add(urn)
            for one in answer.get("failures", ()):
                meta = one["metadata"]
                said[case.example.name].failed.append(Failed(urn, meta["id"], frozenset(meta["routes"])))
    return Run("conftest", about, said, ms)


def by_kyverno(cases: Sequence[Case], report: Report) -> Run:
    """Kyverno with the policies of tests/score/kyverno/, over every Kubernetes object."""
    about = f"kyverno {KYVERNO}, with policies after its published ones"
    try:
        program = build.ensure(("kyverno",), report)["kyverno"]
    except BuildError as error:
        return Run("kyverno", about, left_out=_first(error))
    uids: dict[str, tuple[Case, str]] = {}
    objects = _root(cases).with_name("objects.yaml")
    with objects.open("w", encoding="utf-8") as together:
        for case in cases:
            for (framework, name), resource in case.rendered.resources.items():
                known = framework == "kubernetes" and resource.kind in KYVERNO_KINDS
                item = _object(case.folder / framework / name) if known else None
                if item is not None:
                    uid = f"object-{len(uids)}"
                    uids[uid] = case, resource.urn
                    # the report tells objects apart by name; examples share names
                    item["metadata"] = {**item.get("metadata", {}), "name": uid, "uid": uid}
                    together.write("---\n" + yaml.safe_dump(item))
    start = time.monotonic()
    policies = HERE / "kyverno" / "policies.yaml"
    done = _run([program, "apply", policies, "--resource", objects, "--policy-report"])
    ms = _since(start)
    said = {case.example.name: Said() for case in cases}
    warnings, key, rest = done.stdout.partition("apiVersion:")
    if not key:
        return Run("kyverno", about, left_out=f"it failed: {_first(done.stderr or warnings)}")
    told = yaml.load(key + rest, Loader=_Loader)
    for result in told["results"]:
        for one in result["resources"]:
            case, urn = uids[one["name"]]
            said[case.example.name].judged.add(urn)
            if result["result"] == "fail":
                name, *routes = result["rule"].removeprefix("autogen-").removeprefix("cronjob-").split(".")
                said[case.example.name].failed.append(Failed(urn, name, frozenset(routes)))
    return Run("kyverno", about, said, ms)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C parser where there is one: reports are long."""


def _object(file: Path) -> dict[str, Any] | None:
    """An object that Kyverno can be given: one with metadata that is a mapping."""
    item = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    return item if isinstance(item.get("metadata", {}), dict) else None


def _failed(case: Case, urn: str, check: str) -> Failed:
    """A failed check of checkov's, with what concerns.yaml says of it."""
    concerns = _concerns().get(check, {})
    absent = concerns.get("absent", False)
    routes = () if absent and not case.example.plan.whole else concerns.get("routes", ())
    return Failed("" if absent else urn, check, frozenset(routes))


@cache
def _concerns() -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "concerns.yaml").read_text(encoding="utf-8"))
    return found["checkov"]


def _root(cases: Sequence[Case]) -> Path:
    """The folder in which all of them lie."""
    return cases[0].folder.parent.parent


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


def _first(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), "it said nothing")
