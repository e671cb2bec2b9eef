"""vLLM: what the engine fetches, reports and runs by itself unless it is told not to.

The defaults and the exact values that close each way are those of vLLM 0.33 (vllm/envs.py,
vllm/usage/usage_lib.py, vllm/multimodal/media/connector.py) and huggingface_hub. How a container is taken for
vLLM: policies/vllm.py.
"""

import json
from collections.abc import Iterator
from typing import Any

from facts.zones import Zone
from policies import command_line, kubernetes, vllm
from policies.command_line import Environment, Word
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.vllm import Engine, Setting
from policies.walkers import context, hosts

_OUT = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14")
_MODEL = (*_OUT, "AI Act 15")

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_DOWNLOADERS = ("hf", "huggingface-cli", "modelscope")
#: Flags that name a model or what belongs to one.
_MODELS = ("model", "tokenizer", "hf-config-path", "spec-model")
_OFF = ("", "0", "false")
#: Where object stores are looked for (boto3, vLLM's tensorizer loader, Run:ai Model Streamer, LMCache).
_STORES = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "S3_ENDPOINT_URL",
    "RUNAI_STREAMER_S3_ENDPOINT",
    "LMCACHE_REMOTE_URL",
)
#: Schemes of stores whose address stands elsewhere.
_STORES_OUTSIDE = ("s3", "gs", "az", "hf", "oci")
_REMOTE_CONFIGS = (
    "kv-transfer-config",
    "ec-transfer-config",
    "model-loader-extra-config",
    "weight-transfer-config",
)


