"""The house keeps its own rules where no linter looks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]
    if path.is_file() and path.read_bytes().startswith(b"#!")
)
HEAVY_IN_CATALOG = ("torch", "tensorflow", "keras", "ai_edge_litert", "litert_torch", "ai_edge_quantizer")


def _files() -> list[Path]:
    """Every text file that is, or is about to be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.decode().splitlines()]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def _places(pattern: str) -> list[str]:
    """Where a pattern occurs, this file aside."""
    found = []
    for path in _files():
        if path != Path(__file__):
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if re.search(pattern, line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def test_nothing_is_left_to_do() -> None:
    """An open end is an issue, not a comment."""
    assert _places(r"\b(TODO|FIXME|XXX|HACK)\b") == []


def test_no_path_of_a_developers_machine() -> None:
    """What is written down works on every machine."""
    assert _places(r"(?<![\w.])/(work|root|Users)/|/home/(?!user\b|pi\b|me\b)\w") == []


def test_every_package_of_the_tree_is_listed_in_setup_cfg() -> None:
    """Packages are listed by hand: one that is forgotten would be missing from the wheel."""
    listed = set(re.findall(r"^    (edgekit[\w.]*)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE))
    homes = ("toolkit", "converters", "targets", "firmware_bridge")
    there = {
        path.parent.relative_to(ROOT / home).as_posix().replace("/", ".")
        for home in homes
        for path in (ROOT / home).rglob("__init__.py")
    }
    assert there == listed


def test_scripts_are_the_five_that_are_promised() -> None:
    """`setup`, `demo`, `test`, `lint`, `bench`, and CI's `run`."""
    assert [path.name for path in COMMANDS] == ["run", "bench", "demo", "lint", "setup", "test"]


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.name)
def test_a_script_is_executable_and_sound(script: Path) -> None:
    """It can be called by its name, and the shell can read it to its end."""
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).stderr == b""
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("script", [path for path in COMMANDS if path.name != "run"], ids=lambda path: path.name)
def test_a_script_tells_what_it_does(script: Path, tmp_path: Path) -> None:
    """`--help` works from any folder and starts nothing."""
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert f"Usage: scripts/{script.name}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_script_refuses_what_it_does_not_know() -> None:
    """A typing error does not start minutes of work."""
    for name in ("setup", "lint", "bench", "demo"):
        done = subprocess.run([ROOT / "scripts" / name, "--frobnicate"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "--frobnicate" in done.stderr


def test_setup_says_which_python_it_needs(tmp_path: Path) -> None:
    """An old or missing interpreter is named, with the way out."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "setup").write_bytes((ROOT / "scripts" / "setup").read_bytes())
    done = subprocess.run(
        ["bash", scripts / "setup"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": "/bin/false"},
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr


def test_listing_what_exists_imports_no_framework() -> None:
    """Readers, converters, runtimes and transports say what they need; they import it when work starts."""
    code = (
        "import sys; from edgekit import catalog\n"
        "kinds = catalog.readers, catalog.converters, catalog.runtimes, catalog.transports, catalog.flashers\n"
        "for find in kinds: find()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(HEAVY_IN_CATALOG)
