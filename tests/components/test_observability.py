"""What operators are shown: complete, for the right namespaces, with a way to act."""

import re
from typing import Any

import pytest

from components.serving import observability
from facts.site import ROOT, Site
from stacks import ground
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.support.render import of_type

PLACES = {"serving": "ki-modell", "gateway": "ki-gateway", "audit": "ki-protokoll"}
RULES: list[dict[str, Any]] = observability.rules(PLACES)["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = observability.dashboard(PLACES)["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [panel["targets"][0]["expr"] for panel in PANELS]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_whole_and_names_its_namespace(expression: str) -> None:
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)
    assert expression.count('"') % 2 == 0
    assert not re.search(r"\{(serving|gateway|audit)\}", expression)
    assert any(place in expression for place in PLACES.values()) or "sovereign:" in expression


def test_each_thing_that_can_go_wrong_has_an_alert_that_says_what_to_do() -> None:
    alerts = {rule["alert"]: rule for rule in RULES if "alert" in rule}
    assert set(alerts) >= {
        *("EngineErrors", "QueueGrows", "CacheFull", "CertificateEnds", "AuditLags", "WeightsNotVerified"),
    }
    for alert in alerts.values():
        assert alert["annotations"]["description"].endswith(".")
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_what_an_expression_reads_of_the_service_is_recorded() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    used = {name for expression in EXPRESSIONS for name in re.findall(r"sovereign:[\w:]+", expression)}
    assert used <= recorded


def test_prometheus_asks_each_engine_by_its_name_with_a_certificate_of_its_own() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        asked = objects(Site(ROOT / "tests" / "sites" / "example-hospital"), "hospital")
    monitors = of_type(asked, "ServiceMonitor")
    assert set(monitors) == {
        "ki-modell/vllm-llama-3-3-70b-monitor",
        "ki-gateway/llm-gateway-monitor",
        "ki-protokoll/llm-audit-monitor",
    }
    (endpoint,) = monitors["ki-modell/vllm-llama-3-3-70b-monitor"]["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"]["serverName"] == "vllm-llama-3-3-70b.ki-modell.svc.cluster.local"
    assert endpoint["tlsConfig"]["keySecret"]["name"] == "prometheus-client-tls"
    assert "insecureSkipVerify" not in endpoint["tlsConfig"]