@rule(
    "engine.hub",
    title="Models come from a local path, and no hub is asked",
    routes=["K20"],
    controls=_MODEL,
    fix="Serve from an absolute path on a volume; set HF_HUB_OFFLINE=1 and TRANSFORMERS_OFFLINE=1; give no "
    "hub token.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.engines.all(c, has(c.env) && c.env.exists(e, e.name == 'HF_HUB_OFFLINE' && "
            "has(e.value) && e.value == '1'))"
        ),
        Cel(
            "variables.engines.all(c, has(c.env) && c.env.exists(e, e.name == 'TRANSFORMERS_OFFLINE' "
            "&& has(e.value) && e.value == '1'))"
        ),
        Cel(
            "variables.containers.all(c, !has(c.env) || c.env.all(e, !(e.name in ['HF_TOKEN', "
            "'HUGGING_FACE_HUB_TOKEN', 'HUGGINGFACE_HUB_TOKEN', 'HUGGINGFACEHUB_API_TOKEN'])))"
        ),
        Cel(
            "variables.engines.all(c, ((has(c.command) ? c.command : []) + (has(c.args) ? c.args : "
            "[])).exists(w, w.startsWith('/') && !w.endsWith('vllm') || w.startsWith('--model=/')))"
        ),
        Cel(
            "variables.engines.all(c, ((has(c.command) ? c.command : []) + (has(c.args) ? c.args : "
            "[])).all(w, !w.matches('^--(tokenizer|hf[-_]config[-_]path)=[^/]')))"
        ),
        Cel(
            "variables.containers.all(c, !has(c.env) || c.env.all(e, !(e.name == 'HF_ENDPOINT') || "
            "has(e.value) && isURL(e.value) && {hosts}.exists(h, "
            "url(e.value).getHostname().matches(h))))"
        ),
        Cel(
            "variables.containers.all(c, !has(c.env) || c.env.all(e, !(e.name == "
            "'VLLM_USE_MODELSCOPE') || has(e.value) && e.value.lowerAscii() in ['', '0', 'false']))"
        ),
    ],
)
def hub(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A model that isn't an absolute path is a name on a public hub, and even with a local path the libraries
    ask the hub unless HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE are exactly "1" (vllm-project/vllm#23684). A
    hub token in a container is a sign, and a means, of fetching from there; HF_ENDPOINT may name a hub of the
    zone."""
    for container in kubernetes.containers(subject):
        variables = Environment(container, subject)
        settings = command_line.assigned(container, variables)
        for name in _TOKENS:
            token = vllm.setting(name, variables, settings)
            if token is not None and token.text != "":
                yield subject.refuse(token.where, seen=name, why="it is the key to a public hub of models")
        yield from _destination(subject, vllm.setting("HF_ENDPOINT", variables, settings), zone)
        yield from _off(
            subject, vllm.setting("VLLM_USE_MODELSCOPE", variables, settings), "it asks a public hub"
        )
        for command in command_line.simple(container, variables):
            if command.program in _DOWNLOADERS and any(word.text == "download" for word in command.words):
                yield subject.refuse(
                    command.words[0].where,
                    seen=f"{command.program} download",
                    why="it fetches from a public hub",
                )
    for engine in vllm.engines(subject):
        yield from _models(subject, engine)
        for name in _OFFLINE:
            yield from _exactly(subject, engine, name, "1", "the libraries ask a public hub")
        for flag in engine.flags("hf-token"):
            yield subject.refuse(flag.where, seen="--hf-token", why="it is the key to a public hub of models")


def _models(subject: Subject, engine: Engine) -> Iterator[Hit]:
    named = list(engine.models[:1])
    for flag in engine.flags(*_MODELS):
        if flag.name == "model":
            named.append(flag.value)
        elif not _is_local(flag.value):
            yield from _not_local(subject, f"--{flag.name}", flag.value)
    for flag in engine.flags("speculative-config"):
        for key, text in _json(flag.key, flag.value):
            if key == "model" and not _is_local(Word(text, flag.where)):
                yield from _not_local(subject, "--speculative-config model", Word(text, flag.where))
    for word in named:
        if not _is_local(word):
            yield from _not_local(subject, "the model", word)
    if named:
        return
    where = _untold(engine)
    if where is not None:
        yield subject.undecided(where, seen="vLLM", why="which model it serves is not told here")
    else:
        yield subject.refuse(
            engine.container.node, seen="no model", why="vLLM would fetch its default model from a public hub"
        )


def _untold(engine: Engine) -> Node | None:
    """Where vLLM is given flags that can't be read here; None where all of them can."""
    return next((flag.where for flag in engine.flags("config")), engine.unreadable)


def _is_local(word: Word) -> bool:
    return word.text.startswith("/")


def _not_local(subject: Subject, what: str, word: Word) -> Iterator[Hit]:
    if word.open:
        yield subject.undecided(
            word.where, seen=what, why="its value is only put in place when the container runs"
        )
    else:
        yield subject.refuse(
            word.where, seen=f"{what} is no absolute path", why="anything else is looked up on a public hub"
        )


@rule(
    "engine.usage-stats",
    title="vLLM must not report its use",
    routes=["K21"],
    controls=("HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "GDPR 32", "SNC 12.14"),
    fix='Set VLLM_NO_USAGE_STATS to exactly "1".',
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.engines.all(c, has(c.env) && c.env.exists(e, e.name == 'VLLM_NO_USAGE_STATS' "
            "&& has(e.value) && e.value == '1'))"
        ),
    ],
)
def usage_stats(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """vLLM posts what it runs on and how to stats.vllm.ai at start and every ten minutes, unless
    VLLM_NO_USAGE_STATS, or the first of VLLM_DO_NOT_TRACK and DO_NOT_TRACK that is set, is exactly "1":
    "true" does not opt out."""
    for engine in vllm.engines(subject):
        server = engine.setting("VLLM_USAGE_STATS_SERVER")
        if server is not None and server.text != "":
            yield from _destination(subject, server, zone)
            continue
        no_stats, ours, common = (
            engine.setting(name) for name in ("VLLM_NO_USAGE_STATS", "VLLM_DO_NOT_TRACK", "DO_NOT_TRACK")
        )
        do_not_track = common if ours is None or ours.text == "" else ours
        chosen = [one for one in (no_stats, do_not_track) if one is not None]
        if any(one.text == "1" for one in chosen):
            continue
        untold = [*(one.where for one in chosen if one.text is None), *engine.environment.unseen]
        if untold:
            yield subject.undecided(untold[0], seen="VLLM_NO_USAGE_STATS", why="its value is not told here")
        else:
            yield subject.refuse(
                chosen[0].where if chosen else engine.container.node["env"],
                seen=f"{chosen[0].name} is not 1" if chosen else "VLLM_NO_USAGE_STATS is not set",
                why="vLLM reports its use to stats.vllm.ai",
            )


@rule(
    "engine.media",
    title="vLLM may fetch media from hosts of the zone only",
    routes=["K22"],
    controls=_OUT,
    fix="Set --allowed-media-domains to hosts of the zone (or --language-model-only for a text model), and "
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS=0.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.engines.all(c, has(c.env) && c.env.exists(e, e.name == "
            "'VLLM_MEDIA_URL_ALLOW_REDIRECTS' && has(e.value) && e.value == '0'))"
        ),
        Cel(
            "variables.engines.all(c, ((has(c.command) ? c.command : []) + (has(c.args) ? c.args : "
            "[])).exists(w, w.matches('^--allowed[-_]media[-_]domains(=|$)')))"
        ),
    ],
)
def media(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A request may name an image, a sound or a film by its URL, and vLLM fetches it: without
    --allowed-media-domains (or with an empty list) from anywhere, inside and outside (CVE-2026-34753), and
    with it from wherever an allowed host redirects to, unless VLLM_MEDIA_URL_ALLOW_REDIRECTS is "0". The name
    none.invalid (RFC 6761) allows nobody; --language-model-only takes no media at all."""
    for engine in vllm.engines(subject):
        if any(flag.name == "language-model-only" for flag in engine.flags("language-model-only")):
            continue
        domains = [
            Word(part.strip(" []\"'"), word.where)
            for flag in engine.flags("allowed-media-domains")
            for word in flag.values
            for part in word.text.split(",")
        ]
        named = [word for word in domains if word.text]
        if not named:
            yield _no_domains(subject, engine)
        for word in named:
            host = hosts.host_of(word.text) or ""
            if word.open:
                yield subject.undecided(
                    word.where, seen="--allowed-media-domains", why="its value is not told here"
                )
            elif not hosts.inside(host, zone):
                yield subject.refuse(
                    word.where,
                    seen=f"--allowed-media-domains {host or 'no readable host'}",
                    why=f"vLLM may fetch from outside zone {zone.name}",
                )
        yield from _exactly(
            subject, engine, "VLLM_MEDIA_URL_ALLOW_REDIRECTS", "0", "a redirect leads vLLM to any host"
        )


def _no_domains(subject: Subject, engine: Engine) -> Hit:
    where = _untold(engine)
    if where is not None:
        return subject.undecided(where, seen="vLLM", why="its media domains are not told here")
    return subject.refuse(
        engine.container.node["args"],
        seen="no --allowed-media-domains",
        why="whoever sends a request can make vLLM fetch from any host",
    )


@rule(
    "engine.loaders",
    title="vLLM may load weights, adapters, tools and code from the zone only",
    routes=["K23"],
    controls=_MODEL,
    fix="Load from absolute paths on a volume; leave out remote loaders, runtime LoRA, tool servers and "
    "remote code.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.engines.all(c, ((has(c.command) ? c.command : []) + (has(c.args) ? c.args : "
            "[])).all(w, "
            "!w.matches('^--(trust[-_]r[^=]*(=[Tt]rue)?$|tool[-_]server|config(=|$))') && "
            "!w.matches('^(--model=|--tokenizer=|--download[-_]dir=)?[a-z0-9]+://')))"
        ),
        Cel(
            "variables.engines.all(c, !has(c.env) || c.env.all(e, !(e.name == "
            "'VLLM_ALLOW_RUNTIME_LORA_UPDATING' && has(e.value) && !(e.value in ['', '0', "
            "'false']))))"
        ),
    ],
)
def loaders(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Weights from s3:// or gs://, a loader or KV cache elsewhere, LoRA adapters by hub name or added while
    it runs, tool servers that the model itself calls, and --trust-remote-code, which runs what a model's
    authors ship: each lets the engine fetch, send or run what nobody in the zone has approved."""
    for engine in vllm.engines(subject):
        yield from _remote_paths(subject, engine)
        yield from _adapters(subject, engine)
        for flag in engine.flags("trust-remote-code"):
            if flag.value.text.lower() != "false":
                yield subject.refuse(
                    flag.where, seen="--trust-remote-code", why="it runs code that comes with a model"
                )
        for flag in engine.flags("tool-server"):
            for part in flag.value.text.split(","):
                host = hosts.host_of(part) or ""
                if part.strip() == "demo" or not hosts.inside(host, zone):
                    yield subject.refuse(
                        flag.value.where,
                        seen=f"--tool-server {host or 'no readable host'}",
                        why="the model itself calls it, and it is outside the zone",
                    )
        for flag in engine.flags(*_REMOTE_CONFIGS):
            yield from _configured(subject, flag.name, flag.key, flag.value, zone)
        for name in _STORES:
            yield from _destination(subject, engine.setting(name), zone)
        where = _untold(engine)
        if where is not None:
            yield subject.undecided(where, seen="vLLM", why="its flags can't be read here")


def _remote_paths(subject: Subject, engine: Engine) -> Iterator[Hit]:
    words = [*engine.models[:1], *(flag.value for flag in engine.flags("model", "tokenizer", "download-dir"))]
    for word in words:
        if "://" in word.text:
            scheme = word.text.partition("://")[0].lower()
            yield subject.refuse(
                word.where,
                seen=f"{scheme}://",
                why="weights are streamed from a store that no rule can place",
            )


def _adapters(subject: Subject, engine: Engine) -> Iterator[Hit]:
    for flag in engine.flags("lora-modules", "default-mm-loras"):
        for word in flag.values:
            for path in _adapter_paths(word):
                if not path.startswith("/"):
                    yield subject.refuse(
                        word.where,
                        seen=f"--{flag.name}",
                        why="an adapter that is no absolute path comes from a hub",
                    )
    yield from _off(
        subject, engine.setting("VLLM_ALLOW_RUNTIME_LORA_UPDATING"), "adapters can be loaded while it runs"
    )
    listed = engine.setting("VLLM_LORA_RESOLVER_HF_REPO_LIST")
    if listed is not None and listed.text != "":
        yield subject.refuse(listed.where, seen=listed.name, why="adapters are fetched from a public hub")


def _adapter_paths(word: Word) -> Iterator[str]:
    """The paths in `name=path`, in `{"name": ..., "path": ...}`, and in a mapping of modalities to paths."""
    if word.text.lstrip().startswith("{"):
        yield from (text for key, text in _json("", word) if key not in ("name", "base_model_name"))
    else:
        yield word.text.partition("=")[2]


def _configured(subject: Subject, name: str, key: str, word: Word, zone: Zone) -> Iterator[Hit]:
    for inner, text in _json(key, word):
        for part in text.split(","):
            if part.startswith(("/", "file:///")) or part == "":
                continue
            if not ("://" in part or context.is_destination(inner) or inner.endswith("_ip")):
                continue
            host = hosts.host_of(part) or ""
            if part.partition("://")[0].lower() in _STORES_OUTSIDE or not hosts.inside(host, zone):
                yield subject.refuse(
                    word.where,
                    seen=f"--{name} {host or 'no readable host'}",
                    why=f"weights or keys and values of prompts go there, outside zone {zone.name}",
                )


def _json(key: str, word: Word) -> Iterator[tuple[str, str]]:
    """The strings in a flag's JSON with the key that each has; of a dotted flag, its one value."""
    if key:
        yield key.rpartition(".")[2].rstrip("+"), word.text
        return
    try:
        data = json.loads(word.text)
    except ValueError:
        yield "", word.text
        return
    yield from _strings("", data)


def _strings(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(str(name), item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(key, item)


def _destination(subject: Subject, found: Setting | None, zone: Zone) -> Iterator[Hit]:
    """Refuses a variable that names a host outside the zone."""
    if found is None or found.text == "":
        return
    if found.text is None:
        yield from _hidden(subject, found)
        return
    host = hosts.host_of(found.text) or ""
    if not hosts.inside(host, zone):
        yield subject.refuse(
            found.where,
            seen=f"{found.name}: {host or 'no readable host'}",
            why=f"it leads outside zone {zone.name}",
        )


def _off(subject: Subject, found: Setting | None, why: str) -> Iterator[Hit]:
    """Refuses a switch that is on."""
    if found is None:
        return
    if found.text is None:
        yield from _hidden(subject, found)
    elif found.text.strip().lower() not in _OFF:
        yield subject.refuse(found.where, seen=found.name, why=why)


def _exactly(subject: Subject, engine: Engine, name: str, wanted: str, why: str) -> Iterator[Hit]:
    """Refuses a variable that isn't exactly what closes the way, or isn't there."""
    found = engine.setting(name)
    if found is None and engine.environment.unseen:
        yield subject.undecided(
            engine.environment.unseen[0], seen=name, why="whether it is set is not told here"
        )
    elif found is None:
        yield subject.refuse(
            engine.container.node["env"], seen=f"{name} is not set", why=f"{why} unless it is {wanted}"
        )
    elif found.text is None:
        yield from _hidden(subject, found)
    elif found.text != wanted:
        yield subject.refuse(found.where, seen=f"{name} is not {wanted}", why=why)


def _hidden(subject: Subject, found: Setting) -> Iterator[Hit]:
    """A value that comes from something that the plan doesn't show, or that isn't known yet."""
    yield subject.undecided(found.where, seen=found.name, why="its value is not told in the plan")
