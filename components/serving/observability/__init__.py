"""What operators see: scrapes, recorded figures, alerts, a dashboard; read by Prometheus and Grafana of the
cluster itself. Nothing here sends anything anywhere, and no label holds a prompt.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.ground import Ground
from components.serving.isolation import Isolation, Place
from components.serving.keys import Keys
from components.serving.names import AUDIT, GATEWAY, VLLM, Identity, part
from components.serving.workload import metadata
from facts.reading import read

_HERE = Path(__file__).parent
_VERSION = "monitoring.coreos.com/v1"
_EVERY = "30s"
#: how many panels stand beside each other, and how large Grafana's grid is
_COLUMNS, _WIDTH, _HEIGHT = 2, 12, 8


class Observability(ComponentResource):
    """ServiceMonitors, a PrometheusRule and a dashboard, for the Prometheus operator."""

    def __init__(
        self,
        name: str,
        isolation: Isolation,
        keys: Keys,
        engines: Sequence[Identity],
        monitoring: str,
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`monitoring`: the namespace of the cluster's Prometheus and Grafana, where the dashboard goes."""
        super().__init__("sovereign:index:Observability", name, None, opts)
        places = {
            "serving": isolation.serving.name,
            "gateway": isolation.gateway.name,
            "audit": isolation.audit.name,
        }
        for engine in engines:
            tls = _tls(keys.prometheus, engine.host(isolation.serving.name))
            # vLLM has its metrics behind the same client certificate as its requests
            endpoint = {"port": "https", "scheme": "https", "tlsConfig": tls}
            self._monitor(engine, isolation.serving, endpoint)
        self._monitor(part(GATEWAY), isolation.gateway, {"port": "metrics"})
        self._monitor(part(AUDIT), isolation.audit, {"port": "metrics"})
        CustomResource(
            f"{isolation.serving.name}/sovereign",
            api_version=_VERSION,
            kind="PrometheusRule",
            metadata=metadata(Identity(VLLM, "sovereign"), isolation.serving),
            spec=rules(places),
            opts=isolation.serving.options(self),
        )
        dashboard_name = f"{isolation.serving.name}-dashboard"
        ConfigMap(
            f"{monitoring}/{dashboard_name}",
            metadata=ObjectMetaArgs(
                name=dashboard_name,
                namespace=monitoring,
                labels={"app.kubernetes.io/part-of": "sovereign", "grafana_dashboard": "1"},
            ),
            data={"sovereign.json": json.dumps(dashboard(places), sort_keys=True)},
            opts=ResourceOptions(parent=self, provider=ground.provider),
        )
        self.register_outputs({})

    def _monitor(self, who: Identity, place: Place, endpoint: Mapping[str, Any]) -> None:
        CustomResource(
            f"{place.name}/{who.name}-monitor",
            api_version=_VERSION,
            kind="ServiceMonitor",
            metadata=metadata(who, place),
            spec={
                "selector": {"matchLabels": who.selector},
                "endpoints": [{**endpoint, "path": "/metrics", "interval": _EVERY}],
            },
            opts=place.options(self),
        )


def rules(places: Mapping[str, str]) -> dict[str, Any]:
    """The spec of the PrometheusRule; `places` are the namespaces by part."""
    data = read(_HERE / "alerts.yaml")
    recorded = [{"record": one["name"], "expr": _filled(one["expression"], places)} for one in data["record"]]
    alerts = [
        {
            "alert": one["name"],
            "expr": _filled(one["expression"], places),
            "for": one["for"],
            "labels": {"severity": one["severity"]},
            "annotations": {"summary": one["summary"], "description": one["action"]},
        }
        for one in data["alert"]
    ]
    return {"groups": [{"name": "sovereign", "interval": _EVERY, "rules": [*recorded, *alerts]}]}


def dashboard(places: Mapping[str, str]) -> dict[str, Any]:
    """The dashboard as Grafana's JSON."""
    data = read(_HERE / "dashboard.yaml")
    panels = [
        {
            "id": number + 1,
            "type": "timeseries",
            "title": panel["title"],
            "datasource": {"type": "prometheus"},
            "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0}, "overrides": []},
            "gridPos": {
                "x": number % _COLUMNS * _WIDTH,
                "y": number // _COLUMNS * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            },
            "targets": [{"refId": "A", "expr": _filled(panel["expression"], places)}],
        }
        for number, panel in enumerate(data["panels"])
    ]
    return {
        "title": data["title"],
        "uid": f"sovereign-{places['serving']}"[:40],
        "schemaVersion": 39,
        "editable": False,
        "refresh": _EVERY,
        "time": {"from": "now-6h", "to": "now"},
        "panels": panels,
    }


def _filled(expression: str, places: Mapping[str, str]) -> str:
    for name, namespace in places.items():
        expression = expression.replace("{" + name + "}", namespace)
    return expression


def _tls(secret: str, server: str) -> dict[str, Any]:
    return {
        # Prometheus calls pods by address, and their certificates have names
        "serverName": server,
        "ca": {"secret": {"name": secret, "key": "ca.crt"}},
        "cert": {"secret": {"name": secret, "key": "tls.crt"}},
        "keySecret": {"name": secret, "key": "tls.key"},
    }
