"""An index of wheels that is a folder: pip is the real one, and needs no network."""

import zipfile
from pathlib import Path

import pytest

WORKS = {"ai_edge_litert/__init__.py": "", "ai_edge_litert/interpreter.py": "class Interpreter: pass\n"}
"""What edgekit imports of LiteRT."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, with a numpy in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    add_wheel(folder, "numpy", "2.4.0", {"numpy/__init__.py": ""})
    return folder


def add_wheel(folder: Path, name: str, version: str, files: dict[str, str], *, tag: str = "py3-none-any") -> Path:
    """Write a wheel (PEP 427) with these files."""
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    every = files | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in every.items():
            archive.writestr(place, text)
    return path


def litert(folder: Path, version: str = "2.3.0", files: dict[str, str] | None = None, **options: str) -> Path:
    """Write a wheel of LiteRT."""
    return add_wheel(folder, "ai-edge-litert", version, WORKS if files is None else files, **options)
