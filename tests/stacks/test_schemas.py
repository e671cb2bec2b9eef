"""Every object of the shipped stacks is one that Kubernetes 1.33 knows, field by field, as 1.36 does
(test_admission.py asks a real API server of that release)."""

import copy

import pytest

from facts.site import Site
from stacks import ground
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.stacks.test_golden import SITES
from tests.support.render import Asked
from tests.support.schemas import pinned

#: objects of controllers that a site installs
OTHERS = {"Certificate", "ClusterIssuer", "PrometheusRule", "ServiceMonitor", "TLSRoute"}


@pytest.fixture(scope="module", params=list(SITES))
def asked(request: pytest.FixtureRequest) -> list[Asked]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        made = objects(Site(SITES[request.param]), request.param)
    return [one for one in made if one.type.startswith("kubernetes:")]


def test_an_older_release_knows_every_object(asked: list[Asked]) -> None:
    schema = pinned()
    assert schema.version.startswith("v1.33.")
    assert {one.kind for one in asked if not schema.knows(one.inputs)} <= OTHERS
    faults = {
        f"{one.kind} {one.name}": found
        for one in asked
        if schema.knows(one.inputs) and (found := schema.faults(one.inputs))
    }
    assert faults == {}


def test_a_field_that_nobody_knows_is_found(asked: list[Asked]) -> None:
    item = copy.deepcopy(next(one.inputs for one in asked if one.kind == "Deployment"))
    item["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    item["spec"]["replicas"] = "2"
    del item["spec"]["selector"]
    assert sorted(pinned().faults(item)) == [
        ".spec.replicas: integer is expected",
        ".spec.selector: is required",
        ".spec.template.spec.containers[0].livenesProbe: is not known",
    ]
