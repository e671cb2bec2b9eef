"""`sovereign cluster up|down|status`: the embedded cluster, a real Kubernetes API over simulated nodes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cli import output, workspace
from cli.errors import EXIT_CODES
from cli.progress import Progress
from facts.site import Site

if TYPE_CHECKING:
    from toolchain.cluster import Cluster, Status

#: what a cluster of the kit's has unless asked otherwise; a stack says it in its settings (`embedded:`)
NODES, GPU, GPUS_PER_NODE, ROOMS = 4, "NVIDIA-H100-80GB-HBM3", 8, 3


@click.group("cluster", short_help="The embedded cluster: up, down, status.", epilog=EXIT_CODES)
def group() -> None:
    """The embedded cluster: etcd, API server, controllers, scheduler, and GPU nodes that KWOK simulates."""


@group.command("up", short_help="Start it, or bring it to completion.", epilog=EXIT_CODES)
@click.option(
    "--nodes", type=click.IntRange(1, 5000), default=NODES, show_default=True, help="Simulated nodes."
)
@click.option(
    "--gpu", default=GPU, show_default=True, metavar="PRODUCT", help="What the nodes call their GPUs."
)
@click.option(
    "--gpus-per-node",
    type=click.IntRange(0, 16),
    default=GPUS_PER_NODE,
    show_default=True,
    help="GPUs a node.",
)
@click.option(
    "--rooms",
    type=click.IntRange(1, 16),
    default=ROOMS,
    show_default=True,
    help="Failure domains.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def up(nodes: int, gpu: str, gpus_per_node: int, rooms: int, as_json: bool) -> None:
    """Starts the cluster, or brings a half-started one to completion. Running it twice changes nothing.

    \b
    Example:
      sovereign cluster up --nodes 100
      kubectl --kubeconfig .sovereign/cluster/kubeconfig get nodes
    """
    started = start(workspace.current(), nodes, gpu, gpus_per_node, rooms, Progress(quiet=as_json))
    _show(as_dict(started), as_json)


@group.command("down", short_help="Stop it; `up` goes on where it was.", epilog=EXIT_CODES)
@click.option(
    "--delete", is_flag=True, help="Remove its data, keys and logs, too: what stands on it is gone."
)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def down(delete: bool, as_json: bool) -> None:
    """Stops the cluster; `up` goes on where it was. Nothing is left running, not even after a crash.

    \b
    Example:
      sovereign cluster down
    """
    cluster = of(workspace.current())
    cluster.down(report=Progress(quiet=as_json), delete=delete)
    _show(as_dict(cluster.status()), as_json)


@group.command("status", short_help="Does it run, and where is its API?", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status(as_json: bool) -> None:
    """Tells whether the cluster runs, where its API is and how many nodes it has.

    \b
    Example:
      sovereign cluster status --json | jq -r .kubeconfig
    """
    _show(as_dict(of(workspace.current()).status()), as_json)


def of(site: Site) -> "Cluster":
    """The embedded cluster of a site."""
    from toolchain.cluster import Cluster

    return Cluster(site.cluster)


def start(
    site: Site, nodes: int, gpu: str, gpus_per_node: int, rooms: int, report: Callable[[str], None]
) -> "Status":
    """Starts the site's cluster, and builds first what is missing. Raises BuildError, ClusterError."""
    from toolchain import build
    from toolchain.cluster import REQUIRED

    binaries = build.ensure((*REQUIRED, "kubectl"), report=report)
    return of(site).up(
        nodes=nodes,
        gpu=gpu,
        gpus_per_node=gpus_per_node,
        rooms=rooms,
        binaries=binaries,
        stages=build.kwok_stages(),
        report=report,
    )


def as_dict(status: "Status") -> dict[str, Any]:
    """The status as JSON has it."""
    return {
        "running": status.running,
        "kubeconfig": str(status.kubeconfig) if status.kubeconfig else None,
        "server": status.server,
        "nodes": status.nodes,
        "nodes_ready": status.nodes_ready,
        "uid": status.uid,
        "components": dict(status.components),
    }


def _show(status: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit_json(status)
    else:
        rows = [
            (key, "-" if value is None else value) for key, value in status.items() if key != "components"
        ]
        click.echo(output.table(("CLUSTER", ""), [*rows, *status["components"].items()]))
