"""The plan as the rules see it: plain data, with two markers for what can't be read."""

from policies.model.finding import Finding, Judgement, Verdict
from policies.model.marker import MASKED, UNKNOWN, Marker, is_marker
from policies.model.node import Node, Touch
from policies.model.plan import Plan, StackFacts
from policies.model.resource import Resource

__all__ = [
    "MASKED",
    "UNKNOWN",
    "Finding",
    "Judgement",
    "Marker",
    "Node",
    "Plan",
    "Resource",
    "StackFacts",
    "Touch",
    "Verdict",
    "is_marker",
]
