"""The releases of a stack's models that were applied: image, arguments, weights and sizing, kept as one.

A record is written after each run that changed one. A rollback names an older record in the site's
`rollback.<stack>.yaml`, which stands in the settings' place for that model until it is taken away, so that
what runs is still what files say.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli.errors import BadInput
from cli.workspace import Stack

if TYPE_CHECKING:
    from stacks.settings import Settings

#: how many releases of a model are kept
_KEPT = 20


def remember(stack: Stack, settings: "Settings") -> None:
    """Records what was just applied, for each model whose release is another than the last one recorded."""
    for model in settings.models:
        given = model.model_dump(by_alias=True, mode="json", exclude_none=True)
        release = {"image": settings.images.vllm, **given}
        known = of_model(stack, model.name)
        if known and known[-1]["model"] == release:
            continue
        number = known[-1]["release"] + 1 if known else 1
        record = {"release": number, "applied": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "model": release}
        _write(_file(stack, model.object_name), json.dumps([*known, record][-_KEPT:], indent=1))


def of_model(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The recorded releases of a model, oldest first. Raises BadInput for records that can't be read."""
    from stacks.settings import object_name

    file = _file(stack, object_name(name))
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError:
        raise BadInput(f"The records of releases in {file} can't be read: remove the file.") from None
    return list(found)


def roll_back(stack: Stack, name: str, to: int | None) -> dict[str, Any]:
    """Puts a recorded release in the settings' place: the one before the last, or `to`. Raises BadInput."""
    known = of_model(stack, name)
    if to is None:
        if len(known) < 2:
            raise BadInput(f"There is no release of {name} in {stack.name} before the one that runs.")
        chosen = known[-2]
    else:
        found = [one for one in known if one["release"] == to]
        if not found:
            numbers = ", ".join(str(one["release"]) for one in known) or "none"
            raise BadInput(f"There is no release {to} of {name} in {stack.name}: recorded are {numbers}.")
        chosen = found[0]
    _save(stack, {**_present(stack), name: chosen})
    return chosen


def end(stack: Stack, name: str) -> None:
    """Gives the settings their place back. Raises BadInput where there is no rollback."""
    present = _present(stack)
    if name not in present:
        raise BadInput(f"{name} is not rolled back in {stack.name}: its settings are the ones that count.")
    _save(stack, {key: value for key, value in present.items() if key != name})


def saved(stack: Stack) -> str | None:
    """The rollback file as it is, to be put back by `restore`."""
    file = stack.site.rollback_file(stack.name)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def restore(stack: Stack, text: str | None) -> None:
    file = stack.site.rollback_file(stack.name)
    if text is None:
        file.unlink(missing_ok=True)
    else:
        _write(file, text)


def _present(stack: Stack) -> dict[str, Any]:
    from stacks.settings import rollbacks

    return dict(rollbacks(stack.source))


def _save(stack: Stack, rolled: dict[str, Any]) -> None:
    if not rolled:
        restore(stack, None)
        return
    head = (
        "# Made by `sovereign rollback`: these releases stand in the place of the settings of their models.\n"
    )
    _write(stack.site.rollback_file(stack.name), head + yaml.safe_dump(rolled, sort_keys=False))


def _file(stack: Stack, object_name: str) -> Path:
    return stack.folder / "releases" / f"{object_name}.json"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)
