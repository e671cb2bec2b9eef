"""What an engine may not do even inside its sealed pod, unless somebody answers for it until a day."""

from collections.abc import Iterator
from datetime import date, timedelta

from facts.zones import Zone
from policies import vllm
from policies.kubernetes import PODS, quiet
from policies.rule import Hit, Subject, rule

#: as long as an exception may be asked for, from the day on which it is judged
_LONGEST = timedelta(days=180)
_UNTIL, _REASON = "llm.kit/writable-root-until", "llm.kit/writable-root-reason"


@rule(
    "hardening.root",
    title="An engine's root file system is read-only, or writable until a day for a reason",
    routes=["S05"],
    controls=["HIPAA 164.312(c)(1)", "AI Act 15", "ISO 27001 A.8.9"],
    fix="Set readOnlyRootFilesystem, or `models.writableRoot` with a reason and a day within 180 days.",
    pack="protection",
    severity="medium",
    kinds=PODS,
)
def root(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who gets into an engine can change its programs where its root file system is writable. Some GPU
    runtimes' hooks need to write there; the pod then says why and until when (llm.kit/writable-root-reason
    and -until), at most 180 days ahead. A vLLM that says nothing of what it serves is judged only where
    it asks for a writable one."""
    for engine in vllm.engines(subject):
        where = engine.container.node["securityContext"]["readOnlyRootFilesystem"]
        said = engine.container.pod.annotations
        ours = quiet(said)["llm.kit/engine-version"].text() is not None
        if where.flag() or where.opaque or (where.absent and not ours):
            continue
        until, reason = said[_UNTIL].text(), said[_REASON].text()
        day = _day(until)
        if until is None or not reason:
            yield subject.refuse(where, seen="a writable root", why="nothing says why and until when")
        elif day is None:
            yield subject.undecided(said[_UNTIL], seen="no day", why="until when it may be can't be told")
        elif not subject.plan.at <= day <= subject.plan.at + _LONGEST:
            yield subject.refuse(
                said[_UNTIL],
                seen=f"until {day}",
                why="that day has passed" if day < subject.plan.at else "that is more than 180 days ahead",
            )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
