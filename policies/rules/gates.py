"""The kit's policies in the cluster: they must refuse, not advise."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes
from policies.rule import Hit, Subject, rule


@rule(
    "gates.deny",
    title="The kit's admission policies must deny",
    routes=["P23"],
    controls=["HDS EXI 06", "HIPAA 164.308(a)(8)", "ISO 27001 A.8.32"],
    fix="Set validationActions to [Deny, Audit], and failurePolicy to Fail.",
    pack="every",
    severity="critical",
    kinds=list(kubernetes.ADMISSION),
)
def deny(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A plan can't see `kubectl`: there the API server holds objects to the rules. A binding that only warns
    or audits, or a policy that lets through what it fails on, makes them advice."""
    if not kubernetes.stands_for_rule(subject):
        return
    spec = subject["spec"]
    actions = spec["validationActions"]
    if not spec["policyName"].absent and "Deny" not in actions.texts():
        yield subject.refuse(actions, seen="no known Deny", why="what the rule refuses is only told of")
    if spec["failurePolicy"].text() == "Ignore":
        yield subject.refuse(
            spec["failurePolicy"], seen="Ignore", why="what the policy can't judge is let in"
        )
