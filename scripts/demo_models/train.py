"""Train the demo's model in one framework: `train.py torch|keras FOLDER`; what is there already is kept."""

import hashlib
import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

LEAST_ACCURACY: Final = 0.97
"""Held out; what the network reaches with room to spare (99 %), so that less means a broken training."""

PACKAGES: Final = {
    "torch": ("numpy", "scikit-learn", "torch"),
    "keras": ("numpy", "scikit-learn", "keras", "tensorflow"),
}
"""By framework: the distributions whose version changes the outcome."""


def main(framework: str, folder: str) -> None:
    """Train, or find that the same was done before; print the accuracy.

    Raises:
        SystemExit: The trained model is not good enough to show anything.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    stamp, identity = out / f"{framework}.json", _identity(framework)
    facts = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if facts.get("identity") == identity:
        print(f"{framework}: {facts['accuracy']:.1%} on the held-out digits (trained before)")
        return
    start = time.monotonic()
    accuracy: float = import_module(f"train_{framework}").train(out)
    if accuracy < LEAST_ACCURACY:
        raise SystemExit(f"{framework}: only {accuracy:.1%} on the held-out digits; {LEAST_ACCURACY:.0%} was expected.")
    stamp.write_text(json.dumps({"identity": identity, "accuracy": accuracy}))
    print(f"{framework}: {accuracy:.1%} on the held-out digits (trained in {time.monotonic() - start:.0f} s)")


def _identity(framework: str) -> str:
    """The hash of the training scripts and the packages' versions."""
    digest = hashlib.sha256()
    for script in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(script.read_bytes())
    for package in PACKAGES[framework]:
        digest.update(f"{package}=={version(package)}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
