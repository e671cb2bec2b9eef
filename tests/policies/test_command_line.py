"""Command lines as containers will run them: references put in place, scripts taken apart, variables set."""

from typing import Any

import pytest

from policies import command_line, kubernetes
from policies.command_line import Environment, Unreadable
from policies.kubernetes import Container
from policies.model import UNKNOWN, Plan, Resource
from policies.rule import Subject


def container(value: dict[str, Any], *others: Resource) -> tuple[Container, Environment, Subject]:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [value]}}
    resource = Resource("urn:p", "kubernetes:core/v1:Pod", "p", pod)
    subject = Subject(Plan.of([resource, *others]), resource)
    found = next(iter(kubernetes.containers(subject)))
    return found, Environment(found, subject), subject


def simple(value: dict[str, Any]) -> list[list[str]]:
    found, environment, _ = container(value)
    return [[word.text for word in command.words] for command in command_line.simple(found, environment)]


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        (["a", "b"], ["c"], [["a", "b", "c"]]),
        (["sh", "-c"], ["a b; c 'd e' && f | g"], [["a", "b"], ["c", "d e"], ["f"], ["g"]]),
        (["/bin/bash", "-euxo", "pipefail", "-c", "a"], [], [["a"]]),
        (["bash", "-ec"], ["a \\\n  --b\nc # d\n# e\nf"], [["a", "--b"], ["c"], ["f"]]),
        (["sh", "-c", 'exec a "$@"', "--"], ["b", "c"], [["exec"], ["a", "b", "c"]]),
        (["env", "-u", "X", "A=1", "sh", "-c"], ["B=2 c"], [["env", "-u", "X", "A=1"], ["B=2"], ["c"]]),
        (["tini", "--", "nice", "-n", "5", "a"], ["-b"], [["tini", "--"], ["nice", "-n", "5"], ["a", "-b"]]),
        (
            ["sh", "-c"],
            ["if [ -f x ]; then a; else (b); fi"],
            [["if", "[", "-f", "x", "]"], ["a"], ["b"], ["fi"]],
        ),
        (["sh", "-c", "sh -c 'a; b'"], [], [["a"], ["b"]]),
        (["sh", "/start.sh"], [], [["sh", "/start.sh"]]),
    ],
)
def test_scripts_are_taken_apart(command: list[str], args: list[str], expected: list[list[str]]) -> None:
    assert simple({"command": command, "args": args}) == expected


def test_a_script_that_cannot_be_read_is_told() -> None:
    found, environment, _ = container({"command": ["sh", "-c", "a 'b"]})
    with pytest.raises(Unreadable):
        list(command_line.commands(command_line.words(found, environment), environment))


def test_references_are_put_in_place() -> None:
    env = [
        {"name": "HOST", "value": "db"},
        {"name": "URL", "value": "https://$(HOST)/$$(HOST)/$(NONE)"},
        {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    found, environment, _ = container({"command": ["a", "$(URL)", "$(HIDDEN)"], "env": env})
    words = [word.text for word in command_line.words(found, environment)]
    assert words == ["a", "https://db/$(HOST)/$(NONE)", "$(HIDDEN)"]


def test_references_in_a_circle_end() -> None:
    env = [{"name": "A", "value": "$(B)"}, {"name": "B", "value": "$(A)"}]
    found, environment, _ = container({"command": ["$(A)"], "env": env})
    assert command_line.words(found, environment)[0].open


def test_shell_variables_are_put_in_place() -> None:
    env = [{"name": "MODEL", "value": "/models/a"}]
    script = 'serve "$MODEL" ${MODEL} ${OTHER:-b} $NONE'
    assert simple({"command": ["sh", "-c", script], "env": env}) == [
        ["serve", "/models/a", "/models/a", "b", "$NONE"]
    ]


def test_the_last_of_a_name_counts_and_scripts_overrule() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    found, environment, _ = container(
        {"command": ["sh", "-c", "export B=3 C=4; unset C; D=5 run"], "env": env}
    )
    variable = environment.get("A")
    assert variable is not None
    assert environment.text(variable) == "2"
    settings = command_line.assigned(found, environment)
    assert {name: word.text for name, word in settings.items()} == {"B": "3", "C": "", "D": "5"}


def test_variables_come_from_the_objects_of_the_plan() -> None:
    config = Resource(
        "urn:c",
        "kubernetes:core/v1:ConfigMap",
        "c",
        {"metadata": {"name": "c", "namespace": "n"}, "data": {"A": "1", "B": UNKNOWN}},
    )
    secret = Resource(
        "urn:s",
        "kubernetes:core/v1:Secret",
        "s",
        {"metadata": {"name": "s", "namespace": "n"}, "data": {"k": "djE="}},
    )
    _, environment, subject = container(
        {
            "envFrom": [
                {"prefix": "P_", "configMapRef": {"name": "c"}},
                {"secretRef": {"name": "elsewhere"}},
            ],
            "env": [
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            ],
        },
        config,
        secret,
    )
    texts = {name: environment.text(variable) for name, variable in environment.variables.items()}
    assert texts == {"P_A": "1", "P_B": None, "S": "v1", "IP": "node.cluster.local"}
    assert [node.path for node in environment.unseen] == ["spec.containers[0].envFrom[1].secretRef"]
    assert [touch.reason for touch in subject.touched.values()] == ["unknown"]
