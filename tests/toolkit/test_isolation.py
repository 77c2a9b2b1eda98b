"""A worker that crashes, hangs or is interrupted becomes one clear error, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import ConversionError, UsageError
from edgekit.isolation import WorkerCrashed, worker
from edgekit.jobs import Inspected, InspectJob
from edgekit.limits import Limits
from edgekit.model import SourceModel
from edgekit.paths import cache_folder
from edgekit.progress import SilentProgress


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file whose factory does what the test needs; the scratch folder must be as it was afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield tmp_path / "net.py"
    assert list(scratch.iterdir()) == []


def _inspect(file: Path, body: str, *, timeout_s: float = 60) -> Inspected:
    file.write_text(f"import os, signal, time\ndef make():\n    {body}\n")
    source = SourceModel(kind="pytorch", path=str(file), factory="make")
    with worker(InspectJob(source=source, reader="pytorch"), {}, Limits(timeout_s=timeout_s)) as running:
        (event,) = running.events(SilentProgress())
    assert isinstance(event, Inspected)
    return event


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            r"crashed during 'load net.py' \(SIGSEGV\) in net.py line 3: os.kill\(",
        ),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed during 'load net.py', most likely for memory"),
        ("os._exit(7)", "exit code 7"),
    ],
)
def test_a_crash_is_an_error_that_names_the_step(factory: Path, body: str, reason: str) -> None:
    """The process that started the worker lives on; the log is kept and named."""
    with pytest.raises(WorkerCrashed, match=reason) as crashed:
        _inspect(factory, body)
    assert crashed.value.log is not None
    assert crashed.value.log.is_file()


@pytest.mark.slow
def test_a_crash_in_an_operator_names_it_and_the_line_that_called_it(factory: Path) -> None:
    """A linear layer of PyTorch reads memory that is not there."""
    nowhere = "{'shape': (4, 4), 'typestr': '<f4', 'data': (8, False), 'version': 3}"
    body = f"""import numpy, torch
    lost = type('Lost', (), {{'__array_interface__': {nowhere}}})()
    return torch.nn.Linear(4, 4)(torch.from_numpy(numpy.asarray(lost)))"""
    reason = r"\(SIGSEGV\) in forward \(torch/nn/modules/linear.py\), called in net.py line 5: return torch.nn.Linear"
    with pytest.raises(WorkerCrashed, match=reason):
        _inspect(factory, body)


@pytest.mark.slow
def test_a_hang_ends_at_the_time_limit(factory: Path) -> None:
    """With the limit in the message, and the children of the worker ended too."""
    marker = factory.parent / "child.pid"
    start = f"import subprocess; child = subprocess.Popen(['sleep', '600']); file = open({str(marker)!r}, 'w')"
    body = f"{start}; print(child.pid, file=file, flush=True); time.sleep(600)"
    with pytest.raises(WorkerCrashed, match="took longer than 8 s"):
        _inspect(factory, body, timeout_s=8)
    with pytest.raises(ProcessLookupError):
        _wait_until_gone(int(marker.read_text()))


def _wait_until_gone(pid: int) -> None:
    for _ in range(50):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
        if state == "Z":
            raise ProcessLookupError
        time.sleep(0.1)


@pytest.mark.slow
def test_what_a_factory_prints_does_not_garble_the_events(factory: Path) -> None:
    """Frameworks and users print to both streams; the log has it, the events do not."""
    with pytest.raises(UsageError, match="not a torch"):
        _inspect(factory, "print('{\"type\": \"built\"}', flush=True); os.write(2, b'noise'); return 3")


@pytest.mark.slow
def test_a_failure_of_the_user_keeps_its_kind(factory: Path) -> None:
    """A factory that raises is a conversion error with the exception's words."""
    with pytest.raises(ConversionError, match="ValueError: no such backbone"):
        _inspect(factory, "raise ValueError('no such backbone')")


@pytest.mark.slow
def test_ctrl_c_ends_the_worker_and_leaves_nothing(tmp_path: Path) -> None:
    """As a user does it: SIGINT in the middle of a conversion; exit code 130."""
    (tmp_path / "net.py").write_text("import time\ndef make():\n    time.sleep(600)\n")
    command = [sys.executable, "-m", "edgekit", "convert", f"{tmp_path}/net.py:make", "-f", "torchscript"]
    command += ["--input", "x=1x3", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    for _ in range(100):
        if list((tmp_path / "out").glob(".edgekit-staging-*")) and _children(process.pid):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    workers = _children(process.pid)
    assert workers
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Stopped" in stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert list((cache_folder() / "logs").glob("*")) == []


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
