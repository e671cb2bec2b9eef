"""What all tests share: the real cluster, made once a session, and the order: fast tests first."""

import os
import signal
from collections.abc import Iterator

import pytest

from policies.read import run
from tests.support.cluster import LiveCluster, shared_cluster


def pytest_configure() -> None:
    # a shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # zones of tests name no machine of a CI service; what the kit makes of one is told by tests of its own
    for service in run.services().values():
        os.environ.pop(service["present"], None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the reviewed files of tests/*/golden anew")


@pytest.fixture(scope="session")
def cluster() -> Iterator[LiveCluster]:
    """A real API server with simulated GPU nodes, for tests that are marked `cluster`."""
    with shared_cluster() as live:
        yield live


#: files that take minutes, the longest first: begun before others of their kind, so that at the end no process
#: waits for another
_LONG = ("test_whole_run.py", "test_rollout.py", "test_release_run.py", "test_cluster_live.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_order)


def _order(item: pytest.Item) -> tuple[int, int]:
    """0 for a plain function call, 1 for one that needs the API server or checkov, 2 for one that needs the
    engine; then the place among what takes long."""
    marks = {mark.name for mark in item.iter_markers()}
    weight = 2 if "engine" in marks else 1 if marks & {"cluster", "checkov"} else 0
    file = item.path.name
    return weight, _LONG.index(file) if file in _LONG else len(_LONG)
