"""What all tests share: the real cluster, made once a session, and the order: fast tests first."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.cluster import LiveCluster, shared_cluster


def pytest_configure() -> None:
    # a shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the reviewed files of tests/*/golden anew")


@pytest.fixture(scope="session")
def cluster() -> Iterator[LiveCluster]:
    """A real API server with simulated GPU nodes, for tests that are marked `cluster`."""
    with shared_cluster() as live:
        yield live


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_weight)


def _weight(item: pytest.Item) -> int:
    """0 for a plain function call, 1 for one that needs the API server or checkov, 2 for one that needs the
    engine."""
    marks = {mark.name for mark in item.iter_markers()}
    return 2 if "engine" in marks else 1 if marks & {"cluster", "checkov"} else 0
