"""The demo's trained models, which the benchmarks convert and run."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def demo_files() -> Path:
    """The folder with the trained models; they are trained when they are not there yet."""
    out = ROOT / "demo-out"
    for framework in ("torch", "keras"):
        train: list[str | Path] = [Path(sys.executable), ROOT / "scripts" / "demo_models" / "train.py", framework, out]
        subprocess.run(train, check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    return out
