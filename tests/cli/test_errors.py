"""Every error of the kit reaches the user as a sentence, with the exit code that it has everywhere."""

import ast
import errno
from pathlib import Path

import click
import pytest

from cli import errors

ROOT = Path(__file__).resolve().parents[2]


def error_classes(folder: str) -> set[str]:
    return {
        node.name
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize(("folder", "name"), errors.KINDS)
def test_the_table_names_errors_that_exist(folder: str, name: str) -> None:
    assert name in error_classes(folder)


def test_an_error_of_another_folder_keeps_its_sentence() -> None:
    from facts.zones import ZoneError

    shown = errors.for_user(ZoneError("zone.yaml: countries: is missing."))
    assert shown.exit_code == errors.BAD_INPUT
    assert shown.format_message() == "zone.yaml: countries: is missing."


def test_a_full_disk_is_said_with_its_place_and_what_to_do() -> None:
    shown = errors.for_user(OSError(errno.ENOSPC, "No space left on device", "/var/x"))
    assert shown.exit_code == errors.FAILED
    assert "/var/x" in shown.format_message()
    assert "Make room" in shown.format_message()


def test_an_interruption_is_130() -> None:
    assert errors.for_user(KeyboardInterrupt()).exit_code == 130


def test_a_fault_of_the_kit_shows_no_value_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    shown = errors.for_user(RuntimeError("token hunter2"))
    assert shown.exit_code == errors.FAILED
    assert "hunter2" not in shown.format_message()
    assert "SOVEREIGN_DEBUG" in shown.format_message()
    assert capsys.readouterr().err == ""


def test_debugging_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOVEREIGN_DEBUG", "1")
    try:
        raise RuntimeError("inside")
    except RuntimeError as error:
        errors.for_user(error)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "RuntimeError: inside" in said


def test_usage_errors_stay_as_click_says_them() -> None:
    error = click.UsageError("no such option")
    assert errors.for_user(error) is error
    assert error.exit_code == errors.BAD_INPUT
