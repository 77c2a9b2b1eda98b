"""An accuracy budget on a model that plain int8 costs more than three points: kept, and at which size.

The command is `edgekit convert … --precision fp32 --precision int8 --eval test.npz --max-drop 0.5%`, once for each
format whose layers can be looked at. Judged are the drop that is left, and the size beside fp32's.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alternating import Check, conclude
from demo_files import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from edgekit.layers import short_name
from zoo.catalog import UNEVEN

FORMATS: Final = ("tflite", "onnx")
MOST_POINTS: Final = 0.5
LEAST_PLAIN_POINTS: Final = 3.0
MOST_SHARE: Final = 0.6


def _convert(folder: Path, format_: str) -> Mapping[str, Mapping[str, Any]]:
    """The manifests by precision."""
    program = Path(sys.executable).with_name("edgekit")
    data = ["--calibration", f"{folder / 'samples.npz'}", "--eval", f"{folder / 'test.npz'}"]
    made = subprocess.run(
        [program, "convert", *UNEVEN.words(folder), "--format", format_, "--precision", "fp32", "--precision", "int8",
         *data, "--max-drop", f"{MOST_POINTS}%", "--no-cache", "--json", "--out", folder / "out"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    said = json.loads(made.stdout)
    if len(said.get("artifacts", ())) != 2:
        raise SystemExit(f"budget: {made.stdout}")
    return {item["manifest"]["precision"]: item["manifest"] for item in said["artifacts"]}


def _bytes(manifest: Mapping[str, Any]) -> int:
    return int(next(file["bytes"] for file in manifest["files"] if file["name"] == manifest["model"]))


def _points(accuracy: Mapping[str, float]) -> float:
    return 100 * (accuracy["source"] - accuracy["artifact"])


def _facts(manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    whole, kept = manifests["fp32"], manifests["int8"]
    budget = kept["budget"]
    return {
        "plain_points": round(_points(budget["plain"]), 2),
        "plain_bytes": budget["plain_bytes"],
        "kept_points": round(_points(kept["parity"]["accuracy"]), 2),
        "kept_bytes": _bytes(kept),
        "fp32_bytes": _bytes(whole),
        "share": round(_bytes(kept) / _bytes(whole), 3),
        "tried": budget["tried"],
        "layers_in_float": [
            {"name": layer["name"], "operator": layer["operator"], "added": layer["added"]} for layer in budget["kept"]
        ],
        "operators": len(kept["operators"]),
    }


def _told(format_: str, facts: Mapping[str, Any]) -> str:
    layers = ", ".join(f"{layer['operator']} {short_name(layer['name'])}" for layer in facts["layers_in_float"])
    return (
        f"{format_}: plain int8 loses {facts['plain_points']:.1f} points in {facts['plain_bytes'] / 1e3:.1f} kB; kept "
        f"{facts['kept_points']:.1f} points in {facts['kept_bytes'] / 1e3:.1f} kB of fp32's "
        f"{facts['fp32_bytes'] / 1e3:.1f} kB; in float: {layers}"
    )


def main() -> int:
    """Convert in each format and judge."""
    found = {}
    with tempfile.TemporaryDirectory() as work:
        UNEVEN.write(Path(work))
        for format_ in FORMATS:
            found[format_] = _facts(_convert(Path(work), format_))
    checks = []
    for format_, facts in found.items():
        checks += [
            Check(f"{format_}: points that plain int8 loses", facts["plain_points"], 100.0, LEAST_PLAIN_POINTS),
            Check(f"{format_}: points lost within the budget", max(facts["kept_points"], 0.0), MOST_POINTS),
            Check(f"{format_}: size over fp32's", facts["share"], MOST_SHARE),
        ]
    return conclude("budget", [_told(*item) for item in found.items()], {"formats": found}, checks)


if __name__ == "__main__":
    sys.exit(main())
