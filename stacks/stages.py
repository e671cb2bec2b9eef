"""Ground and serving are two stages of a release: nothing can be checked against a cluster that isn't there.

A review makes nothing, so it plans both at once, against a cluster that stands for the one to come.
"""

import os
from collections.abc import Mapping
from typing import Final

from facts.sentinels import digest
from stacks.settings import Settings

#: set where a preview answers with sentinels instead of what only a cloud would know
_PREVIEW: Final = "SOVEREIGN_PREVIEW"

#: what a release of the ground alone tells its reader to do
NEXT: Final = (
    "The ground is there, and nothing stands on it yet. Read the UID of the namespace kube-system from "
    "inside the network, write it to cluster.uid of the stack's settings, plan the release again, and run it."
)


def is_review(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a plan that can never be applied."""
    return environ.get(_PREVIEW) == "symbolic"


def cluster_uid(settings: Settings, stack: str) -> str | None:
    """The UID of the cluster that serving/ is planned against: the one that the settings name, in a review
    one that stands for it; None where the ground comes first."""
    if settings.cluster.uid is not None:
        return settings.cluster.uid
    return _symbolic(stack) if is_review() else None


def _symbolic(stack: str) -> str:
    mark = digest(stack).ljust(32, "0")
    return f"{mark[:8]}-{mark[8:12]}-{mark[12:16]}-{mark[16:20]}-{mark[20:32]}"
