"""What each runtime is made of: the distributions that inference imports, and how to see that they work."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from edgekit.errors import UsageError
from edgekit.suggest import did_you_mean


class RuntimeNeed(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime that can be installed on a device.

    Attributes:
        name: What users call it, and its folder there.
        format: What it executes.
        package: The distribution that brings it.
        beside: What it imports beside that, with the versions that go together. Found by running inference with
            nothing else there; what a distribution asks for beyond that is left out.
        statement: What the harness imports of it.
    """

    name: str
    format: str
    package: str
    beside: tuple[str, ...]
    statement: str


RUNTIMES: Final[Mapping[str, RuntimeNeed]] = {
    need.name: need
    for need in (
        RuntimeNeed(
            name="litert",
            format="tflite",
            package="ai-edge-litert",
            beside=("numpy",),  # left out: flatbuffers, protobuf, tqdm, backports.strenum (its tools need them)
            statement="from ai_edge_litert.interpreter import Interpreter",
        ),
        RuntimeNeed(
            name="tflite-runtime",
            format="tflite",
            package="tflite-runtime",
            beside=("numpy<2",),  # built against NumPy 1: it does not load beside NumPy 2
            statement="from tflite_runtime.interpreter import Interpreter",
        ),
        RuntimeNeed(
            name="onnxruntime",
            format="onnx",
            package="onnxruntime",
            beside=("numpy",),  # left out: flatbuffers, protobuf, sympy, packaging (its tools need them)
            statement="from onnxruntime import InferenceSession",
        ),
        RuntimeNeed(
            name="torch",
            format="torchscript",
            package="torch",
            beside=("numpy<2", "typing_extensions"),  # left out: sympy, networkx, jinja2, fsspec (its compiler's)
            statement="import torch.jit.mobile; torch.from_numpy",
        ),
        RuntimeNeed(
            name="executorch",
            format="executorch",
            package="executorch",
            beside=("numpy", "torch", "typing_extensions"),  # left out: what exports (its exir, with pyyaml, pandas, …)
            statement="import torch, executorch.extension.pybindings._C",
        ),
    )
}


def runtimes_for(format_: str) -> Sequence[RuntimeNeed]:
    """What can execute a format, best first."""
    executed = "onnx" if format_ == "ort" else format_  # one runtime, two file formats
    return [need for need in RUNTIMES.values() if need.format == executed]


def need_of(name: str) -> RuntimeNeed:
    """The runtime of this name, or of this distribution.

    Raises:
        UsageError: There is none.
    """
    by_package = {need.package: need for need in RUNTIMES.values()}
    found = RUNTIMES.get(name) or by_package.get(name)
    if found is None:
        raise UsageError(f"There is no runtime {name!r}.", hint=did_you_mean(name, RUNTIMES, "runtimes"))
    return found
