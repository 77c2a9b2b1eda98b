"""The command line as a whole: its help, its exit codes, what it does not import."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import click
import pytest

from edgekit import __version__
from edgekit.errors import CheckFailed, ConversionError, DeviceError, EdgekitError, UsageError
from edgekit_cli import main as cli

HEAVY = ("numpy", "torch", "tensorflow", "keras", "ai_edge_litert", "rich", "sqlalchemy", "msgspec")


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    """The table that help is printed from agrees with each command's own short help."""
    command = cli.edgekit.get_command(click.Context(cli.edgekit), name)
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(200) == cli.COMMANDS[name]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`edgekit COMMAND --help` shows how the command is called."""
    assert cli.main([name, "--help"]) == 0
    assert re.search(rf"Examples?:\n +edgekit {name}", capsys.readouterr().out)


def test_help_lists_every_command_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """`edgekit --help` names all commands in the table's order."""
    assert cli.main(["--help"]) == 0
    listed = re.findall(r"^  ([\w-]+)  ", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(cli.COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """`edgekit --help` starts at once: no framework, no NumPy, no terminal or database library."""
    code = "import sys; from edgekit_cli.main import main; main(['--help']); print(*sys.modules, sep='\\n')"
    imported = set(_python(code).stdout.splitlines())
    assert "click" in imported
    assert imported.isdisjoint(HEAVY)


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`edgekit --version` prints the version of the package."""
    assert cli.main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_python_m_edgekit_is_the_same_command() -> None:
    """`python -m edgekit` and the console script are one."""
    done = subprocess.run([sys.executable, "-m", "edgekit", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"edgekit, version {__version__}\n")


def test_a_wrong_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error costs one look."""
    assert cli.main(["convrt"]) == 2
    assert "Did you mean convert?" in capsys.readouterr().err


def test_an_unknown_option_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Click's own errors end with 2."""
    assert cli.main(["--frobnicate"]) == 2
    assert "--frobnicate" in capsys.readouterr().err


def _raise(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def callback(*_: object, **__: object) -> None:
        raise error

    doctor = import_module("edgekit_cli.commands.doctor").doctor
    monkeypatch.setattr(doctor, "callback", callback)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CheckFailed("too far"), 1),
        (UsageError("no such file"), 2),
        (ConversionError("no such operator"), 3),
        (DeviceError("not reachable"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    """1 a check, 2 usage, 3 conversion or device, 130 interrupted."""
    _raise(monkeypatch, error)
    assert cli.main(["doctor"]) == code


def test_an_error_tells_cause_next_step_and_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What went wrong, what to do, where the rest is: on standard error."""
    _raise(monkeypatch, EdgekitError("It broke.", hint="Mend it.", log=Path("worker.log")))
    cli.main(["doctor"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["error: It broke.", " next: Mend it.", "  log: worker.log"]


def test_with_json_an_error_is_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Machines read errors as they read results."""
    _raise(monkeypatch, UsageError("It broke.", hint="Mend it."))
    assert cli.main(["doctor", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error == {"cause": "It broke.", "hint": "Mend it.", "log": None, "exit_code": 2}


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no user's fault is not dressed up as one."""
    _raise(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


def test_a_reader_that_leaves_is_no_failure() -> None:
    """`edgekit schema manifest | head -1` ends quietly."""
    program = subprocess.Popen(
        [sys.executable, "-m", "edgekit", "schema", "manifest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    program.stdout.close()
    _, err = program.communicate(timeout=30)
    assert err == b""


SLEEPER = """
import time
from edgekit_cli.commands import doctor
from edgekit_cli.main import run

def callback(**_):
    print("ready", flush=True)
    time.sleep(60)

doctor.doctor.callback = callback
run()
"""


def test_ctrl_c_ends_with_130() -> None:
    """A shell script that calls edgekit stops too."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.1)
        os.kill(program.pid, signal.SIGINT)
        _, err = program.communicate(timeout=30)
    assert program.returncode == 130
    assert err.strip().startswith("Stopped.")
