"""A policy pack over the rules: the engine's Analyzer service, judging each resource once for all rules.

It is built on the protocol's stubs, not on `pulumi_policy.PolicyPack`: that one decodes every resource
anew for every policy (a thousand resources under sixty policies: sixty thousand times), stops a policy at
the first unknown value, and does not hand over the stack's name, configuration or dry run. Protocol:
proto/pulumi/analyzer.proto, v3.259.0.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import import_module
from importlib.metadata import version
from typing import Any, get_args

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct, Value

from facts import zones
from facts.sentinels import PREVIEW
from facts.site import Site, SiteError
from facts.zones import Zone
from policies import closed_world, released, rules, verdict, waivers
from policies.closed_world import TypesError
from policies.documents import of_yaml
from policies.judge import ALL_ON, NO_ZONE, UNKNOWN_ROUTE, Heard, judge, judge_resource, selected
from policies.model import (
    STACK_REFERENCE,
    UNKNOWN,
    Finding,
    Judgement,
    Plan,
    Resource,
    StackFacts,
    Verdict,
    Waived,
    sealed,
)
from policies.read.run import of_run
from policies.read.settings import stack_facts
from policies.read.values import OUTPUT, PLACEHOLDERS, SECRET, SIGNATURE, plain
from policies.rule import Pack, Rule
from policies.rules import SiteRuleError
from policies.sentence import sentence
from policies.waivers import Approved, WaiverError
from protocol import analyzer_pb2 as wire
from protocol import plugin_pb2

#: The pack of all rules, and the selections from it.
COMBINED = "sovereign"
NAMES = (COMBINED, *(name for name in get_args(Pack) if name != "every"))

_DESCRIPTIONS = {
    "sovereign": "Every rule of the kit: where data may be, where it may go, how it is protected.",
    "residency": "Where data, keys and state may be.",
    "egress": "Where data may go.",
    "protection": "How data is protected where it is.",
}
_SEVERITY = {
    "critical": wire.POLICY_SEVERITY_CRITICAL,
    "high": wire.POLICY_SEVERITY_HIGH,
    "medium": wire.POLICY_SEVERITY_MEDIUM,
}
_MAX_MESSAGE = 400 << 20


def selection(pack: str, site: Site) -> tuple[Rule, ...]:
    """The rules of a pack, by id; those without which no other proves anything are in each. Raises
    SiteRuleError."""
    found = rules.load(site.folder)
    return tuple(rule for rule in found if pack == COMBINED or rule.pack in (pack, "every"))


def server(pack: str) -> tuple[grpc.Server, int]:
    """A server of one pack, and its port on the loopback."""
    # what gRPC brings for real networks would cost each call a tenth more
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.minimal_stack", 1)]
    made = grpc.server(ThreadPoolExecutor(4), options=options)
    made.add_generic_rpc_handlers((_handlers(Analyzer(pack)),))
    return made, made.add_insecure_port("127.0.0.1:0")


def _handlers(analyzer: "Analyzer") -> grpc.GenericRpcHandler:
    """The calls that a pack answers. `Remediate` is none of them, for nothing is changed here: the engine, which
    asks it of every resource, takes "unimplemented" for that, and gRPC says so at half the cost of an answer."""
    service = wire.DESCRIPTOR.services_by_name["Analyzer"]
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            method.name: grpc.unary_unary_rpc_method_handler(
                getattr(analyzer, method.name),
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
            for method in service.methods
            if method.name in vars(Analyzer)
        },
    )


@dataclass
class Run:
    """What a pack knows of the run that it is asked to judge. `problem`: why it can't judge at all.
    `of_state`: nothing is run, an exported state is looked at."""

    stack: str = ""
    dry_run: bool = True
    facts: StackFacts = field(default_factory=StackFacts)
    zone: Zone | None = None
    types: frozenset[str] = frozenset()
    digest: str = ""
    waivers: tuple[Approved, ...] = ()
    problem: str | None = None
    of_state: bool = False


class Analyzer:
    """One pack in one half of one run. Inputs are recorded by URN as they come, and joined at the end."""

    def __init__(self, pack: str) -> None:
        self._pack = pack
        self._site: Site | None = None
        self._rules: tuple[Rule, ...] = ()
        self._active: tuple[Rule, ...] = ()
        self._lowered: tuple[str, ...] = ()
        self._problem: str | None = None
        self._aside = ThreadPoolExecutor(1)
        self._coming: Future[Run] | None = None
        self._recorded: dict[str, Resource] = {}
        self._heard: list[Heard] = []
        self._lock = threading.Lock()
        try:
            self._site = Site.current()
            self._rules = selection(pack, self._site)
        except (SiteError, SiteRuleError) as error:
            self._problem = str(error)
            self._rules = tuple(rule for rule in rules.load() if rule.id == NO_ZONE)
        self._active = self._rules
        self._read: Callable[[], Run] = lambda: Run(problem=self._problem)

    # What the engine asks first

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return wire.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=version("sovereign"))

    def GetAnalyzerInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The rules, each as a policy of its own, so that the engine's events say which passed.

        All are told as policies of the whole stack, which has the last word on each of them. Of policies of
        single resources the engine lists with every resource, twice, which passed there
        (NewAnalyzePolicySummary in pkg/resource/analyzer/summary.go, v3.259.0).
        """
        info = wire.AnalyzerInfo(
            name=self._pack,
            displayName=self._pack,
            description=_DESCRIPTIONS[self._pack],
            version=version("sovereign"),
            supportsConfig=True,
        )
        info.policies.extend(_policy(rule) for rule in self._rules)
        return info

    def ConfigureStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The stack, its configuration, and which half this is."""
        config, secrets = dict(request.config), tuple(request.config_secret_keys)
        self._set(lambda: self._configured(request.stack, config, secrets, request.dry_run))
        return wire.AnalyzerStackConfigureResponse()

    def _set(self, read: Callable[[], Run]) -> None:
        self._read, self._coming = read, None

    def _begin(self) -> "Future[Run]":
        """Reads aside what is to be known of the run."""
        self._coming = self._aside.submit(self._read)
        # takes long to import, and most stacks hold certificates
        self._aside.submit(import_module, "cryptography.x509")
        return self._coming

    @property
    def _run(self) -> Run:
        return (self._coming or self._begin()).result()

    def _configured(self, stack: str, config: dict[str, str], secrets: Iterable[str], dry_run: bool) -> Run:
        facts = replace(stack_facts(config, stack), lowered=self._lowered)
        run = Run(stack, dry_run, facts, problem=self._problem)
        if self._site is not None and run.problem is None:
            try:
                run.types = closed_world.allowed(self._site.folder)
                run.facts = of_run(run.facts, self._site, os.environ, socket.gethostname())
                run.zone = _zone(self._site, run.facts)
                if run.zone is not None:
                    known = rules.load(self._site.folder)
                    run.waivers = waivers.load(self._site.folder, run.zone, known, date.today())
                run.digest = verdict.digest(self._site, stack, run.facts.zone, config, secrets)
            except (zones.ZoneError, TypesError, WaiverError, OSError) as error:
                run.problem = str(error)
        return run

    def _run_of(self, urn: str) -> Run:
        """The run that a resource is of. `pulumi policy analyze` looks at a state and tells nothing of the stack
        but its URNs: then the settings come from the site's file."""
        run = self._run
        if not run.stack:
            self._of_state(urn.split("::", 1)[0].removeprefix("urn:pulumi:"))
            run = self._run
        return run

    def _of_state(self, stack: str) -> None:
        if self._site is None or not self._site.stack_file(stack).is_file():
            return
        try:
            config = of_yaml(self._site.stack_file(stack).read_text(encoding="utf-8"))[0]["config"]
            shown = {
                key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return  # then there is no zone, which is refused
        self._set(lambda: replace(self._configured(stack, shown, (), dry_run=False), of_state=True))

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Enforcement levels from --policy-pack-config. A rule that is off does not run, so the verdict lacks
        it; the rule that says so can't be switched off."""
        levels = {name: config.enforcementLevel for name, config in request.policyConfig.items()}
        off = {id for id, level in levels.items() if level == wire.DISABLED}
        self._active = tuple(rule for rule in self._rules if rule.id == ALL_ON or rule.id not in off)
        self._lowered = tuple(
            sorted(id for id, level in levels.items() if level in (wire.ADVISORY, wire.DISABLED))
        )
        self._begin()  # this is the last that the engine asks before it starts the program
        return Empty()

    # What it asks of each resource, and of all

    def Analyze(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Records the inputs, and reports what is known to leak; when it is for real, also what can't be
        judged. In the preview half too, because a preview that fails later is not judged as a whole."""
        run, active = self._run_of(request.urn), self._active
        inputs = mapping(request.properties)
        resource = Resource(
            urn=request.urn,
            type=request.type,
            name=request.name,
            # a program may mean this text; in a state that can't be decrypted here it stands for a secret
            inputs=plain(inputs) if run.of_state else inputs,
            provider=_reference(request.provider),
            parent=request.options.parent,
            custom=True,
            options={
                "protect": request.options.protect,
                "ignoreChanges": list(request.options.ignoreChanges),
            },
        )
        with self._lock:
            self._recorded[resource.urn] = resource
        response = wire.AnalyzeResponse()
        if run.zone is None or run.problem:
            return response  # said once, of the whole stack
        plan = self._plan(run, (resource,), whole=False)
        heard = tuple(judge_resource(item, plan, run.zone, active) for item in resource.items())
        with self._lock:
            self._heard += heard
        clear = _clear(heard, run)
        standing = waivers.apply(Judgement(tuple(sorted(clear))), run.waivers, plan).findings
        response.diagnostics.extend(self._diagnostic(finding) for finding in standing)
        return response

    def AnalyzeStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Judges the plan as a whole, with dependencies; in the preview half, stores the verdict."""
        run = self._run_of(request.resources[0].urn) if request.resources else self._run
        active = self._active
        plan = self._plan(run, self._joined(request.resources))
        problem = Judgement((_cannot(run.problem),)) if run.problem else None
        judgement = problem or judge(plan, run.zone, active, self._heard)
        judgement = waivers.apply(judgement, run.waivers, plan)
        response = wire.AnalyzeResponse()
        told = _clear(self._heard, run)
        response.diagnostics.extend(
            self._diagnostic(finding)
            for finding in (*judgement.findings, *judgement.warnings)
            if finding not in told
        )
        response.diagnostics.extend(self._waived(waived) for waived in judgement.waived)
        response.not_applicable.extend(_not_applicable(active, plan))
        if run.dry_run and self._site is not None and run.stack:
            verdict.store(
                verdict.file_of(self._site, run.stack),
                stack=run.stack,
                judgement=judgement,
                digest=run.digest,
                rules=[rule.id for rule in active],
                resources=len(plan.objects),
                review=bool(os.environ.get(PREVIEW)),
            )
        elif self._site is not None and run.stack and judgement.verdict == "pass" and not run.of_state:
            released.record(released.file_of(self._site, run.stack), plan.resources)
        return response

    # Helpers

    def _plan(self, run: Run, resources: Iterable[Resource], *, whole: bool = True) -> Plan:
        known = tuple(resources)
        spared: frozenset[str] = frozenset()
        if self._site is not None and any(one.ended for one in run.waivers):
            spared = released.unchanged(released.file_of(self._site, run.stack), known)
        return Plan.of(known, run.facts, whole=whole, allowed_types=run.types, unchanged=spared)

    def _joined(self, resources: Iterable[Any]) -> Iterator[Resource]:
        """The recorded inputs with parents and dependencies; a resource that was never recorded says so."""
        for told in resources:
            dependencies = {
                key: tuple(value.urns) for key, value in told.propertyDependencies.items() if value.urns
            }
            known = self._recorded.get(told.urn)
            if known is None:
                # a read is told here only; of a stack reference its name is an output as well
                named = told.type == STACK_REFERENCE
                yield Resource(
                    urn=told.urn,
                    type=told.type,
                    name=told.name,
                    inputs={"name": mapping(told.properties).get("name")} if named else {},
                    parent=told.parent,
                    provider=_reference(told.provider),
                    read=named,
                    dependencies=dependencies,
                    recorded=named,
                )
            elif (known.parent, known.dependencies) == (told.parent, dependencies):
                yield known  # with all that it has been asked before
            else:
                yield replace(known, parent=told.parent, dependencies=dependencies)

    def _diagnostic(self, finding: Finding) -> Any:
        rule = next((rule for rule in self._rules if rule.id == finding.rule), None)
        return wire.AnalyzeDiagnostic(
            policyName=finding.rule,
            policyPackName=self._pack,
            policyPackVersion=version("sovereign"),
            description=rule.title if rule else "",
            message=sentence(finding),
            enforcementLevel=wire.ADVISORY if rule and rule.trial else wire.MANDATORY,
            urn=finding.urn,
            severity=_SEVERITY[rule.severity if rule else "critical"],
        )

    def _waived(self, waived: Waived) -> Any:
        """What stands for a while is shown, so that nobody forgets it."""
        shown = self._diagnostic(waived.finding)
        shown.enforcementLevel = wire.ADVISORY
        notice = f" {waived.notice}." if waived.notice else ""
        shown.message = (
            f"waived until {waived.expires} by {waived.owner} and {waived.approver} ({waived.file}).{notice} "
            f"{shown.message}"
        )
        return shown


def _clear(heard: Iterable[Heard], run: Run) -> set[Finding]:
    """The findings that need no other resource."""
    return {
        finding
        for one in heard
        for finding, masked in one.told
        if not masked and _decided_alone(finding, run)
    }


def _decided_alone(finding: Finding, run: Run) -> bool:
    """Whether a finding on a single resource stands whatever else the plan holds.

    In the real half a value that is still unknown stands too; what is undecided for want of another resource
    (an environment that a ConfigMap gives) waits for the whole plan, which the preview half has judged.
    """
    return finding.verdict is Verdict.REFUSE or (not run.dry_run and finding.route == UNKNOWN_ROUTE)


def _reference(provider: Any) -> str:
    """A provider as states refer to it: its URN, then its id, which is not told here."""
    return f"{provider.urn}::" if provider.urn else ""


def _zone(site: Site, facts: StackFacts) -> Zone | None:
    return zones.load(site.zone_file(facts.zone)).also(facts.declared) if facts.zone else None


def _cannot(problem: str) -> Finding:
    return Finding(
        urn="",
        path="",
        rule=NO_ZONE,
        route="P27",
        controls=(),
        seen="nothing to judge by",
        why=problem.rstrip("."),
        fix="Put it right and plan again.",
        verdict=Verdict.UNDECIDED,
    )


def _not_applicable(active: tuple[Rule, ...], plan: Plan) -> Iterator[Any]:
    """The rules for resources of which the plan has none."""
    looks = dict.fromkeys((item.type, *item.kinds) for item in plan.objects)
    seen = {rule.id for names in looks for rule in selected(active, *names)}
    for rule in active:
        if rule.id not in seen and rule.scope == "resource":
            yield wire.PolicyNotApplicable(policy_name=rule.id, reason="the plan has no such resources")


def _policy(rule: Rule) -> Any:
    return wire.PolicyInfo(
        name=rule.id,
        displayName=rule.title,
        description=f"{rule.title}. {rule.doc}",
        enforcementLevel=wire.MANDATORY,
        policy_type=wire.POLICY_TYPE_STACK,
        severity=_SEVERITY[rule.severity],
        framework=wire.PolicyComplianceFramework(name=", ".join(rule.controls)),
        tags=[rule.pack, *rule.routes],
        remediation_steps=rule.fix,
        url=f"docs/rules.md#{rule.id.replace('.', '')}",
    )


# Values on the wire


def mapping(struct: Struct) -> dict[str, Any]:
    """The properties of a resource as plain data: what isn't known as UNKNOWN, secrets in clear, as Sealed
    (and never shown)."""
    return {key: _value(value) for key, value in struct.fields.items()}


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in PLACEHOLDERS else text
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields:
            signature = fields[SIGNATURE].string_value
            if signature in (SECRET, OUTPUT):
                inner = _value(fields["value"]) if "value" in fields else UNKNOWN
                hidden = signature == SECRET or ("secret" in fields and fields["secret"].bool_value)
                return sealed(inner) if hidden else inner
        return {key: _value(item) for key, item in fields.items() if key != SIGNATURE}
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None
