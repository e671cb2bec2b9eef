"""`sovereign env`: shell lines that give the engine's environment and take away what it must not see."""

import subprocess

from cli.env import shell_lines


def test_only_differences_are_printed_and_quoted() -> None:
    wanted = {"PATH": "/kit/bin:/bin", "HOME": "/home/a b", "SAME": "1"}
    present = {"PATH": "/bin", "SAME": "1", "KUBECONFIG": "/x", "AWS_PROFILE": "y"}
    assert list(shell_lines(wanted, present)) == [
        "unset AWS_PROFILE",
        "unset KUBECONFIG",
        "export HOME='/home/a b'",
        "export PATH=/kit/bin:/bin",
    ]


def test_a_shell_takes_the_lines() -> None:
    lines = "\n".join(shell_lines({"A": "x y'z$HOME"}, {"B": "1"}))
    shell = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf %s "$A${{B-unset}}"'], env={"B": "1"}, capture_output=True, text=True
    )
    assert shell.stdout == "x y'z$HOMEunset"
