"""Tables line up, findings have their three parts, and nobody gets colour who did not ask for it."""

import pytest

from cli import output

FINDING = {
    "rule": "services.external-name",
    "route": "K11",
    "controls": ["GDPR 32"],
    "urn": "urn:pulumi:local::sovereign::sovereign:index:Gateway$kubernetes:core/v1:Service::llm-gateway/out",
    "path": "spec.externalName",
    "seen": "mirror.example.org",
    "why": "it hands requests to a host outside the zone",
    "fix": "Remove it.",
    "verdict": "refuse",
}


def test_columns_line_up_without_trailing_space() -> None:
    assert (
        output.table(("A", "LONG"), [("first", 1), ("x", "second")]) == "A      LONG\nfirst  1\nx      second"
    )


def test_a_finding_says_what_where_why_and_what_to_do() -> None:
    assert output.finding_text(FINDING).splitlines() == [
        'K11 Service "llm-gateway/out" spec.externalName: found mirror.example.org',
        "    It hands requests to a host outside the zone.",
        "    GDPR 32.",
        "    Remove it.",
        "    more: sovereign policy explain services.external-name",
    ]


def test_an_undecided_finding_says_so() -> None:
    assert "(undecided)" in output.finding_text({**FINDING, "verdict": "undecided"})


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        ("urn:pulumi:a::sovereign::kubernetes:core/v1:Pod::x::y", 'Pod "x::y"'),
        ("urn:pulumi:a::sovereign::pulumi:pulumi:Stack::sovereign-a", 'Stack "sovereign-a"'),
        ("pods.yaml#0", "pods.yaml#0"),
        ("", ""),
    ],
)
def test_a_urn_is_shortened_to_kind_and_name(urn: str, name: str) -> None:
    assert output.resource_name(urn) == name


def test_no_colour_into_a_pipe() -> None:
    assert output.paint("refuse", "red") == "refuse"
