"""The wheel: what it holds, and that it works with nothing but the base requirements installed."""

import configparser
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = {"edgekit", "edgekit_cli", "edgekit_converters", "edgekit_targets", "edgekit_bridge"}
HOMES = ("toolkit", "converters", "targets", "firmware_bridge")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy],
        check=True,
        capture_output=True,
    )
    return next(out.glob("edgekit_toolkit-*.whl"))


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    """Every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _source_files() -> Iterator[str]:
    """Every module and profile in the checkout, as a wheel would name it."""
    for home in HOMES:
        for pattern in (
            "edgekit*/py.typed",
            *(f"edgekit*/**/*.{kind}" for kind in ("py", "sh", "toml", "j2", "css", "js", "c", "h")),
        ):
            yield from (path.relative_to(ROOT / home).as_posix() for path in (ROOT / home).glob(pattern))
        firmware = (ROOT / home).glob("edgekit*/firmware/c/**/*")
        yield from (path.relative_to(ROOT / home).as_posix() for path in firmware if path.is_file())


def test_every_module_and_profile_is_in_the_wheel(names: set[str]) -> None:
    """A package that setup.cfg forgets would be missing here, and only on users' machines."""
    assert set(_source_files()) - names == set()


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    """No tests, no scripts, no stray files beside the sources and the metadata."""
    extra = {name for name in names - set(_source_files()) if ".dist-info/" not in name}
    assert extra == set()


def test_nothing_generic_lands_in_site_packages(names: set[str]) -> None:
    """Our top-level names are our own: no `converters`, no `tests`."""
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES


def test_every_package_tells_that_it_is_typed(names: set[str]) -> None:
    """Users' type checkers read our annotations (PEP 561)."""
    assert {name.split("/")[0] for name in names if name.endswith("/py.typed")} == PACKAGES


def test_the_licence_is_in_the_wheel(names: set[str]) -> None:
    """Apache-2.0 asks for a copy with every distribution."""
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_every_extra_of_setup_cfg_is_in_the_metadata(wheel: Path) -> None:
    """`pip install 'edgekit-toolkit[all]'` finds what setup.cfg lists."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    extras = {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra: ")}
    assert extras == set(config["options.extras_require"])


def _base_requirements(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The installed distributions that a requirement without extras brings, itself included."""
    dist = distribution(name)
    if dist.name in found:
        return found
    found[dist.name] = dist
    for line in dist.requires or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            _base_requirements(need.name, found)
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment: the wheel, its base requirements, and nothing else.

    The requirements are linked from the environment that runs the tests, so that no index is asked.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", home]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
    site = next(home.glob("lib/python*/site-packages"))
    ours = distribution("edgekit-toolkit").name
    for name, dist in _base_requirements(ours, {}).items():
        if name != ours:
            _link(dist, site)
    return home / "bin"


def _link(dist: Distribution, site: Path) -> None:
    for name in {file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")}:
        target = site / name
        if not target.exists():
            target.symlink_to(Path(str(dist.locate_file(name))))


def _run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, cwd=folder)


def test_the_command_runs_there(installed: Path, tmp_path: Path) -> None:
    """`edgekit --help` needs the base requirements only."""
    done = _run(installed / "edgekit", "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "convert" in done.stdout


def test_every_module_imports_there(installed: Path, tmp_path: Path, names: set[str]) -> None:
    """No module of the public package or the command line needs an extra to be imported."""
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in names
        if name.endswith(".py") and name.startswith(("edgekit/", "edgekit_cli/")) and "__main__" not in name
    )
    done = _run(installed / "python", "-c", f"import {', '.join(modules)}", folder=tmp_path)
    assert done.stderr == ""


def test_doctor_says_there_how_to_get_the_rest(installed: Path, tmp_path: Path) -> None:
    """With no framework installed it names what cannot be done, and the command that mends it."""
    done = _run(installed / "edgekit", "doctor", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install 'ai-edge-litert>=2.1' 'ai-edge-quantizer>=0.10'" in done.stdout
    assert "needs torch" in done.stdout
