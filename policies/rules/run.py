"""The run itself: where it happens, what it fetches, whom the engine calls, and whether every rule is on.

No resource tells this: policies/read/run.py reads it where the engine configures a pack. Offline it isn't
told.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Plan
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CHANGE = ("HDS EXI 06", "HIPAA 164.308(a)(8)", "ISO 27001 A.8.32")
_PLACE = ("HDS EXI 28", "HDS EXI 30", "GDPR 44-46", "SNC 19.2")

#: Switches that the engine leaves off, and what it then does
#: (sdk/go/common/env/env.go and pkg/cmd/pulumi/pulumi.go, v3.259.0).
_SWITCHES = {
    "PULUMI_SKIP_UPDATE_CHECK": "the engine asks a service outside for its newest version",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "the engine fetches missing plugins and runs them",
}
#: Answers of Pulumi's own service, to which the text of a failed plan is sent.
_ASSISTANT = re.compile(r"PULUMI_(?:OPTION_)?(?:NEO|COPILOT)")
#: Variables that hold addresses: traces, downloads of plugins, proxies, endpoints of the AWS SDK
#: (docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
_ADDRESSES = re.compile(
    r"PULUMI_OPTION_(?:OTEL_TRACES|TRACING)|PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES|PULUMI_API"
    r"|OTEL_EXPORTER_OTLP_\w*ENDPOINT|AWS_ENDPOINT_URL\w*|(?:HTTPS?|ALL)_PROXY",
    re.IGNORECASE,
)
#: The engine sets this for its plugins where it sends traces on (resource/plugin/plugin.go, v3.259.0).
_TRACED, _TRACES = "PULUMI_OTEL_EXPORTER_OTLP_ENDPOINT", "PULUMI_OPTION_OTEL_TRACES"
_NO_HOST = "no readable host"
#: git's short form, user@host:path
_SCP = re.compile(r"(?:[^@/\s]+@)?([^@/:\s\[]+):(?!//).*")


@rule(
    "run.environments",
    title="Settings may not come from a service outside",
    routes=["P20"],
    controls=[*_PLACE, "HIPAA 164.312(a)(2)(iv)"],
    fix="Remove `environment:` from the stack's settings, or keep the state at a service of the zone's own.",
    pack="residency",
    severity="critical",
    scope="plan",
)
def environments(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An environment of Pulumi ESC is kept, opened and audited by the service that keeps the state: whoever
    runs it reads the configuration and every secret in it. Only a service whose host the zone names may."""
    backend = subject.plan.stack.backend or ""
    host = hosts.host_of(backend) if backend.startswith("https://") else None
    if host is not None and hosts.declared(host, zone):
        return
    for name in subject.plan.stack.environments:
        yield subject.refuse(
            "environment",
            seen=name.partition("@")[0],
            why=f"it is opened by a service that zone {zone.name} does not name",
        )


