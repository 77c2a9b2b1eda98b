"""What the harness is told of the model that it is compiled with: `edgekit_config.h`."""

import math
from typing import Final

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.model import TensorSpec

HEADER: Final = "model.h"

_CONFIG: Final = """/* Written by edgekit: what the harness must know of the model that it is compiled with. */

#ifndef EDGEKIT_CONFIG_H
#define EDGEKIT_CONFIG_H

/* The artifact that model.c is of; `edgekit bench` refuses another. */
#define EDGEKIT_ARTIFACT_ID "{artifact}"

/* Inputs are kept in RAM of their own, so that many inferences can follow each other: a model may overwrite its inputs.
   0 saves that RAM; inferences after the first then run on what the one before left. */
#define EDGEKIT_KEEP_INPUTS {keep}

/* The most that the inputs can take; model.h may know it better. */
#define EDGEKIT_MOST_INPUT_BYTES {most}u

#endif
"""


def check_format(artifact: Artifact) -> None:
    """Refuse an artifact that is no C.

    Raises:
        UsageError: With the format it must have.
    """
    manifest = artifact.manifest
    names = {entry.name for entry in manifest.files}
    if manifest.format != "c":
        raise UsageError(
            f"{manifest.name} is {manifest.format}; firmware is built of C.",
            hint="Convert with --format c --precision int8.",
        )
    if HEADER not in names:
        raise UsageError(f"{artifact.path} has no {HEADER}.", hint="Make the artifact again with `edgekit convert`.")


def config_header(artifact: Artifact, *, keep_inputs: bool = True) -> str:
    """The text of `edgekit_config.h`."""
    most = sum(_most_bytes(spec) for spec in artifact.manifest.signature.inputs)
    return _CONFIG.format(artifact=artifact.id, keep=int(keep_inputs), most=most)


def _most_bytes(spec: TensorSpec) -> int:
    """What an input takes as the source has it; stored in fewer bits it takes less."""
    return math.prod(int(dim) for dim in spec.shape) * np.dtype(spec.dtype).itemsize
