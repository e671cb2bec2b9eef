"""Ground and serving are two stages of a release: nothing can be checked against a cluster that isn't there.

A review makes nothing, so it plans both at once, against a cluster that stands for the one to come; where its
outputs stay unknown, the way into that cluster does too, and it plans the ground alone.
"""

import os
from collections.abc import Mapping
from typing import Final

from facts.sentinels import PREVIEW, digest
from stacks.settings import Settings

#: what a release of the ground alone tells its reader to do
NEXT: Final = (
    "The ground is there, and nothing stands on it yet. From inside its network, read the cluster's UID "
    "(kubectl get namespace kube-system -o jsonpath={.metadata.uid}), write it to cluster.uid of the stack's "
    "settings, then plan and run the next release: sovereign plan STACK --release."
)


def is_review(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a plan that can never be applied."""
    return bool(environ.get(PREVIEW))


def cluster_uid(settings: Settings, stack: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The UID of the cluster that serving/ is planned against: the one that the settings name, in a review
    one that stands for it; None where the ground comes first."""
    if environ.get(PREVIEW) == "ordinary":
        return None
    if settings.cluster.uid is not None:
        return settings.cluster.uid
    return _symbolic(stack) if is_review(environ) else None


def _symbolic(stack: str) -> str:
    mark = digest(stack).ljust(32, "0")
    return f"{mark[:8]}-{mark[8:12]}-{mark[12:16]}-{mark[16:20]}-{mark[20:32]}"
