"""The C source of a model: `model.c` and its interface `model.h`.

The interface is what firmware is written against: `EDGEKIT_MODEL_INTERFACE` is raised when it changes.
"""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Final

import msgspec

from edgekit import __version__
from edgekit_converters.c.graph import Tensor
from edgekit_converters.c.layer import Call, Constant, Layer
from edgekit_converters.c.memory import Memory
from edgekit_converters.c.text import C_TYPES, array, comment, fields, string

INTERFACE: Final = 1
"""1: first."""

_NEEDS: Final = re.compile(r"/\* needs: ([\w ]+) \*/\n")
_MOST: Final = 2**32 - 1


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is written as C.

    Attributes:
        name: What the model calls itself.
        id: The SHA-256 of the TFLite file, hexadecimal.
        layers: The layers that compute something, in order.
        memory: Where tensors lie.
        inputs: The inputs with the names they are known by.
        outputs: The same of the outputs.
    """

    name: str
    id: str
    layers: tuple[Layer, ...]
    memory: Memory
    inputs: tuple[tuple[str, Tensor], ...]
    outputs: tuple[tuple[str, Tensor], ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The text of both files, and the bytes of all constants."""

    code: str
    header: str
    weight_bytes: int


def write_source(program: Program) -> Source:
    """Write both files."""
    writer = _Writer(program)
    layers = [writer.layer(place, layer) for place, layer in enumerate(program.layers)]
    parts = [
        _OPENING.format(version=__version__, name=comment(program.name)[3:-3]),
        "\n".join(_map(program)),
        *(kernel for kernel in _kernels(program.layers)),
        *layers,
        writer.interface(),
    ]
    return Source(
        code="\n\n".join(part.strip() for part in parts) + "\n",
        header=_header(program, writer.weight_bytes),
        weight_bytes=writer.weight_bytes,
    )


class _Writer:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[tuple[str, bytes], str] = {}
        self.weight_bytes = 0

    def layer(self, place: int, layer: Layer) -> str:
        """A layer's constants and its function."""
        node = layer.node
        shapes = [_shape(item) for item in node.inputs if item is not None and item.value is None]
        work = f", {layer.macs} multiply-accumulates" if layer.macs else ""
        title = f"Layer {place}: {node.op} {node.name}, {' and '.join(shapes)} to {_shape(node.outputs[0])}{work}"
        constants: list[str] = []
        body: list[str] = []
        for call in layer.calls:
            lines = self._call(place, call, constants)
            body += lines if len(layer.calls) == 1 else ["{", *(f"    {line}" for line in lines), "}"]
        function = "\n".join([f"static void layer_{place}(void)", "{", *(f"    {line}" for line in body), "}"])
        return "\n\n".join([comment(title), *constants, function])

    def _call(self, place: int, call: Call, constants: list[str]) -> list[str]:
        arguments = [self._argument(place, item, constants) for item in call.arguments]
        given = ", ".join(["&p", *arguments, self._at(call.output)])
        return [f"static const {call.kernel}_params p = {fields(call.fields)};", f"{call.kernel}({given});"]

    def _argument(self, place: int, item: Tensor | Constant | None, constants: list[str]) -> str:
        """A tensor's place in the arena, or the name of a constant; of equal ones there is one."""
        if isinstance(item, Tensor):
            item = Constant.of("constant", item) or item
        if item is None:
            return "NULL"
        if isinstance(item, Tensor):
            return self._at(item, const="const ")
        key = (item.values.dtype.name, item.values.tobytes())
        if key not in self._known:
            name = f"{item.label}_{place}"
            same = sum(known == name or known.startswith(f"{name}_") for known in self._known.values())
            self._known[key] = f"{name}_{same}" if same else name
            constants.append(array(self._known[key], item.values))
            self.weight_bytes += item.values.nbytes
        return self._known[key]

    def _at(self, tensor: Tensor, const: str = "") -> str:
        return f"AT({const}{C_TYPES[tensor.dtype]}, {self._program.memory.offsets[tensor.index]})"

    def interface(self) -> str:
        """What `model.h` declares."""
        program = self._program
        work = [
            f"{{{string(layer.node.name)}, {string(layer.node.op)}, {min(layer.macs, _MOST)}u}}"
            for layer in program.layers
        ]
        names = ", ".join(f"layer_{place}" for place in range(len(program.layers)))
        return _INTERFACE.format(
            name=string(program.name),
            id=string(program.id),
            input_shapes=_shapes("input", program.inputs),
            output_shapes=_shapes("output", program.outputs),
            inputs=_tensors("input", program.inputs),
            outputs=_tensors("output", program.outputs),
            layers=",\n    ".join(work),
            functions=names,
            input_offsets=self._offsets(program.inputs),
            output_offsets=self._offsets(program.outputs),
        )

    def _offsets(self, tensors: Sequence[tuple[str, Tensor]]) -> str:
        return ", ".join(f"{self._program.memory.offsets[tensor.index]}u" for _, tensor in tensors)