@rule(
    "run.calls",
    title="The engine may call nobody outside of its own accord",
    routes=["P21", "P04"],
    controls=["HDS EXI 05", "HDS EXI 06", "GDPR 32", "SNC 12.14"],
    fix='Run it with `eval "$(sovereign env STACK)"`, and name only addresses of the zone in its variables.',
    pack="egress",
    scope="plan",
)
def calls(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Unless it is told not to, the engine asks a service outside for updates and fetches missing plugins,
    which then run with every credential of the stack. Traces hold the names of all resources; a proxy or an
    endpoint from the environment sends every call of a provider elsewhere, with the data in it."""
    variables = subject.plan.stack.engine
    if variables is None:
        return
    for name, why in _SWITCHES.items():
        if not _is_on(variables.get(name, "")):
            yield subject.refuse(f"engine.{name}", seen=f"{name} is not set", why=why)
    for name, value in variables.items():
        if _ASSISTANT.fullmatch(name) and _is_on(value):
            yield subject.refuse(
                f"engine.{name}", seen=name, why="what a run says is sent to a service, to be explained"
            )
        elif _ADDRESSES.fullmatch(name):
            for host in _outside(value, zone):
                yield subject.refuse(
                    f"engine.{name}",
                    seen=host or _NO_HOST,
                    why=f"the engine or its providers call it, outside zone {zone.name}",
                    route="P04" if name.startswith("AWS_") else "P21",
                )
    if _TRACED in variables and _TRACES not in variables:
        yield subject.undecided(
            f"engine.{_TRACED}", seen="--otel-traces", why="where traces of the run are sent can't be told"
        )


@rule(
    "run.downloads",
    title="Plugins may not be fetched from outside",
    routes=["P21"],
    controls=_CHANGE,
    fix="Install the plugin beforehand, or name a server of the zone.",
    pack="egress",
    types=["pulumi:providers:*"],
)
def downloads(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who serves a plugin decides what runs with the stack's credentials, and learns who runs what."""
    for node in (subject["pluginDownloadURL"], subject["__internal"]["pluginDownloadURL"]):
        for host in _outside(node.text() or "", zone):
            yield subject.refuse(
                node, seen=host or _NO_HOST, why=f"the plugin comes from outside zone {zone.name}"
            )


@rule(
    "run.rules",
    title="Every rule must be on",
    routes=["P23"],
    controls=_CHANGE,
    fix="Remove the rule from the policy configuration; where an exception is due, ask for a waiver.",
    pack="every",
    severity="critical",
    scope="plan",
)
def rules(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The engine's policy configuration can lower a rule to advice or switch it off, for everybody and
    without a trace in the plan. A waiver names one resource, an owner, a reason and a day."""
    for name in subject.plan.stack.lowered:
        yield subject.refuse("policyConfig", seen=name, why="the policy configuration lowers or disables it")


@rule(
    "run.machine",
    title="A plan may be made and applied only on machines of the zone",
    routes=["P28"],
    controls=_PLACE,
    fix="Run it on a machine of one's own that stands in the zone, and name it in the zone's `runners`.",
    pack="residency",
    severity="critical",
    scope="plan",
)
def machine(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The machine that plans and applies holds every secret of the stack while it does. A CI service's own
    machine stands anywhere. Where the zone names its runners, no other may; where it names none, a machine
    that is nobody else's may. `*` stands for every machine: for a zone that holds nothing real."""
    told = subject.plan.stack.runner
    if "*" in zone.runners:
        return
    if told is None:
        if zone.runners and _of_engine(subject.plan):
            yield subject.undecided("runner", seen="nothing", why="on which machine it runs is not told")
        return
    if {name.lower() for name in told.names} & {name.lower() for name in zone.runners}:
        return
    if zone.runners or told.hosted:
        yield subject.refuse(
            "runner",
            seen=f"a machine of {told.service}" if told.hosted else ", ".join(told.names[:1]),
            why=f"zone {zone.name} does not name it",
        )
    elif told.hosted is None:
        yield subject.undecided(
            "runner", seen=f"{told.service}", why="whether the machine is the service's own can't be told"
        )


@rule(
    "run.origins",
    title="Programs and sites must come from git servers of the zone, by a commit",
    routes=["P29"],
    controls=[*_CHANGE, "HDS EXI 30"],
    fix="Mirror it to a git server that the zone names, and name a whole commit.",
    pack="egress",
    scope="plan",
)
def origins(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A site's files say what stands where and who may do what; whoever keeps them outside knows the
    topology. What is fetched by a branch or a tag is whatever its owner has put there since."""
    for origin in subject.plan.stack.origins:
        where = f"origins.{origin.part}"
        for host in _outside(origin.url, zone):
            yield subject.refuse(where, seen=host or _NO_HOST, why=f"it is kept outside zone {zone.name}")
        if not origin.pinned:
            yield subject.refuse(
                where, seen="no commit", why="what is fetched may be another program tomorrow"
            )


def _of_engine(plan: Plan) -> bool:
    return plan.source == "engine" and plan.whole


def _is_on(value: str) -> bool:
    """As the engine reads its switches (cmdutil.IsTruthy)."""
    return value.lower() in ("1", "true")


def _outside(text: str, zone: Zone) -> Iterator[str | None]:
    """The hosts in an address, or in a list of `pattern=address`, that the zone doesn't name (None: one
    that can't be read); a file has none."""
    for item in re.split(r"[\s,]+", text):
        address = re.sub(r"^[^/]*=(?=\w+://)", "", item)
        if not address or address.startswith(("file:", "/", ".")):
            continue
        short = _SCP.fullmatch(address)
        host = hosts.host_of(short.group(1) if short else address)
        if host is None or not hosts.declared(host, zone):
            yield host
