"""vLLM: what would write prompts and answers into logs, or open its insides to whoever reaches its port."""

import re
from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import vllm
from policies.kubernetes import PODS
from policies.rule import Cel, Hit, Subject, rule

#: vLLM 0.33, vllm/entrypoints/openai/cli_args.py: each of these logs requests, answers or what failed in them
_FLAGS = ("enable-log-requests", "enable-log-outputs", "log-error-stack", "enable-tokenizer-info-endpoint")
#: vLLM 0.33, vllm/envs.py: on with any of these values; DEBUG and TRACE print the prompts themselves
_LEVELS = re.compile(r"(?i)debug|trace|notset")
_SWITCHES = {
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE": "it logs each answer",
    "VLLM_SERVER_DEV_MODE": "it opens calls that run anything in the engine",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "it lets a message run code",
    "VLLM_ENABLE_RESPONSES_API_STORE": "it keeps requests and answers in memory, to be read by their number",
}
_ON = re.compile(r"(?i)(?!(?:0|false)$).+")
_LOUD: Mapping[str, tuple[re.Pattern[str], str]] = {
    "VLLM_LOGGING_LEVEL": (_LEVELS, "it prints the prompts"),
    **{name: (_ON, why) for name, why in _SWITCHES.items()},
}


@rule(
    "engine.logs",
    title="vLLM writes no prompt and no answer anywhere",
    routes=["S04"],
    controls=["HIPAA 164.312(b)", "HDS EXI 05", "GDPR 5(1)(c)", "GDPR 32"],
    fix="Leave the flag or the variable out; the audit service keeps what is to be known of a request.",
    pack="protection",
    severity="critical",
    kinds=PODS,
    cel=[
        Cel(
            "variables.engines.all(c, !has(c.args) || c.args.all(a, "
            "!a.matches('^--(enable[-_]log[-_](requests|outputs)|log[-_]error[-_]stack|"
            "enable[-_]tokenizer[-_]info[-_]endpoint)(=[Tt]rue)?$')))"
        ),
        Cel(
            "variables.engines.all(c, !has(c.env) || c.env.all(e, !has(e.value) || "
            "!(e.name == 'VLLM_LOGGING_LEVEL' && e.value.upperAscii() in ['DEBUG', 'TRACE', 'NOTSET'])))"
        ),
        Cel(
            f"variables.engines.all(c, !has(c.env) || c.env.all(e, !(e.name in {sorted(_SWITCHES)} && "
            "(has(e.valueFrom) || has(e.value) && !(e.value in ['', '0', 'false'])))))"
        ),
    ],
)
def silent(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Logs leave the service for collectors, tickets and backups, and are read by people who may not see
    patients' data. vLLM is silent by default; these flags, levels and development switches end that."""
    for engine in vllm.engines(subject):
        for flag in engine.flags(*_FLAGS):
            if flag.value.text.lower() != "false":
                yield subject.refuse(
                    flag.where, seen=f"--{flag.name}", why="prompts, answers or parts of them get into logs"
                )
        for name, (loud, why) in _LOUD.items():
            found = engine.setting(name)
            if found is not None and found.hidden:
                yield subject.undecided(
                    found.where, seen=name, why="its value comes from what the plan doesn't show"
                )
            elif found is not None and loud.fullmatch(found.text or ""):
                yield subject.refuse(found.where, seen=name, why=why)
