"""Parts of the ground that a landing zone has already: no plan shows them, so somebody has to answer for each,
by name and until a day."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule


@rule(
    "used-parts.answered",
    title="Somebody answers for each part of the ground that is only used",
    routes=["A16", "A18", "A24", "A26", "A27", "A36", "A37", "A38", "A53", "K45", "K46"],
    controls=("HDS EXI 05", "HDS EXI 28", "HIPAA 164.308(a)(8)", "GDPR 32"),
    fix="Say in the settings what the part holds to, whose word that is, since when and until when.",
    pack="protection",
    severity="high",
    scope="plan",
)
def answered(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A network, a key, a trail or a cluster that is there already is in no plan, so what the rules ask of it
    can't be seen: whether names are blocked, whose roles a key lets in, whether calls are recorded. Its owner
    answers for that in the settings, and has to be asked again once the word has ended."""
    for part in subject.plan.stack.used:
        words = {word.route: word for word in part.declared}
        for route in part.routes:
            word, day = words.get(route), subject.plan.at
            if word is None:
                seen, why = "a part without an owner or dates", "the plan doesn't show it"
            elif not word.since <= day <= word.until:
                seen, why = f"a word from {word.since} to {word.until}", "it doesn't hold today"
            else:
                continue
            yield subject.refuse(part.key, seen=seen, why=f"{why}, so nobody answers for it", route=route)
