"""The audit service: one writer that appends tamper-evident records to an encrypted volume.

Its program is told everything by these arguments, and answers only once a record is on the disk. One writer,
hence one pod of a StatefulSet and a claim that a single pod can hold: two would fork the chain.
"""

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.core.v1 import PersistentVolumeClaim, Service
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.ground import Ground
from components.serving import names
from components.serving.isolation import Place
from components.serving.keys import Keys
from components.serving.workload import Workload, claim, disruption_budget, metadata, service, service_account

#: the claim on the volume of records
RECORDS = "audit-records"


class AuditService(ComponentResource):
    """The audit service and the claim on its records."""

    records: PersistentVolumeClaim
    stateful_set: StatefulSet
    service: Service
    budget: PodDisruptionBudget
    url: str  #: in-cluster, https, asks for a client certificate

    def __init__(
        self, name: str, place: Place, keys: Keys, ground: Ground, opts: ResourceOptions | None = None
    ) -> None:
        super().__init__("sovereign:index:AuditService", name, None, opts)
        who = names.part(names.AUDIT)
        self.url = who.url(place.name)
        account = service_account(who, place, self)
        self.records = claim(
            who,
            place,
            RECORDS,
            access="ReadWriteOncePod",
            size=ground.audit.size,
            storage=ground.storage,
            protect=ground.keeps,
            parent=self,
        )
        workload = Workload(
            who=who,
            image=ground.images.audit,
            args=[
                f"--port={names.HTTPS}",
                f"--metrics-port={names.METRICS}",
                "--records=/records",
                f"--retention-days={ground.audit.retention_days}",
                "--tls=/tls",
                "--chain-key=/chain-key/key",
            ],
            cpu="1",
            memory_limit="1Gi",
            start_within=300,
            drain_within=30,
            secrets={"/tls": keys.audit.name, "/chain-key": keys.chain.name},
            claims={"/records": RECORDS},
        )
        self.service = service(who, place, metrics=True, parent=self)
        self.stateful_set = StatefulSet(
            f"{place.name}/{who.name}",
            metadata=metadata(who, place),
            spec=StatefulSetSpecArgs(
                replicas=1,
                service_name=who.name,
                revision_history_limit=3,
                selector=workload.selector,
                template=workload.template(),
            ),
            opts=place.options(
                self, after=[account, self.records, self.service, keys.audit.secret, keys.chain.secret]
            ),
        )
        self.budget = disruption_budget(who, place, self)
        self.register_outputs({})