def _kernels(layers: Sequence[Layer]) -> Iterator[str]:
    """The kernels that are called, each behind what it needs."""
    folder, done = files("edgekit_converters.c") / "kernels", set[str]()

    def take(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        text = (folder / f"{name}.c").read_text()
        found = _NEEDS.match(text)
        for other in found[1].split() if found else ():
            yield from take(other)
        yield text[found.end() :] if found else text

    for layer in layers:
        for call in layer.calls:
            yield from take(call.kernel)


def _map(program: Program) -> Iterator[str]:
    """The arena as a comment: offset, bytes and name of each tensor."""
    seen = {tensor.index: tensor for _, tensor in program.inputs}
    for layer in program.layers:
        seen |= {tensor.index: tensor for tensor in layer.node.outputs}
    yield f"/* The arena, {program.memory.bytes} bytes; tensors that are never needed at the same time share it."
    for index, tensor in seen.items():
        yield f" * {program.memory.offsets[index]:>8} {tensor.bytes:>8}  {comment(tensor.name)[3:-3]}"
    yield " */"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _shapes(role: str, tensors: Sequence[tuple[str, Tensor]]) -> str:
    lines = (
        f"static const uint32_t {role}_{place}_shape[] = {{{', '.join(map(str, tensor.shape)) or '1'}}};"
        for place, (_, tensor) in enumerate(tensors)
    )
    return "\n".join(lines)


def _tensors(role: str, tensors: Sequence[tuple[str, Tensor]]) -> str:
    lines = []
    for place, (name, tensor) in enumerate(tensors):
        quantized = bool(tensor.scale) and tensor.dtype != "float32"
        values: dict[str, float | int] = {
            "bytes": tensor.bytes,
            "scale": float(tensor.scale[0]) if quantized else 0.0,
            "zero_point": tensor.zero_point[0] if quantized else 0,
        }
        front = f".name = {string(name)}, .dtype = {string(tensor.dtype)}, .rank = {len(tensor.shape)}"
        lines.append(f"{{{front}, .shape = {role}_{place}_shape, {fields(values)[1:-1]}}}")
    return ",\n    ".join(lines)


def _header(program: Program, weight_bytes: int) -> str:
    return _HEADER.format(
        version=__version__,
        interface=INTERFACE,
        inputs=len(program.inputs),
        outputs=len(program.outputs),
        layers=len(program.layers),
        arena=program.memory.bytes,
        weights=weight_bytes,
    )


_OPENING: Final = """
/* {name}: made by edgekit {version}; change the model, not this file.
 *
 * C99 and nothing but the headers below: weights are constants, every tensor lies in one arena of a size that is known
 * here, nothing is allocated. Needs two's complement, arithmetic shifts to the right, and IEEE 754 floats. */
#include "model.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define EDGEKIT_ALIGN(bytes) __attribute__((aligned(bytes)))
#else
#define EDGEKIT_ALIGN(bytes)
#endif

static uint8_t arena[EDGEKIT_ARENA_BYTES] EDGEKIT_ALIGN(16);

#define AT(type, offset) ((type *)(void *)(arena + (offset)))
"""

_INTERFACE: Final = """
const char edgekit_model_name[] = {name};
const char edgekit_model_id[] = {id};

{input_shapes}
const edgekit_tensor edgekit_inputs[EDGEKIT_INPUTS] = {{
    {inputs}
}};

{output_shapes}
const edgekit_tensor edgekit_outputs[EDGEKIT_OUTPUTS] = {{
    {outputs}
}};

const edgekit_layer edgekit_layers[EDGEKIT_LAYERS] = {{
    {layers}
}};

void *edgekit_input(uint32_t index)
{{
    static const uint32_t offsets[EDGEKIT_INPUTS] = {{{input_offsets}}};
    return arena + offsets[index];
}}

const void *edgekit_output(uint32_t index)
{{
    static const uint32_t offsets[EDGEKIT_OUTPUTS] = {{{output_offsets}}};
    return arena + offsets[index];
}}

void edgekit_invoke(void (*after_layer)(uint32_t layer))
{{
    static void (*const layers[EDGEKIT_LAYERS])(void) = {{{functions}}};
    for (uint32_t layer = 0; layer < EDGEKIT_LAYERS; ++layer) {{
        layers[layer]();
        if (after_layer) {{
            after_layer(layer);
        }}
    }}
}}
"""

_HEADER: Final = """\
/* The interface of a model that edgekit {version} compiled to C. */
#ifndef EDGEKIT_MODEL_H
#define EDGEKIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define EDGEKIT_MODEL_INTERFACE {interface}

#define EDGEKIT_INPUTS {inputs}
#define EDGEKIT_OUTPUTS {outputs}
#define EDGEKIT_LAYERS {layers}
#define EDGEKIT_ARENA_BYTES {arena}
#define EDGEKIT_WEIGHT_BYTES {weights}

typedef struct {{
    const char *name;  /* the source's name */
    const char *dtype; /* "int8", "float32", ... as NumPy calls it */
    uint32_t rank;
    const uint32_t *shape;
    uint32_t bytes;
    float scale; /* real = (stored - zero_point) * scale; 0: not quantized */
    int32_t zero_point;
}} edgekit_tensor;

typedef struct {{
    const char *name;
    const char *op;
    uint32_t macs; /* multiply-accumulates of one inference */
}} edgekit_layer;

extern const char edgekit_model_name[];
extern const char edgekit_model_id[]; /* SHA-256 of the TFLite file that it was made of, hexadecimal */
extern const edgekit_tensor edgekit_inputs[EDGEKIT_INPUTS];
extern const edgekit_tensor edgekit_outputs[EDGEKIT_OUTPUTS];
extern const edgekit_layer edgekit_layers[EDGEKIT_LAYERS];

/* Where input `index` goes, 16-byte aligned. Inference writes over it: write every input before each. */
void *edgekit_input(uint32_t index);

/* Where output `index` is after edgekit_invoke, until the next input is written. */
const void *edgekit_output(uint32_t index);

/* Run once. `after_layer` may be NULL; it is called after each layer with the layer's number. */
void edgekit_invoke(void (*after_layer)(uint32_t layer));

#ifdef __cplusplus
}}
#endif

#endif
"""
