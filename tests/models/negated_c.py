"""A model in C, written by hand to the interface that format `c` has: it negates, and spoils its input on the way."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np

from edgekit.artifact import Artifact, file_entry, load_artifact, write_manifest
from edgekit.model import Quantization, Signature, TensorSpec
from models.linear import manifest

SCALE = 0.5
ZERO_POINT = 3

HEADER = """/* A model of two layers: y = -x in 8 bits. */
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>
#define EDGEKIT_MODEL_INTERFACE 1
#define EDGEKIT_INPUTS 1
#define EDGEKIT_OUTPUTS 1
#define EDGEKIT_LAYERS 2
#define EDGEKIT_ARENA_BYTES {arena}u
#define EDGEKIT_WEIGHT_BYTES 0u
typedef struct {{
    const char *name;
    const char *dtype;
    uint32_t rank;
    const uint32_t *shape;
    uint32_t bytes;
    float scale;
    int32_t zero_point;
}} edgekit_tensor;
typedef struct {{
    const char *name;
    const char *op;
    uint32_t macs;
}} edgekit_layer;
extern const char edgekit_model_name[], edgekit_model_id[];
extern const edgekit_tensor edgekit_inputs[EDGEKIT_INPUTS], edgekit_outputs[EDGEKIT_OUTPUTS];
extern const edgekit_layer edgekit_layers[EDGEKIT_LAYERS];
void *edgekit_input(uint32_t index);
const void *edgekit_output(uint32_t index);
void edgekit_invoke(void (*after_layer)(uint32_t layer));
#endif
"""

SOURCE = """#include "model.h"
#include <string.h>
#define WIDTH {width}
const char edgekit_model_name[] = "negated";
const char edgekit_model_id[] = "{id}";
static const uint32_t shape[2] = {{1, WIDTH}};
const edgekit_tensor edgekit_inputs[1] = {{{{"x", "int8", 2, shape, WIDTH, 0.5f, 3}}}};
const edgekit_tensor edgekit_outputs[1] = {{{{"y", "int8", 2, shape, WIDTH, 0.5f, 3}}}};
const edgekit_layer edgekit_layers[2] = {{{{"negate", "NEG", WIDTH}}, {{"wipe", "FILL", 0}}}};
static int8_t arena[{arena}] __attribute__((aligned(16)));
void *edgekit_input(uint32_t index) {{ (void)index; return arena; }}
const void *edgekit_output(uint32_t index) {{ (void)index; return arena + {half}; }}
void edgekit_invoke(void (*after_layer)(uint32_t layer)) {{
    for (int i = 0; i < WIDTH; ++i) {{
        int value = 6 - arena[i];
        arena[{half} + i] = (int8_t)(value > 127 ? 127 : value);
    }}
    if (after_layer) after_layer(0);
    memset(arena, 0x55, WIDTH);
    if (after_layer) after_layer(1);
}}
"""


def negated_artifact(folder: Path, width: int = 4) -> Artifact:
    """An artifact of the model with `width` inputs and outputs; real x and y are 1 x width."""
    folder.mkdir(parents=True)
    half = (width + 15) // 16 * 16
    identity = hashlib.sha256(f"negated {width}".encode()).hexdigest()
    values = {"arena": 2 * half, "half": half, "width": width, "id": identity}
    (folder / "model.c").write_text(SOURCE.format(**values))
    (folder / "model.h").write_text(HEADER.format(**values))
    rng = np.random.default_rng(width)
    inputs = (rng.integers(-100, 100, (4, 1, width)) * SCALE).astype(np.float32)
    np.savez(folder / "golden.npz", **{"in:x": inputs, "out:y": -inputs})  # type: ignore[arg-type]  # names hold a colon
    found = manifest(folder, "model.c", "")
    specs = [TensorSpec(name=name, shape=(1, width), dtype="float32") for name in "xy"]
    entries = tuple(file_entry(folder / name) for name in ("model.c", "model.h", "golden.npz"))
    found = msgspec.structs.replace(
        found,
        name="negated-c-int8",
        format="c",
        precision="int8",
        files=entries,
        signature=Signature(inputs=(specs[0],), outputs=(specs[1],)),
    )
    write_manifest(folder, found)
    return load_artifact(folder)


def with_quantization(artifact: Artifact) -> Artifact:
    """The artifact, saying that its input is int8 at half steps from 3."""
    spec = artifact.manifest.signature.inputs[0]
    quantized = msgspec.structs.replace(spec, quantization=Quantization(scale=(0.5,), zero_point=(3,)))
    signature = msgspec.structs.replace(artifact.manifest.signature, inputs=(quantized,))
    return msgspec.structs.replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, signature=signature))


def copy_artifact(artifact: Artifact, folder: Path) -> Path:
    """The same in another place."""
    return Path(shutil.copytree(artifact.path, folder))
