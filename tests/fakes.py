"""Runs and artifacts without a device, for tests of what comes after the measurement."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from edgekit.progress import SilentProgress
from edgekit.protocols import Step
from edgekit.run import (
    RUN_VERSION,
    ArtifactFacts,
    CpuState,
    Environment,
    GoldenCheck,
    Repetition,
    Run,
    Schedule,
)

ARTIFACT = ArtifactFacts(
    id="a" * 64, name="net-tflite-fp32", format="tflite", precision="fp32", source="net.py:make",
    model_bytes=100_000, relative_rms=1e-6, accuracy=0.9, source_accuracy=0.9, evaluation_samples=100,
)  # fmt: skip

ENVIRONMENT = Environment(
    machine="aarch64", system="Linux 6.6", libc="glibc 2.36", python="3.11.2", board="Raspberry Pi 4 Model B",
    cpu="Cortex-A72", cpu_features=("asimd",), cores=4, memory_bytes=4_000_000_000, kind="physical",
    packages={"ai-edge-litert": "2.3.0"}, before=CpuState(load1=0.1), after=CpuState(load1=0.9),
)  # fmt: skip


def make_repetition(samples_ns: Sequence[int]) -> Repetition:
    """One process that measured these."""
    return Repetition(
        import_ns=80_000_000, load_ns=1_500_000, first_ns=900_000, warmup_samples=50,
        samples_ns=tuple(samples_ns), peak_rss_bytes=45_000_000, base_rss_bytes=40_000_000,
    )  # fmt: skip


def make_run(
    samples_ns: Sequence[int] = range(1_000_000, 1_000_100),
    *,
    processes: int = 3,
    artifact: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """A run whose processes all measured `samples_ns`; the rest is plausible, but for what is given."""
    run = Run(
        run_version=RUN_VERSION, id="20260131T093000000Z-00000000", created="2026-01-31T09:30:00.000Z",
        edgekit="0.1.0", harness="1.0", device="local:", target="host",
        artifact=msgspec.structs.replace(ARTIFACT, **(artifact or {})),
        schedule=Schedule(repeat=processes), runtime="LiteRT 2.3.0", delegate="XNNPACK", method="invoke()",
        golden=GoldenCheck(passed=True, relative_rms=1e-6, max_error=1e-4, vectors=8),
        repetitions=tuple(make_repetition(samples_ns) for _ in range(processes)),
        environment=msgspec.structs.replace(ENVIRONMENT, **(environment or {})),
    )  # fmt: skip
    return msgspec.structs.replace(run, **changes)


class Recorder(SilentProgress):
    """Progress that keeps the titles of its steps."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        """Keep it."""
        self.titles.append(title)
        with super().step(title, total) as step:
            yield step
