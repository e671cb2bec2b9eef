"""What the program refuses by itself: what one resource shows, and nothing that another may put right."""

import asyncio
from contextlib import closing
from typing import Any

import pytest
from pulumi import ResourceOptions, ResourceTransformArgs

from facts import zones
from facts.site import ROOT
from policies import closed_world, program, rules

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def look(token: str, props: dict[str, Any]) -> Any:
    """What the transform answers for one resource, in the real half."""
    transform = program._refusing(
        zones.load(ROOT / "stacks" / "zones" / "local.yaml"), rules.load(), closed_world.allowed(None), ()
    )
    args = ResourceTransformArgs(custom=True, type_=token, name="x", props=props, opts=ResourceOptions())
    # not asyncio.run: it would leave the thread without the event loop that Pulumi's mocks look for
    with closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(transform(args))


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"podSelector": {}, **spec},
    }


def test_a_leak_that_one_resource_shows_is_refused() -> None:
    with pytest.raises(program.Refused):
        look(POLICY, policy({"policyTypes": ["Egress"], "egress": [{}]}))


def test_a_policy_for_ingress_only_may_stand_beside_a_default_deny_that_comes_later() -> None:
    assert look(POLICY, policy({"policyTypes": ["Ingress"], "ingress": []})) is None
