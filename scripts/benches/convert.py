"""What `edgekit convert` costs beside a script that calls the same library, both cold, in turns.

The script (`direct/`) loads the model, converts and saves. edgekit does that in a worker process, and beyond it checks
the request, runs source and artifact on golden vectors and writes the manifest. Then the same request is made again.

Memory is that of the process that converts, at its peak, beside the script's; edgekit's own process waits beside it,
and what that holds is told.

The bar is against the script as a user runs it, its exit included. Frameworks take long to shut down (0.5 to 1.4 s),
and edgekit's worker does not wait for that: it hides work that edgekit adds, and can bring the ratio under 1. So the
script is timed without its shutdown too, and that ratio is told beside the one that is judged.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alternating import Check, Command, command, conclude, medians_s, peak_bytes
from demo_files import demo_files

ROUNDS: Final = 5
BAR_RATIO: Final = 1.15
BAR_CACHED_S: Final = 0.3
BAR_MEMORY: Final = 1.1


@dataclass(frozen=True)
class Case:
    """A conversion: what it is called, the direct script with its input, and edgekit's arguments."""

    name: str
    script: str
    source: str
    arguments: tuple[str, ...]


WITHOUT_SHUTDOWN: Final = """
import os, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
os._exit(0)
"""

TORCH: Final = ("digits_net.py:make_net", "--weights", "digits_torch.pt", "--input", "image=1x1x8x8:float32")
CASES: Final = (
    Case("PyTorch to TFLite", "torch_to_tflite.py", "digits_torch.pt", (*TORCH, "--format", "tflite")),
    Case("PyTorch to TorchScript", "torch_to_torchscript.py", "digits_torch.pt", (*TORCH, "--format", "torchscript")),
    Case("Keras to TFLite", "keras_to_tflite.py", "digits.keras", ("digits.keras", "--format", "tflite")),
)


def _direct(case: Case, models: Path, work: Path, *, shutdown: bool) -> Command:
    script = Path(__file__).parent / "direct" / case.script
    start = () if shutdown else ("-c", WITHOUT_SHUTDOWN)
    words = (sys.executable, *start, script, models / case.source, work / "direct.out")
    return command(*words, PYTHONPATH=models, TF_CPP_MIN_LOG_LEVEL="3")


def _edgekit(case: Case, models: Path, work: Path, *, cold: bool) -> Command:
    words = [models / word if (models / word.partition(":")[0]).exists() else word for word in case.arguments]
    program = Path(sys.executable).with_name("edgekit")
    fresh = [work / "out", *([work / "cache"] if cold else [])]
    return command(program, "convert", *words, "-o", work / "out", fresh=fresh, EDGEKIT_CACHE=work / "cache")


def _measure(case: Case, models: Path) -> dict[str, float]:
    """Medians in seconds: the direct script, the same without its shutdown, edgekit cold, edgekit asked again."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        programs = {
            "direct": _direct(case, models, work, shutdown=True),
            "without_shutdown": _direct(case, models, work, shutdown=False),
            "edgekit": _edgekit(case, models, work, cold=True),
        }
        medians_s(programs, 1)  # fills the file cache and writes byte code
        taken = medians_s(programs, ROUNDS)
        return taken | medians_s({"again": _edgekit(case, models, work, cold=False)}, ROUNDS)


def _peaks(case: Case, models: Path) -> dict[str, int]:
    """Peak memory in bytes: of the direct script, of edgekit's worker, and of edgekit's own process."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        return {
            "direct": peak_bytes(_direct(case, models, work, shutdown=True)),
            "edgekit": peak_bytes(_edgekit(case, models, work, cold=True)),
            "beside": peak_bytes(_edgekit(case, models, work, cold=False)),
        }


def _told(case: Case, taken: dict[str, float], peaks: dict[str, int]) -> str:
    bare = taken["edgekit"] / taken["without_shutdown"]
    return (
        f"{case.name}: direct {taken['direct']:.2f} s, edgekit {taken['edgekit']:.2f} s; "
        f"direct without its shutdown {taken['without_shutdown']:.2f} s ({bare:.2f}); peak memory "
        f"{peaks['direct'] / 1e6:.0f} MB and {peaks['edgekit'] / 1e6:.0f} MB, beside it {peaks['beside'] / 1e6:.0f} MB"
    )


def main() -> int:
    """Measure every case and judge ratios and repetitions."""
    models = demo_files()
    lines, checks = [], []
    facts: dict[str, dict[str, float]] = {}
    memory: dict[str, dict[str, int]] = {}
    for case in CASES:
        taken, peaks = _measure(case, models), _peaks(case, models)
        facts[case.name] = {name: round(value, 3) for name, value in taken.items()}
        memory[case.name] = peaks
        lines.append(_told(case, taken, peaks))
        checks.append(Check(f"{case.name}: edgekit over direct", taken["edgekit"] / taken["direct"], BAR_RATIO))
        checks.append(Check(f"{case.name}: peak memory over direct", peaks["edgekit"] / peaks["direct"], BAR_MEMORY))
        checks.append(Check(f"{case.name}: the same again", taken["again"], BAR_CACHED_S, unit="s"))
    return conclude("convert", lines, {"median_s": facts, "peak_bytes": memory, "rounds": ROUNDS}, checks)


if __name__ == "__main__":
    sys.exit(main())
