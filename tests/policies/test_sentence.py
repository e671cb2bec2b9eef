"""A finding said in one sentence, and taken out of it again: the engine passes on nothing else."""

import pytest

from policies.model import Finding, Verdict
from policies.sentence import finding_of, sentence

URN = "urn:pulumi:s::sovereign::a$kubernetes:apps/v1:Deployment::llm-serving/vllm"


@pytest.mark.parametrize("controls", [(), ("HIPAA 164.312(e)(1)",), ("HDS EXI 05", "HIPAA 164.312(e)(1)")])
@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("path", ["", "spec.template.spec.containers[0].image"])
def test_a_sentence_holds_the_whole_finding(controls: tuple[str, ...], verdict: Verdict, path: str) -> None:
    finding = Finding(
        urn=URN,
        path=path,
        rule="images.pinned",
        route="K16",
        controls=controls,
        seen="registry.example.com/vllm",
        why="it is pulled from there; the zone's registries are: none",
        fix="Mirror it. Then name it: host/path@sha256:...",
        verdict=verdict,
    )
    assert finding_of(sentence(finding), URN) == finding


def test_other_text_is_no_finding() -> None:
    assert finding_of("policy pack failed", URN) is None
