"""A kubeconfig: what is taken from it, what is refused, and what is said when no cluster is behind it."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.onprem.cluster import identify
from components.onprem.kubeconfig import ClusterError, Kubeconfig
from facts.site import ROOT

CANARY = "canary-7f3a"
#: looks like a certificate and is none
CA = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").decode()


def kubeconfig(folder: Path, **change: Any) -> Path:
    """A good kubeconfig with two contexts; `cluster`, `user` and `contexts` replace a part."""
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": change.get(
                    "cluster", {"server": "https://127.0.0.1:1", "certificate-authority-data": CA}
                ),
            }
        ],
        "users": [{"name": "u", "user": change.get("user", {"token": CANARY})}],
        "contexts": change.get(
            "contexts",
            [
                {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "somewhere"}},
                {"name": "two", "context": {"cluster": "c", "user": "u"}},
            ],
        ),
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(data))
    return file


def test_one_context_is_cut_out_whole(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("certificate")
    (tmp_path / "token").write_text(f"{CANARY}\n")
    file = kubeconfig(
        tmp_path,
        cluster={"server": "https://k.example:6443", "certificate-authority": "ca.crt", "extensions": []},
        user={"tokenFile": "token"},
    )
    access = Kubeconfig.read(file, "two")
    data = yaml.safe_load(access.text)
    assert data["current-context"] == "two"
    assert [context["name"] for context in data["contexts"]] == ["two"]
    assert data["clusters"][0]["cluster"] == {
        "server": "https://k.example:6443",
        "certificate-authority-data": base64.b64encode(b"certificate").decode(),
    }
    assert data["users"][0]["user"] == {"token": CANARY}
    assert CANARY not in repr(access)


EXEC = {"exec": {"command": "aws", "args": ["eks", "get-token"]}}
TRUSTED = {"server": "https://k.example", "certificate-authority-data": CA}


@pytest.mark.parametrize(
    ("context", "change", "said"),
    [
        pytest.param("three", {}, "has no context 'three': it has one, two", id="no such context"),
        pytest.param(None, {}, "has 2 contexts: say which", id="which of two"),
        pytest.param("one", {"user": EXEC}, "sets exec: use a kubeconfig that has a token", id="exec"),
        pytest.param("one", {"user": {"username": "a", "password": CANARY}}, "sets password", id="password"),
        pytest.param("one", {"user": {"token": CANARY, "as": "root"}}, "sets as", id="impersonation"),
        pytest.param(
            "one", {"cluster": {"server": "http://k.example"}}, "no https:// server", id="plain http"
        ),
        pytest.param(
            "one", {"cluster": {"server": "https://k.example"}}, "certificate authority", id="no CA"
        ),
        pytest.param(
            "one",
            {"cluster": {**TRUSTED, "insecure-skip-tls-verify": True}},
            "sets insecure-skip-tls-verify",
            id="unverified",
        ),
        pytest.param(
            "one", {"cluster": {**TRUSTED, "proxy-url": "http://p.example"}}, "sets proxy-url", id="proxy"
        ),
        pytest.param(
            "one",
            {"cluster": {"server": "https://k.example", "certificate-authority": "gone.crt"}},
            "gone.crt, can't be read",
            id="file gone",
        ),
    ],
)
def test_what_lets_others_decide_is_refused(
    tmp_path: Path, context: str | None, change: dict[str, Any], said: str
) -> None:
    file = kubeconfig(tmp_path, **change)
    with pytest.raises(ClusterError) as caught:
        Kubeconfig.read(file, context)
    assert said in str(caught.value)
    assert str(file.parent) in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "There is no kubeconfig"), ("a: [", "is not YAML"), ("- 1", "holds no mapping")]
)
def test_a_file_that_is_none(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ClusterError, match=said):
        Kubeconfig.read(file)


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    access = Kubeconfig.read(kubeconfig(tmp_path), "one")
    with pytest.raises(ClusterError, match="malformed") as caught:
        access.uid()
    assert CANARY not in str(caught.value)


class Answering(Kubeconfig):
    def uid(self) -> str:
        return "11111111-1111-4111-8111-111111111111"


def test_a_cluster_has_to_be_named() -> None:
    access = Answering(Path("/site/kubeconfig"), "one", "https://k.example", "")
    assert identify(access, access.uid()) == access.uid()
    with pytest.raises(ClusterError, match=f"cluster.uid is missing.*{access.uid()}"):
        identify(access, None)
    with pytest.raises(ClusterError, match=f"has the UID {access.uid()}, and the stack is for 2222"):
        identify(access, "22222222-2222-4222-8222-222222222222")


def test_nothing_ambient_is_read() -> None:
    for file in (ROOT / "components").rglob("*.py"):
        assert not re.search(r"\bos\.|environ\[|getenv|expanduser", file.read_text()), file
