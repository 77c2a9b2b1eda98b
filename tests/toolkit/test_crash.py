"""Where a worker crashed is read from what faulthandler wrote."""

from pathlib import Path

import pytest

from edgekit.crash import crash_site


def _dump(*threads: str) -> str:
    return "noise of a framework\nFatal Python error: Segmentation fault\n\n" + "\n\n".join(threads) + "\n"


def test_the_innermost_operator_and_the_users_line_are_named(tmp_path: Path) -> None:
    """Frames of edgekit itself say nothing to a user."""
    (tmp_path / "net.py").write_text("a\nb\n    return F.conv2d(x, w)\n")
    text = _dump(
        'Thread 0x00007f (most recent call first):\n  File "/usr/x.py", line 1 in wait',
        "Current thread 0x00007e (most recent call first):\n"
        '  File "/venv/lib/python3.11/site-packages/torch/nn/functional.py", line 9 in conv2d\n'
        f'  File "{tmp_path}/net.py", line 3 in forward\n'
        '  File "/venv/lib/python3.11/site-packages/edgekit_converters/sources/torch_source.py", line 4 in run',
    )
    assert crash_site(text) == "in conv2d (torch/nn/functional.py), called in net.py line 3: return F.conv2d(x, w)"


def test_a_crash_in_a_thread_without_python_tells_what_the_main_thread_waited_for() -> None:
    """As thread pools of runtimes crash."""
    text = _dump(
        "Current thread 0x00007e (most recent call first):\n  <no Python frame>",
        "Thread 0x00007f (most recent call first):\n"
        '  File "/venv/lib/python3.11/site-packages/ai_edge_litert/interpreter.py", line 9 in invoke',
    )
    assert crash_site(text) == "in invoke (ai_edge_litert/interpreter.py)"


@pytest.mark.parametrize(
    "text", ["", "Segmentation fault", _dump(), _dump("Current thread 0x0 (most recent call first):")]
)
def test_a_log_that_does_not_say_is_no_reason_to_guess(text: str) -> None:
    """No traceback, or an empty one."""
    assert crash_site(text) == ""
