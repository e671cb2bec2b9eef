"""What a run tells of itself: its machine, the variables that steer the engine, where its files come from."""

from pathlib import Path
from typing import Any

import pytest

from facts.site import Site
from policies.model import Origin, Runner, StackFacts
from policies.read.run import of_run

CONFIG = """
[core]
\tbare = false
[remote "origin"]
\turl = git@git.hospital.example:it/site.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\turl = not-a-remote
[remote "copy"]
\turl = https://git.hospital.example/it/copy.git
\tpushURL = https://github.com/hospital/site.git
"""


def told(site: Path, **environ: str) -> StackFacts:
    return of_run(StackFacts("dev"), Site(site, site), environ, "host-1.hospital.example")


@pytest.mark.parametrize(
    ("environ", "runner"),
    [
        ({}, Runner(("host-1.hospital.example",), None, False)),
        (
            {
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "RUNNER_ENVIRONMENT": "github-hosted",
                "RUNNER_NAME": "a",
            },
            Runner(("host-1.hospital.example", "a"), "github", True),
        ),
        (
            {"GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "self-hosted"},
            Runner(("host-1.hospital.example",), "github", False),
        ),
        ({"GITHUB_ACTIONS": "true"}, Runner(("host-1.hospital.example",), "github", None)),
        (
            {"GITLAB_CI": "true", "CI_RUNNER_TAGS": '["hospital-runner", "gpu"]'},
            Runner(("host-1.hospital.example", "hospital-runner", "gpu"), "gitlab", None),
        ),
        (
            {"TF_BUILD": "True", "AGENT_ISSELFHOSTED": "0"},
            Runner(("host-1.hospital.example",), "azure", True),
        ),
        ({"CODEBUILD_BUILD_ID": "x"}, Runner(("host-1.hospital.example",), "codebuild", True)),
        ({"CI": "1"}, Runner(("host-1.hospital.example",), "another", None)),
        ({"CI": ""}, Runner(("host-1.hospital.example",), None, False)),
    ],
)
def test_the_machine(tmp_path: Path, environ: dict[str, str], runner: Runner) -> None:
    assert told(tmp_path, **environ).runner == runner


def test_variables_that_steer_are_kept_and_no_secret(tmp_path: Path) -> None:
    kept = {
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_OPTION_OTEL_TRACES": "file:x",
        "PULUMI_OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
        "AWS_ENDPOINT_URL_S3": "http://x",
        "https_proxy": "http://x",
    }
    others = {
        "PATH": "/bin",
        "PULUMI_ACCESS_TOKEN": "t",
        "PULUMI_CONFIG_PASSPHRASE": "p",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "f",
        "AWS_SECRET_ACCESS_KEY": "k",
        "NO_PROXY": "*",
    }
    assert told(tmp_path, **kept, **others).engine == kept


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("config: {}", ()),
        ("environment: []", ()),
        ("environment: [hospital/prod, other@stable]", ("hospital/prod", "other@stable")),
        ("environment: [{hospital/prod: {merge: false}}]", ("hospital/prod",)),
        ("environment: {imports: [hospital/prod]}", ("hospital/prod",)),
        ("environment: {values: {a: b}}", ("inline",)),
        ("environment: {imports: [a], values: {a: b}}", ("a", "inline")),
    ],
)
def test_environments_that_settings_import(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    assert told(tmp_path).environments == names
    (tmp_path / "copy.yaml").write_text("environment: [copy]")
    assert told(tmp_path, PULUMI_OPTION_CONFIG_FILE=str(tmp_path / "copy.yaml")).environments == ("copy",)


def test_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("[")
    with pytest.raises(OSError, match="is not YAML"):
        told(tmp_path)


def test_remotes_of_the_checkout_that_holds_the_site(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(CONFIG)
    (tmp_path / "site").mkdir()
    assert told(tmp_path / "site").origins == (
        Origin("site", "git@git.hospital.example:it/site.git"),
        Origin("site", "https://git.hospital.example/it/copy.git"),
        Origin("site", "https://github.com/hospital/site.git"),
    )


@pytest.mark.parametrize("common", [None, "../.."])
def test_remotes_of_a_linked_checkout(tmp_path: Path, common: str | None) -> None:
    own = tmp_path / "main" / ".git" / "worktrees" / "site"
    own.mkdir(parents=True)
    if common:
        (own / "commondir").write_text(f"{common}\n")
    (own / (common or ".") / "config").write_text(CONFIG)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / ".git").write_text(f"gitdir: {own}\n")
    assert len(told(tmp_path / "site").origins) == 3


def test_a_site_without_git_and_the_kits_own_examples_have_no_origin(tmp_path: Path) -> None:
    assert told(tmp_path).origins == ()
    (tmp_path / ".git").mkdir()
    assert told(tmp_path).origins == ()
    (tmp_path / ".git" / "config").write_text(CONFIG)
    assert told(tmp_path).origins
    assert of_run(StackFacts("dev"), Site(tmp_path / "stacks", tmp_path), {}, "h").origins == ()


@pytest.mark.parametrize(
    ("source", "origins"),
    [
        ("random", ()),
        ("./local", ()),
        ("github.com/o/r@v1.2.3", (Origin("package p", "github.com/o/r@v1.2.3", False),)),
        (f"github.com/o/r@{'4f' * 20}", (Origin("package p", f"github.com/o/r@{'4f' * 20}", True),)),
        (
            {"source": "github.com/o/r", "version": "4f" * 20},
            (Origin("package p", "github.com/o/r", True),),
        ),
        ({"source": "github.com/o/r", "version": "1.2.3"}, (Origin("package p", "github.com/o/r", False),)),
    ],
)
def test_packages_that_are_fetched_by_address(
    tmp_path: Path, source: Any, origins: tuple[Origin, ...]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text(f"packages: {{p: {source}}}")
    assert told(tmp_path).origins == origins
