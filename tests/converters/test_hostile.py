"""Files that want to run code or to take the machine down are refused, and nothing of them is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.hostile import CANARY, CASES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused(name: str, tmp_path: Path) -> None:
    """With exit code 2 or 3 and a cause; its code did not run, and no folder holds more than before."""
    home, scratch, out, cache = (tmp_path / part for part in ("home", "scratch", "out", "cache"))
    for folder in (home, scratch, out):
        folder.mkdir()
    words = CASES[name](home)
    before = sorted(home.rglob("*"))
    program = Path(sys.executable).with_name("edgekit")
    done = subprocess.run(
        [program, "convert", *words, "-o", out],
        cwd=home, env={**os.environ, "TMPDIR": str(scratch), "EDGEKIT_CACHE": str(cache)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in {2, 3}, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "next: " in done.stdout + done.stderr
    assert not list(tmp_path.rglob(CANARY))
    assert sorted(home.rglob("*")) == before
    assert not list(scratch.iterdir())
    assert not list(out.iterdir())
    assert {file.suffix for file in cache.rglob("*") if file.is_file()} <= {".log"}
