"""The harness' median over that of a bare loop on the same runtime's API, in turns; litert-benchmark beside them.

One round is one fresh process of each for every model. The ratio that is judged is that of the two lower quartiles over
the rounds: where a process' memory lies can cost a third of its speed on a shared machine, by chance, and such chance
only ever adds; the medians are told beside it. `litert-benchmark` (it comes with the LiteRT wheel) goes through another
API of the runtime and rounds to 0.01 ms: it is told, not judged.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from alternating import Check, conclude

import edgekit
from edgekit.artifact import Artifact
from edgekit.conversion import convert_all
from edgekit.planning import Request
from edgekit.report import figures
from edgekit.source import open_source, parse_input
from edgekit.store import open_store

ROUNDS: Final = 21
SECONDS: Final = 0.5
LEAST: Final = 0.98
MOST: Final = 1.02
DIRECT: Final = Path(__file__).parent / "direct"


def camera_artifacts(work: Path) -> Sequence[Artifact]:
    """A small convolutional network of 0.1 ms and more, in each format."""
    source = open_source(f"{DIRECT / 'camera_net.py'}:make_net", inputs=(parse_input("image=1x3x96x96:float32"),))
    made = convert_all(
        Request(source=source, formats=("tflite", "torchscript"), precisions=("fp32",), out=work, use_cache=False)
    )
    return [item.artifact for item in made.made]


def _harness_ns(artifact: Artifact, work: Path) -> float:
    schedule = edgekit.Schedule(repeat=1, min_time_s=SECONDS)
    run = edgekit.benchmark(artifact, schedule=schedule, store=open_store(str(work / "runs.sqlite")))
    return figures(run).summary.median_ns


def _bare_ns(artifact: Artifact) -> float:
    loop: list[str | Path] = [sys.executable, DIRECT / "bare_loop.py", artifact.model, artifact.golden, str(SECONDS)]
    return float(subprocess.run(loop, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def _litert_benchmark_ns(artifact: Artifact, work: Path) -> float:
    program, result = Path(sys.executable).with_name("litert-benchmark"), work / "litert.json"
    runs = ("--num_runs", "5000", "--warmup_runs", "1000", "--num_threads", "1")
    words: list[str | Path] = [program, "--model", artifact.model, *runs, "--result_json", result]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return 1e6 * float(json.loads(result.read_text())["latency"]["median_ms"])


def _lower_quartile(values: Iterable[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


def _measure(artifact: Artifact, work: Path) -> dict[str, float]:
    """Medians over the rounds, nanoseconds, and the ratio of their lower quartiles."""
    rounds = []
    for place in range(ROUNDS):
        if place % 2:
            bare, harness = _bare_ns(artifact), _harness_ns(artifact, work)
        else:
            harness, bare = _harness_ns(artifact, work), _bare_ns(artifact)
        rounds.append((harness, bare))
    facts = {
        "harness_ns": statistics.median(harness for harness, _ in rounds),
        "bare_ns": statistics.median(bare for _, bare in rounds),
        "ratio": _lower_quartile(harness for harness, _ in rounds) / _lower_quartile(bare for _, bare in rounds),
    }
    if artifact.manifest.format == "tflite":
        facts["litert_benchmark_ns"] = _litert_benchmark_ns(artifact, work)
    return facts


def _told(name: str, facts: dict[str, float]) -> str:
    beside = f", litert-benchmark {facts['litert_benchmark_ns'] / 1e6:.2f} ms" if "litert_benchmark_ns" in facts else ""
    return f"{name}: harness {facts['harness_ns'] / 1e6:.4f} ms, bare loop {facts['bare_ns'] / 1e6:.4f} ms{beside}"


def main() -> int:
    """Convert a model of 0.1 ms and more, measure it both ways and judge the ratios."""
    lines, told, checks = [], {}, []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for artifact in camera_artifacts(work):
            name = artifact.manifest.plan.label
            facts = _measure(artifact, work)
            told[name] = facts
            lines.append(_told(name, facts))
            checks.append(Check(f"{name}: harness over bare loop", facts["ratio"], MOST, LEAST))
    return conclude("harness", lines, {"medians": told, "rounds": ROUNDS}, checks)


if __name__ == "__main__":
    sys.exit(main())
