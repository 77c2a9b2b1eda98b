"""A run as rows of the store, and rows as a run again."""

import zlib
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.run import RUN_VERSION, Run


def run_row(run: Run) -> dict[str, Any]:
    """The row of a run, without its samples."""
    bare = tuple(msgspec.structs.replace(item, samples_ns=()) for item in run.repetitions)
    every = list(chain.from_iterable(run.samples_ns))
    return {
        "id": run.id,
        "created": run.created,
        "artifact": run.artifact.name,
        "artifact_id": run.artifact.id,
        "format": run.artifact.format,
        "precision": run.artifact.precision,
        "device": run.device,
        "target": run.target,
        "kind": run.environment.kind,
        "median_ns": float(np.median(every)),
        "samples": len(every),
        "run": msgspec.json.encode(msgspec.structs.replace(run, repetitions=bare)),
        "mode": run.schedule.mode,
        "pair": run.pair,
        "clock": run.schedule.clock,
    }


def sample_rows(run: Run) -> list[dict[str, Any]]:
    """The rows of a run's samples, one a process."""
    return [
        {"run_id": run.id, "process": index, "samples_ns": _packed(item.samples_ns)}
        for index, item in enumerate(run.repetitions)
    ]


def _packed(samples_ns: Sequence[int]) -> bytes:
    return zlib.compress(np.asarray(samples_ns, "<i8").tobytes())


def decode_run(encoded: bytes) -> Run:
    """Read a run's JSON.

    Raises:
        UsageError: It is none, or was written by a newer edgekit.
    """
    try:
        version = msgspec.json.decode(encoded, type=dict[str, Any]).get("run_version")
        if not isinstance(version, int) or version <= RUN_VERSION:
            return msgspec.json.decode(encoded, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"This is no run: {error}.") from None
    raise UsageError(
        f"The run has version {version}; edgekit {__version__} reads up to {RUN_VERSION}.",
        hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
    )


def join_run(encoded: bytes, packed: Sequence[bytes]) -> Run:
    """A run of its row's JSON and its samples' rows."""
    run = decode_run(encoded)
    repetitions = tuple(
        msgspec.structs.replace(item, samples_ns=tuple(np.frombuffer(zlib.decompress(blob), "<i8").tolist()))
        for item, blob in zip(run.repetitions, packed, strict=True)
    )
    return msgspec.structs.replace(run, repetitions=repetitions)
