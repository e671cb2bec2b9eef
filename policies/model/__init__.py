"""The plan as the rules see it: plain data, with two markers for what can't be read."""

from policies.model.finding import Finding, Judgement, Verdict, Waived
from policies.model.marker import MASKED, UNKNOWN, Marker, Sealed, is_marker, sealed
from policies.model.node import Node, Touch
from policies.model.plan import Origin, Plan, Runner, StackFacts, UsedPart
from policies.model.resource import STACK_REFERENCE, Resource

__all__ = [
    "MASKED",
    "STACK_REFERENCE",
    "UNKNOWN",
    "Finding",
    "Judgement",
    "Marker",
    "Node",
    "Origin",
    "Plan",
    "Resource",
    "Runner",
    "Sealed",
    "StackFacts",
    "Touch",
    "UsedPart",
    "Verdict",
    "Waived",
    "is_marker",
    "sealed",
]
