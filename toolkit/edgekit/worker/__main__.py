"""The process: one job in, events out.

Standard output and error belong to the frameworks; the host keeps them in a log. Events have a descriptor of their
own.
"""

import faulthandler
import os
import sys
import traceback
from pathlib import Path
from typing import Final

import msgspec

from edgekit import catalog
from edgekit.artifact import load_artifact
from edgekit.errors import ConversionError, EdgekitError, UsageError
from edgekit.jobs import (
    Blamed,
    ConvertJob,
    Event,
    Failed,
    Inspected,
    InspectJob,
    Job,
    LayersJob,
    Placed,
    PlaceJob,
    StepBegan,
    Verified,
    VerifyJob,
)
from edgekit.limits import ran_out_of_memory
from edgekit.worker.blaming import blame
from edgekit.worker.converting import convert
from edgekit.worker.loading import Tell, load
from edgekit.worker.verifying import verify

_KINDS: Final = {"usage": UsageError, "conversion": ConversionError}


def main() -> None:
    """Run one job."""
    faulthandler.enable()  # a crash leaves its traceback in the log
    job_file, descriptor = sys.argv[1:]
    encoder = msgspec.json.Encoder()
    with os.fdopen(int(descriptor), "wb", buffering=0) as events:

        def tell(event: Event) -> None:
            events.write(encoder.encode(event) + b"\n")

        try:
            _run(msgspec.json.decode(Path(job_file).read_bytes(), type=Job), tell)
        except Exception as error:  # noqa: BLE001 - a process boundary: the host raises it again, typed
            tell(_failure(error))


def _run(job: Job, tell: Tell) -> None:
    match job:
        case ConvertJob():
            for place, outcome in enumerate(convert(job, tell)):
                if isinstance(outcome, Exception):
                    tell(msgspec.structs.replace(_failure(outcome), place=place))
                else:
                    tell(outcome)
        case VerifyJob():
            tell(Verified(verify(job, tell)))
        case LayersJob():
            tell(Blamed(blame(job, tell)))
        case PlaceJob():
            artifact = load_artifact(job.artifact)
            tell(StepBegan(f"{artifact.manifest.plan.label}: load and run it"))
            tell(Placed(catalog.placer().place(artifact)))
        case InspectJob():
            source = load(job.source, job.reader, tell)
            tell(
                Inspected(
                    framework=source.framework,
                    signature=source.signature,
                    parameters=source.parameters,
                    operators=dict(source.operators),
                    notes=tuple(source.notes),
                )
            )


def _failure(error: Exception) -> Failed:
    """What the host needs to raise it again; a bug keeps its traceback in the log."""
    if isinstance(error, EdgekitError):
        kind = next((name for name, known in _KINDS.items() if isinstance(error, known)), "conversion")
        return Failed(kind=kind, cause=error.cause, hint=error.hint)
    traceback.print_exception(error)
    if isinstance(error, MemoryError) or ran_out_of_memory(str(error)):
        return Failed(
            kind="conversion", cause="The conversion ran out of memory.", hint="Allow more: --memory-limit 16G."
        )
    first = next(iter(str(error).splitlines()), "")
    cause = f"The conversion failed: {type(error).__name__}: {first[:300]}"
    return Failed(kind="conversion", cause=cause, hint="The log holds the whole story.")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # everything is told and on disk; what frameworks do while they are torn down can only crash
