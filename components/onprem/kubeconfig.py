"""A kubeconfig cut down to one context, complete in itself, and the identity of the cluster behind it."""

import base64
import binascii
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
import yaml

#: seconds to connect, and to wait for an answer
_CONNECT, _READ = 5.0, 15.0


class ClusterError(ValueError):
    """A cluster that can't be used as the one that is meant; the message says what to do."""


@dataclass(frozen=True)
class Kubeconfig:
    """One context of a kubeconfig file; `text` holds certificates and keys inline, and is a secret."""

    file: Path
    context: str
    server: str
    text: str = field(repr=False)

    @staticmethod
    def read(file: Path, context: str | None = None) -> "Kubeconfig":
        """Takes one context (None: the only one) out of a file. Raises ClusterError.

        Only a token or a client certificate identifies: an exec plugin would run a program of the file's
        choosing with whatever credentials the environment has. A proxy, or a server that isn't verified, is
        refused too.
        """
        data = _load(file)
        context = context or _only_context(data, file)
        chosen = _entry(data, "contexts", context, "context", file)
        cluster = dict(_entry(data, "clusters", str(chosen.get("cluster")), "cluster", file))
        user = dict(_entry(data, "users", str(chosen.get("user")), "user", file))
        server = str(cluster.get("server", ""))
        if not server.startswith("https://"):
            raise ClusterError(
                f"{file}: the cluster of context {context} has no https:// server: give it one."
            )
        for key in ("insecure-skip-tls-verify", "proxy-url"):
            if cluster.get(key):
                raise ClusterError(f"{file}: the cluster of context {context} sets {key}: remove it.")
        foreign = sorted(set(user) - _IDENTITY)
        if foreign:
            raise ClusterError(
                f"{file}: the user of context {context} sets {', '.join(foreign)}: use a kubeconfig that has "
                "a token or a client certificate in it."
            )
        for entry, keys in ((cluster, _CLUSTER_FILES), (user, _USER_FILES)):
            _inline(entry, keys, file)
        if not cluster.get("certificate-authority-data"):
            raise ClusterError(f"{file}: the cluster of context {context} names no certificate authority.")
        cluster = {key: cluster[key] for key in _CLUSTER if key in cluster}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }
        return Kubeconfig(file, context, server, yaml.safe_dump(whole, sort_keys=True))

    def uid(self) -> str:
        """The UID of the cluster's namespace kube-system, asked of its API server. Raises ClusterError."""
        parts = yaml.safe_load(self.text)
        cluster, user = parts["clusters"][0]["cluster"], parts["users"][0]["user"]
        try:
            tls = _tls(cluster, user)
        except (ssl.SSLError, ValueError, binascii.Error):
            raise ClusterError(
                f"{self.file}: a certificate or key of context {self.context} is malformed."
            ) from None
        headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
        with urllib3.PoolManager(
            ssl_context=tls,
            server_hostname=cluster.get("tls-server-name"),
            timeout=urllib3.Timeout(connect=_CONNECT, read=_READ),
            retries=False,
        ) as pool:
            try:
                answer = pool.request("GET", f"{self.server}/api/v1/namespaces/kube-system", headers=headers)
            except urllib3.exceptions.SSLError:
                raise ClusterError(
                    f"The API server {self.server} is not the one that {self.file} trusts: its certificate "
                    "can't be verified. Get the kubeconfig anew."
                ) from None
            except (urllib3.exceptions.HTTPError, OSError):
                raise ClusterError(
                    f"No cluster answers at {self.server} (context {self.context} of {self.file}): "
                    "start it (the embedded one: `sovereign cluster up`), or correct the kubeconfig."
                ) from None
        if answer.status != 200:
            raise ClusterError(
                f"The API server {self.server} answers {answer.status} to this kubeconfig's identity "
                f"(context {self.context} of {self.file}): let it read the namespace kube-system."
            )
        try:
            return str(json.loads(answer.data)["metadata"]["uid"])
        except (ValueError, KeyError, TypeError):
            raise ClusterError(f"What answers at {self.server} is no Kubernetes API server.") from None


_CLUSTER = ("certificate-authority-data", "server", "tls-server-name")
_CLUSTER_FILES = {"certificate-authority": "certificate-authority-data"}
_USER_FILES = {"client-certificate": "client-certificate-data", "client-key": "client-key-data"}
_IDENTITY = {"token", "tokenFile", *_USER_FILES, *_USER_FILES.values()}


def _load(file: Path) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClusterError(
            f"There is no kubeconfig {file}: start the embedded cluster (`sovereign cluster up`), "
            "or name the file of your own cluster in cluster.kubeconfig."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"The kubeconfig {file} can't be read: {type(error).__name__}.") from None
    except yaml.YAMLError:
        raise ClusterError(f"The kubeconfig {file} is not YAML.") from None
    if not isinstance(data, Mapping):
        raise ClusterError(f"The kubeconfig {file} holds no mapping.")
    return data


def _only_context(data: Mapping[str, Any], file: Path) -> str:
    names = [str(entry.get("name")) for entry in _entries(data, "contexts")]
    if len(names) != 1:
        raise ClusterError(f"{file} has {len(names)} contexts: say which one is meant in cluster.context.")
    return names[0]


def _entries(data: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = data.get(kind)
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _entry(data: Mapping[str, Any], kind: str, name: str, inner: str, file: Path) -> Mapping[str, Any]:
    entries = _entries(data, kind)
    for entry in entries:
        found = entry.get(inner)
        if entry.get("name") == name and isinstance(found, Mapping):
            return found
    known = ", ".join(sorted(str(entry.get("name")) for entry in entries)) or "none"
    raise ClusterError(f"{file} has no {inner} {name!r}: it has {known}.")


def _inline(entry: dict[str, Any], keys: Mapping[str, str], file: Path) -> None:
    for key, data_key in keys.items():
        named = entry.pop(key, None)
        if named and not entry.get(data_key):
            entry[data_key] = base64.b64encode(_content(file.parent / str(named), key)).decode()
    named = entry.pop("tokenFile", None)
    if named and not entry.get("token"):
        entry["token"] = _content(file.parent / str(named), "tokenFile").decode().strip()


def _content(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise ClusterError(f"The kubeconfig's {key}, {path}, can't be read.") from None


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if user.get("client-certificate-data"):
        pem = b"\n".join(
            base64.b64decode(user.get(key, "")) for key in ("client-certificate-data", "client-key-data")
        )
        with tempfile.NamedTemporaryFile() as file:  # the ssl module reads a client's key from files only
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context
