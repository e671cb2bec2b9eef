"""Kubeconfig files: the subset that leads to one named server, checked, with credentials that need no
program.

Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

import base64
import binascii
import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from toolchain.providers.core import Refused

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

_CLUSTER_KEYS = {"server", "certificate-authority", "certificate-authority-data", "tls-server-name"}
_HARMLESS_CLUSTER_KEYS = {"extensions", "disable-compression"}
_USER_KEYS = {
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
}
_REFUSED = {
    "exec": "runs a program for its credentials; put a token or a client certificate there instead",
    "auth-provider": "uses an auth-provider, which Kubernetes has removed; use a token or certificate",
    "insecure-skip-tls-verify": "switches off the check of the server's certificate; name the CA instead",
    "proxy-url": "goes through a proxy, which this provider doesn't do; reach the server directly",
    "username": "uses a password, which Kubernetes has removed; use a token or a client certificate",
    "password": "uses a password, which Kubernetes has removed; use a token or a client certificate",
    "as": "acts as another user; use credentials of its own",
}


@dataclass(frozen=True)
class Access:
    """How to reach one API server: its URL, a TLS context that checks it, and the credentials."""

    server: str
    namespace: str  #: of the context, "" when it names none
    ca: str  #: PEM, "" for the system's
    tls: ssl.SSLContext = field(repr=False)
    server_name: str | None = None  #: expected in the certificate, where it isn't the URL's host
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def bearer(self) -> str:
        """The token to send now, "" for none; a token file is read anew, since it is renewed in place."""
        if self.token_file is None:
            return self.token
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise Refused(
                f"The token file {self.token_file} of the kubeconfig can't be read: {error.strerror}."
            ) from error


def load(text_or_path: str, context: str = "", cluster: str = "") -> Access:
    """What a kubeconfig, given as its text or as an absolute path, leads to; raises Refused with a sentence.

    `context` and `cluster` choose others than the kubeconfig's own.
    """
    config, where, folder = _read(text_or_path)
    chosen, cluster_entry, user_entry = _chosen(config, context, cluster, where)
    _refuse_surplus(cluster_entry, _CLUSTER_KEYS | _HARMLESS_CLUSTER_KEYS, f"{where}: its cluster")
    _refuse_surplus(user_entry, _USER_KEYS, f"{where}: its user")
    server = _server(cluster_entry, where)
    ca = _pem(cluster_entry, "certificate-authority", folder, where)
    tls = _tls(
        ca,
        _pem(user_entry, "client-certificate", folder, where),
        _pem(user_entry, "client-key", folder, where),
        where,
    )
    token_file = _text(user_entry.get("tokenFile"))
    return Access(
        server=server,
        namespace=_text(chosen.get("namespace")),
        ca=ca,
        tls=tls,
        server_name=_text(cluster_entry.get("tls-server-name")) or None,
        token=_text(user_entry.get("token")),
        token_file=_path(token_file, folder, where) if token_file else None,
    )


def destination(text_or_path: str, context: str = "", cluster: str = "") -> tuple[str, str]:
    """Server and CA (PEM) of a kubeconfig, which tell clusters apart; raises Refused."""
    config, where, folder = _read(text_or_path)
    _, entry, _ = _chosen(config, context, cluster, where)
    return _server(entry, where), _pem(entry, "certificate-authority", folder, where)


def _read(text_or_path: str) -> tuple[dict[str, Any], str, Path | None]:
    where, folder, text = "the kubeconfig", None, text_or_path
    if "\n" not in text_or_path.strip() and not text_or_path.lstrip().startswith("{"):
        path = Path(os.path.expanduser(text_or_path.strip()))
        if not path.is_absolute():
            raise Refused(
                "The kubeconfig is neither a kubeconfig's text nor an absolute path: give one of them."
            )
        where, folder = f"the kubeconfig {path}", path.parent
        try:
            text = path.read_text()
        except OSError as error:
            raise Refused(f"The kubeconfig {path} can't be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise Refused(f"The kubeconfig {path} is no text.") from error
    try:
        config = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise Refused(f"{_capital(where)} is no YAML{_line(error)}.") from error
    if not isinstance(config, dict):
        raise Refused(f"{_capital(where)} is no kubeconfig: it has no clusters, users and contexts.")
    return config, where, folder


def _chosen(
    config: Mapping[str, Any], context: str, cluster: str, where: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    context = context or _text(config.get("current-context"))
    if not context:
        raise Refused(f"{_capital(where)} has no current-context: set one, or name a context.")
    chosen = _named(config, "contexts", "context", context, where)
    cluster = cluster or _text(chosen.get("cluster"))
    entry = _named(config, "clusters", "cluster", cluster, where)
    user = _text(chosen.get("user"))
    return chosen, entry, _named(config, "users", "user", user, where) if user else {}


def _named(config: Mapping[str, Any], many: str, one: str, name: str, where: str) -> dict[str, Any]:
    entries = config.get(many)
    entries = entries if isinstance(entries, list) else []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(one)
            return found if isinstance(found, dict) else {}
    names = ", ".join(str(entry.get("name")) for entry in entries if isinstance(entry, dict))
    raise Refused(f"{_capital(where)} has no {one} {name!r}; it has {names or 'none'}.")


def _refuse_surplus(entry: Mapping[str, Any], known: set[str], what: str) -> None:
    for key, value in entry.items():
        if key in known or value in (None, False, "", [], {}):
            continue
        reason = _REFUSED.get(key) or _REFUSED.get(key.split("-")[0])
        if reason is None:
            raise Refused(f"{_capital(what)} has {key!r}, which this provider doesn't know: take it out.")
        raise Refused(f"{_capital(what)} {reason} ({key}).")


def _server(entry: Mapping[str, Any], where: str) -> str:
    server = _text(entry.get("server"))
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise Refused(f"{_capital(where)} names the server {_shown(server)}, which is no https address.")
    return server.rstrip("/")


def _shown(server: str) -> str:
    return repr(re.sub(r"//[^/@]*@", "//[credentials]@", server))


def _pem(entry: Mapping[str, Any], key: str, folder: Path | None, where: str) -> str:
    data = _text(entry.get(f"{key}-data"))
    if data:
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refused(f"{_capital(where)} has a {key}-data that is no base64 of a PEM text.") from error
    file = _text(entry.get(key))
    if not file:
        return ""
    path = _path(file, folder, where)
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"The {key} {path} of {where} can't be read: {reason}.") from error


def _path(file: str, folder: Path | None, where: str) -> Path:
    path = Path(file)
    if path.is_absolute():
        return path
    if folder is None:
        raise Refused(f"{_capital(where)} names the file {file!r}, which is no absolute path.")
    return folder / path


def _tls(ca: str, certificate: str, key: str, where: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except ssl.SSLError as error:
        raise Refused(f"{_capital(where)} has a certificate-authority that is no PEM certificate.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if bool(certificate) != bool(key):
        raise Refused(
            f"{_capital(where)} has a client certificate or a client key, and not the other: give both."
        )
    if certificate:
        try:
            _load_pair(context, certificate, key)
        except ssl.SSLError as error:
            raise Refused(
                f"{_capital(where)} has a client certificate and key that are no PEM, or no pair."
            ) from error
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # the ssl module takes files only; mkstemp makes one that nobody else can read
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{key}\n{certificate}\n")
        # without a password, an encrypted key would be asked for on the terminal
        context.load_cert_chain(name, password="")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
