"""The harness: runs on the device as `python3 on_device.py JOB.json`, or with `-` and the job on standard input.

One file, Python 3.6 syntax, the standard library and what the runtime itself brings (NumPy), because this is what
an old Jetson has. It reads one job, writes events as JSON lines on standard output (`hello`, `phase`, `progress`)
and ends with one `result` or `error`. Whatever a framework prints goes to standard error.

A job is an object with `job_version` and `mode`:

- `measure`: one repetition. One process is one repetition, so import, load and first inference are cold each time
  (the system's page cache is not: the golden check has read the files before).
- `pair`: one repetition of two models that take turns, so that what the machine does meanwhile meets both alike.
- `operators`: where the time goes, operator by operator, as far as the runtime says. Slower than `measure`.
- `golden`: run the golden vectors. A process of its own, so that it warms nothing up for `measure`.
- `probe`: describe the machine; imports nothing.
- `program`: run a program that measures by itself (trtexec), under the same settings.

The host imports the same file for its parity checks: `open_model` is what runs a model in both places.
"""

import array
import gc
import glob
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import repeat
from typing import Any, Callable, ClassVar, ContextManager, Dict, Iterator, List, Optional, Sequence, Set, Tuple

HARNESS_VERSION = "1.2"
"""1.0: first; 1.1: burst, sustained and cold modes, pairs, operators; 1.2: runtimes of our own, ONNX, governors, power,
counted instructions. The host refuses another one."""

JOB_VERSION = 1
"""1: first. Raised when a job of the old form would be misread."""

STEADY_TOLERANCE = 0.02
"""Warm-up ends when the medians of two windows in a row are this close, relative."""

WARMUP_LIMIT = 10
"""Warm-up ends at this many times `warmup_s`, steady or not; the result says which."""

WINDOW_SAMPLES = 5
"""Least inferences in a warm-up window: a median of fewer is moved by one interrupt."""

HEARTBEAT_S = 1.0
"""How often a long measurement says that it is alive. Rare, since the listener may share our CPU."""

COUNTING_CLOCK = "edgekit.clock=instructions"
"""A word of the kernel's command line: the board is emulated, and its clock goes on by 1 ns for each instruction."""

TURN_S = 0.02
"""How long one of a pair runs before the other: shorter than what drifts (clocks, load), longer than caches take."""

TRACE_POINTS = 300
"""Most points of a sustained run's curve of temperature and clock."""

OVERHEAD_CALLS = 2000
"""Calls of nothing that the harness times to tell what it costs itself."""

MEDIAN_SAMPLES = 2000
"""Most samples of a window that its median is taken of, evenly spread: sorting more would show in the peak memory."""

ROOT = "/"
"""Where the device's /proc and /sys begin."""

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Another one after each start of the device (random(4))."""

Ticks = Any
"""An array of times in ticks of `clock` (typing knows array.array only since Python 3.9)."""

Spec = Dict[str, Any]
"""One tensor: name, shape, dtype, binding, quantization, as the artifact's manifest has them."""

if hasattr(time, "perf_counter_ns"):
    clock: Callable[[], float] = time.perf_counter_ns
    TICKS_PER_S, TICK_CODE = 1e9, "q"
else:  # Python 3.6
    clock = time.perf_counter
    TICKS_PER_S, TICK_CODE = 1.0, "d"


class HarnessError(Exception):
    """What the host is told instead of a traceback; `kind` is for programs, the message for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def first_line(error: BaseException) -> str:
    """The first line of a framework's message, bounded."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


# --- Timing -----------------------------------------------------------------------------------------------------


def nanoseconds(ticks: float) -> int:
    """Ticks of `clock` in nanoseconds."""
    return round(ticks * (1e9 / TICKS_PER_S))


def timed_loop(
    call: Callable[[], Any],
    *,
    least_s: float,
    least: int,
    most: int,
    limit_s: float = math.inf,
    beat: Optional[Callable[[float, int], None]] = None,
) -> Ticks:
    """Time `call` again and again, every call alone; the ticks of each.

    Args:
        call: What is timed; nothing else happens between the two readings of the clock.
        least_s: Go on for this long,
        least: and for this many calls;
        most: but for no more calls than this,
        limit_s: and no longer than this, however few they were.
        beat: Told the seconds and calls so far, about every `HEARTBEAT_S`.
    """
    samples: Ticks = array.array(TICK_CODE)  # a list of objects would show in the peak memory of a small model
    keep = samples.append
    start = clock()
    enough = start + least_s * TICKS_PER_S
    limit = start + limit_s * TICKS_PER_S
    pulse = start + HEARTBEAT_S * TICKS_PER_S
    look = min(enough, limit, pulse)
    for _ in repeat(None, most):
        begin = clock()
        call()
        end = clock()
        keep(end - begin)
        if end >= look:
            if (end >= enough and len(samples) >= least) or end >= limit:
                break
            if end >= pulse:
                if beat:
                    beat((end - start) / TICKS_PER_S, len(samples))
                pulse = clock() + HEARTBEAT_S * TICKS_PER_S
            look = min(max(enough, end), limit, pulse)
    return samples


def paced_loop(
    call: Callable[[], Any],
    *,
    period_s: float,
    least_s: float,
    least: int,
    most: int,
    beat: Optional[Callable[[float, int], None]] = None,
) -> Tuple[Ticks, int]:
    """Time `call` once in every period, as a camera would ask for it; the ticks, and how many periods were missed.

    Between calls the process sleeps, so that clocks may fall and caches be taken: that is what the mode is for.
    """
    samples: Ticks = array.array(TICK_CODE)
    period = period_s * TICKS_PER_S
    start = due = clock()
    missed = 0
    while len(samples) < most and (clock() - start < least_s * TICKS_PER_S or len(samples) < least):
        wait = (due - clock()) / TICKS_PER_S
        if wait > 0:
            time.sleep(wait)
        begin = clock()
        call()
        end = clock()
        samples.append(end - begin)
        if beat:
            beat((end - start) / TICKS_PER_S, len(samples))
        late = max(0, math.ceil((end - due) / period) - 1)
        missed += late
        due += (late + 1) * period
    return samples, missed


def overhead_ns() -> int:
    """What one timed inference costs beside itself: a call of nothing, two readings of the clock, the bookkeeping."""
    begin = clock()
    timed_loop(NoContext().__enter__, least_s=math.inf, least=OVERHEAD_CALLS, most=OVERHEAD_CALLS)
    return nanoseconds((clock() - begin) / OVERHEAD_CALLS)


def slowed(call: Callable[[], Any], share: float) -> Callable[[], Any]:
    """`call`, and busy waiting for this share of its time: proves that a comparison finds what it ought to find."""

    def slower() -> None:
        begin = clock()
        call()
        now = clock()
        until = now + (now - begin) * share
        while now < until:
            now = clock()

    return slower


def median(ticks: Ticks) -> float:
    """The lower median; `statistics` would cost an import."""
    values = sorted(ticks[:: len(ticks) // MEDIAN_SAMPLES + 1])
    return float(values[(len(values) - 1) // 2])


def warm_up(call: Callable[[], Any], warmup_s: float) -> Tuple[int, bool]:
    """Run until steady; how many inferences that took, and whether it got there.

    Windows of half of `warmup_s` (and `WINDOW_SAMPLES` inferences) follow each other until two in a row have medians
    within `STEADY_TOLERANCE`: so it lasts `warmup_s` at least, and `WARMUP_LIMIT` times that at most.
    """
    if warmup_s <= 0:
        return 0, False
    limit = clock() + WARMUP_LIMIT * warmup_s * TICKS_PER_S
    count, before = 0, math.inf
    while True:
        left_s = max(0.0, (limit - clock()) / TICKS_PER_S)
        window = timed_loop(call, least_s=warmup_s / 2, least=WINDOW_SAMPLES, most=1000000, limit_s=left_s)
        count += len(window)
        now = median(window)
        if abs(now - before) <= STEADY_TOLERANCE * before < math.inf:
            return count, True
        if clock() >= limit:
            return count, False
        before = now


# --- Memory -----------------------------------------------------------------------------------------------------


def status_bytes(key: str) -> Optional[int]:
    """A figure of /proc/self/status (proc(5)), such as VmHWM or VmRSS."""
    for line in (read_text("/proc/self/status") or "").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def peak_rss() -> int:
    """Peak resident memory: VmHWM, since getrusage's maximum is inherited from the process that started us."""
    peak = status_bytes("VmHWM")
    if peak is not None:
        return peak
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_baseline() -> Tuple[int, bool]:
    """Resident memory now, with the peak set back to it where the kernel lets us (proc(5), clear_refs 5)."""
    try:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    except OSError:
        return peak_rss(), False
    now = status_bytes("VmRSS")
    return (peak_rss(), False) if now is None else (now, True)


# --- Models -----------------------------------------------------------------------------------------------------


class NoContext:
    """Enters nothing (contextlib.nullcontext is Python 3.7)."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def need_numpy() -> None:
    """Import NumPy, which every runtime here hands its tensors over in."""
    try:
        import numpy as np  # noqa: F401 - part of what a program that uses the runtime imports
    except ImportError as error:
        raise HarnessError("no-runtime", "NumPy cannot be imported: " + first_line(error)) from error


def tflite_interpreter() -> Any:
    """LiteRT's interpreter class, else that of its predecessor."""
    need_numpy()
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            module = __import__(name, fromlist=["Interpreter"])
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == name.split(".", maxsplit=1)[0]:
                continue
            raise HarnessError("no-runtime", "The runtime is installed but lacks {}.".format(error.name)) from error
        except ImportError as error:
            raise HarnessError("no-runtime", "The runtime cannot be imported: " + first_line(error)) from error
        return module.Interpreter
    raise HarnessError("no-runtime", "Neither ai_edge_litert nor tflite_runtime is installed.")


def torch_module() -> Any:
    """PyTorch with the lite interpreter."""
    need_numpy()
    try:
        import torch
        import torch.jit.mobile
    except ModuleNotFoundError as error:
        missing = "torch is not installed." if error.name == "torch" else "torch lacks {}.".format(error.name)
        raise HarnessError("no-runtime", missing) from error
    except ImportError as error:
        raise HarnessError("no-runtime", "torch cannot be imported: " + first_line(error)) from error
    return torch


def onnxruntime_module() -> Any:
    """ONNX Runtime, told to write errors only."""
    need_numpy()
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        missing = error.name or ""
        told = "is not installed" if missing == "onnxruntime" else "lacks {}".format(missing)
        raise HarnessError("no-runtime", "onnxruntime {}.".format(told)) from error
    except ImportError as error:
        raise HarnessError("no-runtime", "onnxruntime cannot be imported: " + first_line(error)) from error
    onnxruntime.set_default_logger_severity(ONNX_ERRORS)
    return onnxruntime


def c_compiler() -> str:
    """The C compiler of this machine."""
    need_numpy()
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise HarnessError(
        "no-compiler", "There is no C compiler: no cc, gcc or clang is found. Install one (apt-get install gcc)."
    )


def executorch_modules() -> Tuple[Any, Any]:
    """PyTorch, whose tensors go in, and ExecuTorch's library alone: its package would import its exporter too."""
    need_numpy()
    try:
        import torch

        library = __import__("executorch.extension.pybindings._C", fromlist=["_load_program"])
        __import__("executorch.kernels.quantized")  # registers kernels for what XNNPACK leaves of a quantized graph
    except ModuleNotFoundError as error:
        missing = error.name or ""
        told = "is not installed" if missing.split(".")[0] == "executorch" else "lacks {}".format(missing)
        raise HarnessError("no-runtime", "executorch {}.".format(told)) from error
    except ImportError as error:
        raise HarnessError("no-runtime", "executorch cannot be imported: " + first_line(error)) from error
    return torch, library


def tensorflow_module() -> Any:
    """TensorFlow, told to write errors only."""
    need_numpy()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        missing = error.name or ""
        told = "is not installed" if missing == "tensorflow" else "lacks {}".format(missing)
        raise HarnessError("no-runtime", "tensorflow {}.".format(told)) from error
    except ImportError as error:
        raise HarnessError("no-runtime", "tensorflow cannot be imported: " + first_line(error)) from error
    return tf


ONNX_ERRORS = 3
"""ONNX Runtime's severity of errors (onnxruntime_c_api.h, OrtLoggingLevel)."""


def is_integer(dtype: Any) -> bool:
    """Whether a NumPy dtype holds integers."""
    import numpy as np

    return bool(np.dtype(dtype).kind in "iu")


def as_type(value: Any, dtype: Any, name: str) -> Any:
    """The array in another element type; refuses integers that would not survive."""
    import numpy as np

    cast = value.astype(dtype)
    if is_integer(value.dtype) and is_integer(dtype) and not np.array_equal(cast, value):
        raise HarnessError("bad-input", "Input {!r} has values that {} cannot hold.".format(name, np.dtype(dtype)))
    return cast


class Affine:
    """Affine quantization (TFLite 8-bit specification): real = (stored - zero_point) * scale, per tensor or channel."""

    def __init__(self, scale: Any, zero_point: Any, axis: int, rank: int) -> None:
        import numpy as np

        shape = [1] * rank
        if rank and len(scale) > 1:
            shape[axis] = len(scale)
        self._scale = np.asarray(scale, np.float32).reshape(shape if len(scale) > 1 else ())
        self._zero = np.asarray(zero_point, np.int32).reshape(shape if len(zero_point) > 1 else ())

    def store(self, real: Any, dtype: Any) -> Any:
        """Quantize: nearest, ties to even, clamped to the type's range."""
        import numpy as np

        bounds = np.iinfo(dtype)
        stored = np.rint(real / self._scale) + self._zero
        return np.clip(stored, bounds.min, bounds.max).astype(dtype)

    def load(self, stored: Any) -> Any:
        """Dequantize to float32."""
        import numpy as np

        return ((stored.astype(np.int32) - self._zero) * self._scale).astype(np.float32)


def resolver(interpreter: Any, delegate: str) -> Dict[str, Any]:
    """The interpreter's argument that leaves XNNPACK out; none for its default."""
    if delegate == "default":
        return {}
    if delegate != "none":
        raise HarnessError("delegate", "LiteRT's Python interpreter has no delegate {}.".format(delegate))
    kinds = sys.modules[interpreter.__module__].OpResolverType
    return {"experimental_op_resolver_type": kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


class TfliteModel:
    """A .tflite file in LiteRT or tflite-runtime. A sample is `Interpreter.invoke` alone."""

    method = "wall time of Interpreter.invoke alone: inputs are set before, outputs are not read"
    options: ClassVar[Dict[str, Any]] = {}

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        del engine  # TorchScript's
        interpreter = tflite_interpreter()
        try:
            more = dict(resolver(interpreter, delegate), **self.options)
            self._interpreter = interpreter(model_path=path, num_threads=threads, **more)
            details, results = self._details()
            self._inputs = [(spec, bound(spec, place, details, "input")) for place, spec in enumerate(inputs)]
            for spec, detail in self._inputs:
                self._fit(detail, spec["shape"])
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise HarnessError("bad-model", first_line(error)) from error
        self._outputs = [(spec, bound(spec, place, results, "output")) for place, spec in enumerate(outputs)]
        self._shapes = {spec["name"]: self._shape(detail) for spec, detail in self._inputs}
        self.timed: Callable[[], Any] = self._interpreter.invoke

    def _details(self) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """Tensors by the names of the first signature, else by their own."""
        held = self._interpreter
        try:
            keys = list(held.get_signature_list())
            # The runner must be gone before invoke, which refuses to run while another object shares the model.
            runner = held.get_signature_runner(keys[0]) if keys else None
            if runner is not None:
                return dict(runner.get_input_details()), dict(runner.get_output_details())
        except AttributeError:
            pass  # tflite-runtime before 2.5 has no signatures
        return (
            {detail["name"]: detail for detail in held.get_input_details()},
            {detail["name"]: detail for detail in held.get_output_details()},
        )

    def _shape(self, detail: Any) -> Tuple[int, ...]:
        found = [item for item in self._interpreter.get_input_details() if item["index"] == detail["index"]]
        return tuple(int(size) for size in found[0]["shape"])

    def _fit(self, detail: Any, shape: Sequence[Any]) -> None:
        sizes = [int(size) if isinstance(size, int) else 1 for size in shape]
        if sizes != [int(size) for size in detail["shape"]]:
            self._interpreter.resize_tensor_input(detail["index"], sizes)

    def running(self) -> ContextManager[Any]:
        """What inference happens inside of; nothing for this runtime."""
        return NoContext()

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name; real numbers are quantized where the model takes integers."""
        import numpy as np

        arrays = [(spec, detail, np.asarray(given(values, spec))) for spec, detail in self._inputs]
        changed = [item for item in arrays if item[2].shape != self._shapes[item[0]["name"]]]
        try:
            for spec, detail, array in changed:
                self._interpreter.resize_tensor_input(detail["index"], list(array.shape))
                self._shapes[spec["name"]] = array.shape
            if changed:
                self._interpreter.allocate_tensors()
            for spec, detail, array in arrays:
                self._interpreter.set_tensor(detail["index"], stored(spec, detail, array))
        except (ValueError, RuntimeError) as error:
            raise HarnessError("bad-input", first_line(error)) from error

    def invoke(self) -> None:
        """Run once."""
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise HarnessError("inference", first_line(error)) from error

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name, as real numbers."""
        held = self._interpreter
        return {spec["name"]: real(spec, detail, held.get_tensor(detail["index"])) for spec, detail in self._outputs}

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def delegate(self) -> str:
        """What executes the graph and how much of it, from the interpreter's list of nodes."""
        try:
            nodes = list(self._interpreter._get_ops_details())  # noqa: SLF001 - there is no public way
            parts = [node for node in nodes if node["op_name"] == "DELEGATE"]
            plain = [node for node in nodes if node["op_name"] != "DELEGATE"]
            taken = len(delegated(parts, plain))
        except (AttributeError, KeyError, TypeError, ValueError):
            return "unknown: this runtime does not list its nodes"
        if not parts:
            return "none: built-in kernels"
        return "XNNPACK, {} of {} operators in {} part{}".format(
            taken, len(plain), len(parts), "" if len(parts) == 1 else "s"
        )

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """LiteRT's Python interpreter has a profiler and no way to reach it."""
        del count
        raise HarnessError("operators", "LiteRT's Python interpreter tells no times of single operators.")

    def packages(self) -> Dict[str, str]:
        """Versions of the runtime and of NumPy."""
        kind = type(self._interpreter).__module__.split(".")[0].replace("_", "-")
        return installed_versions([kind, "numpy"])

    def describe(self) -> str:
        """The runtime with its version."""
        name, version = next(iter(self.packages().items()))
        return "{} {}".format("LiteRT" if name == "ai-edge-litert" else name, version)


def delegated(parts: Sequence[Any], plain: Sequence[Any]) -> List[int]:
    """Indices of the operators that the delegate's nodes stand for: those between its outputs and its inputs."""
    makers = {int(tensor): node for node in plain for tensor in node["outputs"]}
    taken: List[int] = []
    for part in parts:
        edge = {int(tensor) for tensor in part["inputs"]}
        todo = [int(tensor) for tensor in part["outputs"]]
        while todo:
            tensor = todo.pop()
            node = makers.get(tensor)
            if node is None or tensor in edge or node["index"] in taken:
                continue
            taken.append(node["index"])
            todo.extend(int(item) for item in node["inputs"])
    return taken


def quantization(spec: Spec, detail: Any) -> Optional[Affine]:
    """How integers map to reals: by the manifest, else by the model file."""
    rank = len(detail["shape"])
    stated = spec.get("quantization")
    if stated:
        return Affine(stated["scale"], stated["zero_point"], stated.get("axis", 0), rank)
    found = detail["quantization_parameters"]
    if not len(found["scales"]):
        return None
    return Affine(found["scales"], found["zero_points"], int(found["quantized_dimension"]), rank)


def stored(spec: Spec, detail: Any, array: Any) -> Any:
    """An input in the type that the model file takes; real numbers are quantized where that is integers."""
    dtype = detail["dtype"]
    if is_integer(dtype) and array.dtype.kind == "f":
        affine = quantization(spec, detail)
        if affine is None:
            raise HarnessError(
                "bad-input", "Input {!r} takes integers and the model has no scale for it.".format(spec["name"])
            )
        return affine.store(array, dtype)
    return as_type(array, dtype, spec["name"])


def real(spec: Spec, detail: Any, value: Any) -> Any:
    """An output as real numbers where the source gives real numbers."""
    import numpy as np

    if is_integer(value.dtype) and (spec.get("quantization") or np.dtype(spec["dtype"]).kind == "f"):
        affine = quantization(spec, detail)
        return value if affine is None else affine.load(value)
    return value


def bound(spec: Spec, place: int, details: Dict[str, Any], role: str) -> Any:
    """The model file's tensor for a name of the manifest: by binding, name, TensorFlow's spelling, or as the only one.

    Raises:
        HarnessError: None of them leads to a tensor; a guess by order would mix two inputs of one shape up.
    """
    binding = spec.get("binding") or ""
    for name in (binding, spec["name"], "serving_default_{}:0".format(spec["name"])):
        if name and name in details:
            return details[name]
    if binding.isdigit() and int(binding) < len(details):
        return list(details.values())[int(binding)]
    if len(details) == 1 and place == 0:
        return next(iter(details.values()))
    raise HarnessError(
        "bad-model", "The model file has no {} {!r}; it has {}.".format(role, spec["name"], ", ".join(details))
    )


def given(values: Dict[str, Any], spec: Spec) -> Any:
    """The value for an input."""
    if spec["name"] not in values:
        raise HarnessError("bad-input", "Input {!r} was not given.".format(spec["name"]))
    return values[spec["name"]]


class TorchscriptModel:
    """A .ptl file in PyTorch's lite interpreter. A sample is one call of the module under inference mode."""

    method = "wall time of one call of the lite-interpreter module under inference mode, outputs not read"

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        if delegate != "default":
            raise HarnessError("delegate", "TorchScript's lite interpreter has no delegates.")
        self._torch = torch = torch_module()
        self._engine = engine
        torch.set_num_threads(threads)
        self._choose_engine()  # before loading: weights are packed for it then
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is deprecated upstream; `edgekit doctor` says so once
                self._module = torch.jit.mobile._load_for_lite_interpreter(path)  # noqa: SLF001 - PyTorch's documented way
        except (RuntimeError, ValueError) as error:
            raise HarnessError("bad-model", first_line(error)) from error
        self._inputs = list(inputs)
        self._outputs = list(outputs)
        self._result: Any = None
        self._arguments: Tuple[Any, ...] = ()
        self.timed: Callable[[], Any] = self._module

    def _choose_engine(self) -> None:
        if not self._engine:
            return
        quantized = self._torch.backends.quantized
        if self._engine not in quantized.supported_engines:
            raise HarnessError(
                "engine",
                "This torch has no quantized engine {!r}; it has {}.".format(
                    self._engine, ", ".join(quantized.supported_engines)
                ),
            )
        quantized.engine = self._engine

    def running(self) -> ContextManager[Any]:
        """Inference mode, or its predecessor before torch 1.9."""
        mode: Callable[[], ContextManager[Any]] = getattr(self._torch, "inference_mode", self._torch.no_grad)
        return mode()

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name; the module takes them in the signature's order."""
        self._choose_engine()  # the host may hold models of several engines
        self._arguments = tuple(self._tensor(spec, given(values, spec)) for spec in self._inputs)
        self.timed = partial(self._module, *self._arguments)

    def _tensor(self, spec: Spec, value: Any) -> Any:
        import numpy as np

        array = as_type(np.asarray(value), spec["dtype"], spec["name"])
        return self._torch.from_numpy(np.array(array, order="C"))

    def invoke(self) -> None:
        """Run once."""
        try:
            with self.running(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._result = self._module(*self._arguments)
        except (RuntimeError, ValueError, IndexError) as error:
            raise HarnessError("inference", first_line(error)) from error

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name, as real numbers."""
        found = self._flat(self._result, "")
        named = {}
        for place, spec in enumerate(self._outputs):
            keys = [spec.get("binding") or spec["name"], spec["name"], str(place)]
            key = next((item for item in keys if item in found), None)
            if key is None:
                raise HarnessError(
                    "bad-model", "The model gives no output {!r}; it gives {}.".format(spec["name"], ", ".join(found))
                )
            named[spec["name"]] = self._array(found[key])
        return named

    def _flat(self, value: Any, key: str) -> Dict[str, Any]:
        """Tensors by position in the flattened result; those of a dict by their key as well."""
        if self._torch.is_tensor(value):
            return {key or "0": value}
        items = list(value.items()) if isinstance(value, dict) else [("", item) for item in value]
        found: Dict[str, Any] = {}
        count = 0
        for name, item in items:
            inner = self._flat(item, "")
            for offset in range(len(inner)):
                found[str(count + offset)] = inner[str(offset)]
            if name and len(inner) == 1:
                found[str(name)] = inner["0"]
            count += sum(1 for place in inner if place.isdigit())
        return found

    def _array(self, tensor: Any) -> Any:
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.dtype == self._torch.bfloat16:
            tensor = tensor.float()
        return tensor.detach().cpu().numpy()

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """Each operator's own time in one inference, nanoseconds, from PyTorch's profiler over `count` inferences."""
        with self.running(), self._torch.autograd.profiler.profile() as profile:
            for _ in range(count):
                self.timed()
        return [
            {
                "name": item.key,
                "calls": item.count / float(count),
                "self_ns": round(1000 * item.self_cpu_time_total / count),
            }
            for item in profile.key_averages()
        ]

    def delegate(self) -> str:
        """What executes the graph."""
        return "none: ATen kernels" + (", quantized engine " + self._engine if self._engine else "")

    def packages(self) -> Dict[str, str]:
        """Versions of the runtime and of NumPy."""
        return dict(installed_versions(["torch", "numpy"]), torch=str(self._torch.__version__))

    def describe(self) -> str:
        """The runtime with its version."""
        return "TorchScript lite, torch {}".format(self._torch.__version__)


class OnnxModel:
    """An .onnx file in ONNX Runtime, on its CPU provider alone."""

    method = "wall time of InferenceSession.run_with_iobinding alone: inputs are bound before, outputs are not read"

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        del engine  # TorchScript's
        if delegate != "default":
            raise HarnessError("delegate", "ONNX Runtime is measured on its CPU provider, which has no delegates.")
        self._onnxruntime = onnxruntime_module()
        self._path = path
        self._threads = threads
        with onnx_errors("bad-model"):
            self._session = self._open()
            details = {item.name: item for item in self._session.get_inputs()}
            results = {item.name: item for item in self._session.get_outputs()}
        self._inputs = [(spec, bound(spec, place, details, "input")) for place, spec in enumerate(inputs)]
        self._outputs = [(spec, bound(spec, place, results, "output")) for place, spec in enumerate(outputs)]
        self._arrays: List[Any] = []
        self._binding: Any = None
        self.timed: Callable[[], Any] = self.invoke

    def _open(self, profile: str = "") -> Any:
        """A session; with `profile`, one that writes its times to a file of this beginning."""
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = ONNX_ERRORS
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        return self._onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])

    def running(self) -> ContextManager[Any]:
        """Tells ONNX Runtime's own exceptions, which are no RuntimeErrors, as an inference's."""
        return onnx_errors("inference")

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name; real numbers are quantized where the model takes integers."""
        import numpy as np

        self._arrays = [self._stored(spec, detail, np.asarray(given(values, spec))) for spec, detail in self._inputs]
        self._binding = self._bind(self._session)
        self.timed = partial(self._session.run_with_iobinding, self._binding)

    def _bind(self, session: Any) -> Any:
        """The inputs where they lie, and outputs that the first inference allocates and later ones fill again."""
        binding = session.io_binding()
        with onnx_errors("bad-input"):
            for (_, detail), array in zip(self._inputs, self._arrays):
                binding.bind_cpu_input(detail.name, array)
            for _, detail in self._outputs:
                binding.bind_output(detail.name)
        return binding

    def _stored(self, spec: Spec, detail: Any, array: Any) -> Any:
        import numpy as np

        dtype = onnx_dtype(detail)
        check_shape(spec, detail.shape, array)
        stated = spec.get("quantization")
        if is_integer(dtype) and array.dtype.kind == "f":
            if not stated:
                raise HarnessError(
                    "bad-input", "Input {!r} takes integers and the model has no scale for it.".format(spec["name"])
                )
            array = Affine(stated["scale"], stated["zero_point"], stated.get("axis", 0), array.ndim).store(array, dtype)
        return np.array(as_type(array, dtype, spec["name"]), order="C")

    def invoke(self) -> None:
        """Run once."""
        with self.running():
            self._session.run_with_iobinding(self._binding)

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name, as real numbers."""
        with self.running():
            values = self._binding.copy_outputs_to_cpu()
        return {spec["name"]: self._real(spec, value) for (spec, _), value in zip(self._outputs, values)}

    def _real(self, spec: Spec, value: Any) -> Any:
        import numpy as np

        stated = spec.get("quantization")
        if stated and is_integer(value.dtype):
            return Affine(stated["scale"], stated["zero_point"], stated.get("axis", 0), value.ndim).load(value)
        return np.array(value)

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """Each kind of operator's own time in one inference, nanoseconds, from the profiler of a session of its own.

        The profiler rounds each call down to microseconds, so that many short ones are told too short.
        """
        import tempfile  # here, since what it brings along would be in every measurement's memory

        with tempfile.TemporaryDirectory() as folder, self.running():
            session = self._open(os.path.join(folder, "profile"))
            binding = self._bind(session)
            for _ in range(count + 1):
                session.run_with_iobinding(binding)
            with open(session.end_profiling(), "rb") as stream:
                events = json.loads(stream.read().decode("utf-8"))
        return onnx_operators(events, count)

    def delegate(self) -> str:
        """What executes the graph."""
        return "CPUExecutionProvider"

    def packages(self) -> Dict[str, str]:
        """Versions of the runtime and of NumPy."""
        return dict(installed_versions(["onnxruntime", "numpy"]), onnxruntime=str(self._onnxruntime.__version__))

    def describe(self) -> str:
        """The runtime with its version."""
        return "ONNX Runtime {}".format(self._onnxruntime.__version__)


class ExecutorchModel:
    """A .pte file in ExecuTorch. A sample is `Method.execute` alone."""

    method = "wall time of Method.execute alone: inputs are set before, outputs are not read"

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        del engine  # TorchScript's
        if delegate != "default":
            raise HarnessError("delegate", "What executes the parts of a .pte file was decided when it was made.")
        self._torch, self._library = executorch_modules()
        self._library._unsafe_reset_threadpool(threads)  # noqa: SLF001 - ExecuTorch's only way
        try:
            self._program = self._library._load_program(path)  # noqa: SLF001 - as above
            self._method = self._program.load_method("forward")
        except RuntimeError as error:
            raise HarnessError("bad-model", first_line(error)) from error
        meta = self._method.method_meta()
        for told, specs, count in (("inputs", inputs, meta.num_inputs()), ("outputs", outputs, meta.num_outputs())):
            if len(specs) != count:
                raise HarnessError("bad-model", "The model file has {} {}, not {}.".format(count, told, len(specs)))
        with open(path, "rb") as stream:
            self._parts = stream.read().count(b"XnnpackBackend")
        self._inputs, self._outputs = list(inputs), list(outputs)
        self._tensors: Tuple[Any, ...] = ()
        self.timed: Callable[[], Any] = self._method.execute

    def running(self) -> ContextManager[Any]:
        """What inference happens inside of; nothing for this runtime."""
        return NoContext()

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name; the method takes them in the signature's order."""
        import numpy as np

        arrays = [as_type(np.asarray(given(values, spec)), spec["dtype"], spec["name"]) for spec in self._inputs]
        for spec, value in zip(self._inputs, arrays):
            check_shape(spec, spec["shape"], value)
        self._tensors = tuple(self._torch.from_numpy(np.array(value, order="C")) for value in arrays)
        try:
            self._method.set_inputs(self._tensors)
        except RuntimeError as error:
            raise HarnessError("bad-input", first_line(error)) from error

    def invoke(self) -> None:
        """Run once."""
        try:
            self._method.execute()
        except RuntimeError as error:
            raise HarnessError("inference", first_line(error)) from error

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name."""
        found = self._method.get_outputs()
        return {spec["name"]: value.clone().numpy() for spec, value in zip(self._outputs, found)}

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """ExecuTorch's wheels are built without its event tracer."""
        del count
        raise HarnessError("operators", "ExecuTorch's wheels tell no times of single operators.")

    def delegate(self) -> str:
        """What executes the graph."""
        if not self._parts:
            return "none: portable kernels"
        return "XNNPACK in {} part{}".format(self._parts, "" if self._parts == 1 else "s")

    def packages(self) -> Dict[str, str]:
        """Versions of the runtime, and of what it needs."""
        return installed_versions(["executorch", "torch", "numpy"])

    def describe(self) -> str:
        """The runtime with its version."""
        return "ExecuTorch {}".format(self.packages().get("executorch", ""))


class SavedModel:
    """A SavedModel in TensorFlow: the newest version of a folder. A sample is one call of its signature."""

    method = "wall time of one call of the signature, outputs not read"

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        del engine  # TorchScript's
        if delegate != "default":
            raise HarnessError("delegate", "TensorFlow has no delegates.")
        self._tensorflow = tensorflow = tensorflow_module()
        with suppress(RuntimeError):  # where TensorFlow ran before: the host's process, which measures nothing
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        versions = [name for name in os.listdir(path) if name.isdigit()] if os.path.isdir(path) else []
        try:
            # What was loaded must live as long as its signature, which holds its variables weakly.
            self._loaded = tensorflow.saved_model.load(os.path.join(path, max(versions, key=int, default="")))
            self._signature = self._loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, tensorflow.errors.OpError) as error:
            raise HarnessError("bad-model", first_line(error)) from error
        self._details = self._signature.structured_input_signature[1]
        for spec in inputs:
            if spec["name"] not in self._details:
                raise HarnessError("bad-model", "The signature has no input {!r}.".format(spec["name"]))
        self._inputs, self._outputs = list(inputs), list(outputs)
        self._tensors: Dict[str, Any] = {}
        self._result: Dict[str, Any] = {}
        self.timed: Callable[[], Any] = self.invoke

    def running(self) -> ContextManager[Any]:
        """What inference happens inside of; nothing for this runtime."""
        return NoContext()

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name."""
        import numpy as np

        self._tensors = {}
        for spec in self._inputs:
            detail = self._details[spec["name"]]
            array = as_type(np.asarray(given(values, spec)), detail.dtype.as_numpy_dtype, spec["name"])
            check_shape(spec, detail.shape.as_list(), array)
            self._tensors[spec["name"]] = self._tensorflow.constant(array)
        self.timed = partial(self._signature, **self._tensors)

    def invoke(self) -> None:
        """Run once."""
        try:
            self._result = self._signature(**self._tensors)
        except (ValueError, TypeError, self._tensorflow.errors.OpError) as error:
            raise HarnessError("inference", first_line(error)) from error

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name."""
        return {spec["name"]: bound(spec, 1, self._result, "output").numpy() for spec in self._outputs}

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """TensorFlow's profiler writes for its own viewer."""
        del count
        raise HarnessError("operators", "The times of single operators are not read from TensorFlow's profiler.")

    def delegate(self) -> str:
        """What executes the graph."""
        return "none: TensorFlow's own kernels"

    def packages(self) -> Dict[str, str]:
        """Versions of the runtime and of NumPy."""
        return dict(installed_versions(["numpy"]), tensorflow=str(self._tensorflow.__version__))

    def describe(self) -> str:
        """The runtime with its version."""
        return "TensorFlow {}".format(self._tensorflow.__version__)


@contextmanager
def onnx_errors(kind: str) -> Iterator[None]:
    """Tell what ONNX Runtime raises as a `HarnessError`; its exceptions have no base but Exception."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, (RuntimeError, ValueError)) or type(error).__module__.startswith("onnxruntime")):
            raise
        raise HarnessError(kind, first_line(error)) from error


class CModel:
    """A `model.c`, compiled here into a library. A sample is one `edgekit_invoke`."""

    method = "wall time of edgekit_invoke alone, compiled here with -O2: inputs are set before, outputs are not read"

    def __init__(
        self, path: str, inputs: Sequence[Spec], outputs: Sequence[Spec], *, threads: int, engine: str, delegate: str
    ) -> None:
        del engine  # TorchScript's
        if delegate != "default" or threads != 1:
            raise HarnessError("delegate", "C models have one thread and no delegate.")
        self._compiler = c_compiler()
        self._library = c_library(self._compiler, path)
        self._inputs = self._details(inputs, "inputs")
        self._outputs = self._details(outputs, "outputs")
        self.timed: Callable[[], Any] = partial(self._library.edgekit_invoke, None)

    def _details(self, specs: Sequence[Spec], role: str) -> List[Tuple[int, Spec, Dict[str, Any]]]:
        """Each tensor's place in the model, found by its name, and what the model says of it."""
        found = [c_detail(tensor) for tensor in (c_tensor() * len(specs)).in_dll(self._library, "edgekit_" + role)]
        places = {detail["name"]: place for place, detail in enumerate(found)}
        missing = [spec["name"] for spec in specs if spec["name"] not in places]
        if missing:
            raise HarnessError(
                "bad-model", "model.c has no {} {!r}; it has {}.".format(role[:-1], missing[0], ", ".join(places))
            )
        return [(places[spec["name"]], spec, found[places[spec["name"]]]) for spec in specs]

    def running(self) -> ContextManager[Any]:
        """What inference happens inside of; nothing for this runtime."""
        return NoContext()

    def set_inputs(self, values: Dict[str, Any]) -> None:
        """Give the inputs by name; real numbers are quantized where the model takes integers."""
        import ctypes

        import numpy as np

        arrays = [(place, spec, detail, np.asarray(given(values, spec))) for place, spec, detail in self._inputs]
        for place, spec, detail, value in arrays:
            check_shape(spec, detail["shape"], value)
            content = stored(spec, detail, value).tobytes()
            ctypes.memmove(self._library.edgekit_input(place), content, len(content))

    def invoke(self) -> None:
        """Run once."""
        self._library.edgekit_invoke(None)

    def outputs(self) -> Dict[str, Any]:
        """The outputs of the last run by name, as real numbers."""
        import ctypes

        import numpy as np

        found = {}
        for place, spec, detail in self._outputs:
            content = ctypes.string_at(self._library.edgekit_output(place), detail["bytes"])
            value = np.frombuffer(content, detail["dtype"]).reshape(detail["shape"])
            found[spec["name"]] = real(spec, detail, value)
        return found

    def run(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Inputs by name in, outputs by name out."""
        self.set_inputs(values)
        self.invoke()
        return self.outputs()

    def operators(self, count: int) -> List[Dict[str, Any]]:
        """Time each layer, as the model calls back after it."""
        import ctypes

        ended: List[float] = []
        callback = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(lambda _: ended.append(clock()))
        times: List[List[float]] = []
        for _ in range(count):
            del ended[:]
            start = clock()
            self._library.edgekit_invoke(callback)
            times.append([end - begin for begin, end in zip([start, *ended], ended)])
        layers = (c_layer() * len(ended)).in_dll(self._library, "edgekit_layers")
        return [
            {"name": "{} {}".format(layer.op.decode(), layer.name.decode()), "calls": 1.0,
             "self_ns": nanoseconds(sum(one[place] for one in times) / count)}
            for place, layer in enumerate(layers)
        ]  # fmt: skip

    def delegate(self) -> str:
        """What executes the graph."""
        return "none: compiled C"

    def packages(self) -> Dict[str, str]:
        """Versions of what the harness itself needs."""
        return installed_versions(["numpy"])

    def describe(self) -> str:
        """The compiler with its version."""
        return "C, " + c_version(self._compiler)


def c_version(compiler: str) -> str:
    """The first line in which a compiler tells what it is."""
    done = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return (done.stdout.decode("utf-8", "replace").splitlines() or [compiler])[0]


def c_library(compiler: str, path: str) -> Any:
    """Compile a model into a library of the process; its file is gone when this returns."""
    import ctypes

    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "model.so")
        command = [compiler, "-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, path, "-lm"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            told = done.stderr.decode("utf-8", "replace")
            wrong = [line for line in told.splitlines() if "error" in line] or [told.strip()[-300:]]
            raise HarnessError("bad-model", "{} does not compile: {}".format(os.path.basename(path), wrong[0][:300]))
        loaded = ctypes.CDLL(library)
    loaded.edgekit_input.restype = loaded.edgekit_output.restype = ctypes.c_void_p
    return loaded


def c_tensor() -> Any:
    """`edgekit_tensor` of model.h."""
    import ctypes

    fields = [
        ("name", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("rank", ctypes.c_uint32),
        ("shape", ctypes.POINTER(ctypes.c_uint32)), ("bytes", ctypes.c_uint32),
        ("scale", ctypes.c_float), ("zero_point", ctypes.c_int32),
    ]  # fmt: skip
    return type("Tensor", (ctypes.Structure,), {"_fields_": fields})


def c_layer() -> Any:
    """`edgekit_layer` of model.h."""
    import ctypes

    fields = [("name", ctypes.c_char_p), ("op", ctypes.c_char_p), ("macs", ctypes.c_uint32)]
    return type("Layer", (ctypes.Structure,), {"_fields_": fields})


def c_detail(tensor: Any) -> Dict[str, Any]:
    """A tensor of a C model as LiteRT's interpreter would tell of it."""
    import numpy as np

    quantized = bool(tensor.scale)
    return {
        "name": tensor.name.decode(),
        "dtype": np.dtype(tensor.dtype.decode()),
        "shape": tuple(tensor.shape[: tensor.rank]),
        "bytes": tensor.bytes,
        "quantization_parameters": {
            "scales": [tensor.scale] if quantized else [],
            "zero_points": [tensor.zero_point] if quantized else [],
            "quantized_dimension": 0,
        },
    }


def check_shape(spec: Spec, wanted: Sequence[Any], array: Any) -> None:
    """Refuse an array whose sizes the model does not take; what is no number in `wanted` may be any size."""
    fits = len(wanted) == array.ndim and all(
        size == has for size, has in zip(wanted, array.shape) if isinstance(size, int)
    )
    if not fits:
        told = ["x".join(map(str, shape)) or "scalar" for shape in (array.shape, wanted)]
        raise HarnessError("bad-input", "Input {!r} has shape {}; the model takes {}.".format(spec["name"], *told))


def onnx_dtype(detail: Any) -> Any:
    """The NumPy dtype of an input (onnx.proto, TensorProto.DataType, as ONNX Runtime spells it: `tensor(float)`)."""
    import numpy as np

    kind = detail.type[len("tensor(") : -1]
    try:
        return np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    except TypeError as error:
        raise HarnessError("bad-model", "Input {!r} is of type {}.".format(detail.name, detail.type)) from error


def onnx_operators(events: Sequence[Dict[str, Any]], count: int) -> List[Dict[str, Any]]:
    """Times by kind of operator from the profiler's events, without the first inference's."""
    runs = sorted(event["ts"] for event in events if event.get("name") == "model_run")
    found: Dict[str, List[int]] = {}
    for event in events:
        kernel = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if kernel and event["ts"] >= runs[1]:
            found.setdefault(event["args"]["op_name"], []).append(event["dur"])
    return [
        {"name": name, "calls": len(times) / float(count), "self_ns": round(1000.0 * sum(times) / count)}
        for name, times in found.items()
    ]


MODELS: Dict[str, Any] = {
    "tflite": TfliteModel,
    "torchscript": TorchscriptModel,
    "onnx": OnnxModel,
    "c": CModel,
    "ort": OnnxModel,
    "savedmodel": SavedModel,
    "executorch": ExecutorchModel,
}
"""The adapter for each format; every one has the methods of `TfliteModel`."""

IMPORTS: Dict[str, Callable[[], Any]] = {
    "tflite": tflite_interpreter,
    "torchscript": torch_module,
    "onnx": onnxruntime_module,
    "c": c_compiler,
    "executorch": executorch_modules,
    "ort": onnxruntime_module,
    "savedmodel": tensorflow_module,
}
"""What imports the runtime of a format."""


def open_model(
    model_format: str,
    path: str,
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    *,
    threads: int,
    engine: str,
    delegate: str = "default",
) -> Any:
    """Load a model file until it could run.

    Args:
        model_format: A key of `MODELS`.
        path: The model file.
        inputs: The manifest's inputs.
        outputs: The manifest's outputs.
        threads: Threads the runtime may use.
        engine: TorchScript's quantized engine; empty leaves PyTorch's choice.
        delegate: `default`, or `none` to leave the runtime's default delegate out.
    """
    if model_format not in MODELS:
        raise HarnessError("job", "This harness runs {}, not {!r}.".format(", ".join(MODELS), model_format))
    if not os.path.exists(path):
        raise HarnessError("bad-model", "There is no file {}.".format(path))
    return MODELS[model_format](path, inputs, outputs, threads=threads, engine=engine, delegate=delegate)


def installed_versions(names: Sequence[str]) -> Dict[str, str]:
    """Versions of distributions, in order; empty where unknown."""
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:  # Python 3.6 and 3.7
        return {name: str(getattr(sys.modules.get(name.replace("-", "_")), "__version__", "")) for name in names}
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


# --- Golden vectors ---------------------------------------------------------------------------------------------


def golden_arrays(path: str, prefix: str) -> Dict[str, Any]:
    """The arrays of golden.npz whose names start with `in:` or `out:`, by the rest of the name."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key[len(prefix) :]: archive[key] for key in archive.files if key.startswith(prefix)}
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError("bad-golden", "Cannot read {}: {}".format(path, first_line(error))) from error


def relative_rms(expected: Sequence[Any], got: Sequence[Any]) -> Optional[float]:
    """RMSE / RMS of the expected output over all vectors; None when it is not a number or the sizes differ.

    An expected output that is zero throughout is compared as if its RMS were 1, as `edgekit.parity` does.
    """
    import numpy as np

    a = np.concatenate([np.asarray(item, np.float64).ravel() for item in expected])
    b = np.concatenate([np.asarray(item, np.float64).ravel() for item in got])
    if a.size != b.size:
        return None
    if not a.size:
        return 0.0
    with np.errstate(all="ignore"):
        rmse = float(np.sqrt(np.mean((a - b) ** 2)))
        signal = float(np.sqrt(np.mean(a**2)))
    relative = rmse / signal if signal > 0 else rmse
    return relative if math.isfinite(relative) else None


def check_golden(job: Dict[str, Any], channel: "Channel") -> Dict[str, Any]:
    """Run every golden vector; the worst output decides."""
    channel.phase("import")
    IMPORTS[job["format"]]()
    inputs = golden_arrays(job["golden"], "in:")
    expected = golden_arrays(job["golden"], "out:")
    channel.phase("load")
    model = open_job(job)
    vectors = len(next(iter(inputs.values()))) if inputs else 0
    got = []
    channel.phase("run")
    for place in range(vectors):
        got.append(model.run({name: values[place] for name, values in inputs.items()}))
        channel.event("progress", done=(place + 1) / float(vectors))
    if not vectors or not expected:
        raise HarnessError("bad-golden", "{} holds no vectors.".format(job["golden"]))
    unknown = [name for name in expected if name not in got[0]]
    if unknown:
        raise HarnessError("bad-golden", "The model lacks an output of the golden vectors: {!r}.".format(unknown[0]))
    errors = {name: relative_rms(list(values), [item[name] for item in got]) for name, values in expected.items()}
    worst = None if None in errors.values() else max(float(error or 0.0) for error in errors.values())
    return {
        "relative_rms": worst,
        "passed": worst is not None and worst <= job["max_error"],
        "vectors": vectors,
        "outputs": errors,
        "runtime": model.describe(),
    }


# --- The machine ------------------------------------------------------------------------------------------------

ARM_PARTS = {
    "0x41": {
        "0xc05": "Cortex-A5", "0xc07": "Cortex-A7", "0xc08": "Cortex-A8", "0xc09": "Cortex-A9", "0xc0f": "Cortex-A15",
        "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
        "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76",
        "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77", "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78",
        "0xd42": "Cortex-A78AE", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710",
        "0xd49": "Neoverse-N2", "0xb76": "ARM1176",
    },
    "0x4e": {"0x000": "Denver", "0x003": "Denver 2", "0x004": "Carmel"},
}  # fmt: skip
"""CPU names by implementer and part (Linux, arch/arm64/include/asm/cputype.h, and Arm's reference manuals)."""

VIRTUAL_DMI = ("KVM", "VMware", "VirtualBox", "innotek", "Xen", "Bochs", "Firecracker", "Amazon EC2", "Google Compute")
"""What hypervisors write into the DMI tables (systemd, src/basic/virt.c)."""


def read_text(path: str, root: str = "/") -> Optional[str]:
    """A small file of /proc or /sys, stripped; None where there is none."""
    try:
        with open(os.path.join(root, path.lstrip("/")), errors="replace") as stream:
            return stream.read().replace("\0", " ").strip()
    except (OSError, ValueError):
        return None


def by_number(pattern: str, root: str) -> List[str]:
    """Paths of a pattern in the order of the numbers in them: cpu2 before cpu10."""
    found = glob.glob(os.path.join(root, pattern.lstrip("/")))
    return sorted(found, key=lambda path: [int(number) for number in re.findall("[0-9]+", path)])


def cpuinfo_values(key: str, root: str) -> List[str]:
    """The distinct values of a key of /proc/cpuinfo, in order."""
    found: List[str] = []
    for line in (read_text("/proc/cpuinfo", root) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key and value.strip() not in found:
            found.append(value.strip())
    return found


def cpu_model(root: str = "/") -> str:
    """The CPU's name; both for a machine with two kinds of core."""
    makers = cpuinfo_values("CPU implementer", root)
    parts = cpuinfo_values("CPU part", root)
    names = cpuinfo_values("model name", root)
    if len(makers) == 1 and parts:
        known = ARM_PARTS.get(makers[0], {})
        return " + ".join(known.get(part, "implementer {} part {}".format(makers[0], part)) for part in parts)
    return " + ".join(names or cpuinfo_values("Hardware", root) or cpuinfo_values("uarch", root))


def board(root: str = "/") -> str:
    """The device tree's model, or the DMI product name."""
    places = (
        "/proc/device-tree/model",
        "/sys/firmware/devicetree/base/model",
        "/sys/class/dmi/id/product_name",
    )
    return next((text for text in (read_text(place, root) for place in places) if text), "")


def machine_kind(root: str = "/", marker: Optional[str] = None) -> str:
    """`emulated` when every instruction is QEMU's, `virtual` when a hypervisor or container shares a CPU.

    QEMU with KVM runs on the CPU itself: it shows a KVM clock, which QEMU's own emulation has not.
    """
    if marker or (read_text("/proc/thread-self/cmdline", root) or "").split(" ")[0].split("/")[-1].startswith("qemu-"):
        return "emulated"  # the second is user-mode QEMU, which fakes /proc/self but not this
    dmi = " ".join(
        read_text("/sys/class/dmi/id/" + name, root) or "" for name in ("sys_vendor", "product_name", "bios_vendor")
    )
    tree = board(root) + " " + (read_text("/proc/device-tree/compatible", root) or "")
    clocks = read_text("/sys/devices/system/clocksource/clocksource0/available_clocksource", root) or ""
    timers = [read_text(path) or "" for path in by_number("/sys/class/ptp/ptp*/clock_name", root)]
    kvm = "kvm" in clocks or any("KVM" in name for name in timers)
    named = "QEMU" in dmi or "QEMU" in (read_text("/proc/cpuinfo", root) or "") or "linux,dummy-virt" in tree
    if named and not kvm:
        return "emulated"
    flags = " ".join(cpuinfo_values("flags", root)).split()
    boxes = ("/.dockerenv", "/run/.containerenv", "/sys/hypervisor/type")
    shared = any(os.path.exists(os.path.join(root, box.lstrip("/"))) for box in boxes)
    if named or kvm or shared or "hypervisor" in flags or any(name in dmi for name in VIRTUAL_DMI):
        return "virtual"
    return "physical"


def libc() -> str:
    """The C library and version."""
    try:
        return str(os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        return " ".join(platform.libc_ver()).strip() or ("musl" if glob.glob("/lib/ld-musl-*") else "")


def memory_bytes(root: str = "/") -> int:
    """Physical memory."""
    for line in (read_text("/proc/meminfo", root) or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def affinity() -> List[int]:
    """The cores that this process may use, by number."""
    try:
        return sorted(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return list(range(os.cpu_count() or 1))


def throttled(root: str = "/") -> Optional[str]:
    """A Raspberry Pi's throttle flags: from its firmware's file, else from vcgencmd."""
    text = read_text("/sys/devices/platform/soc/soc:firmware/get_throttled", root)
    if text is not None or root != "/":
        return text
    try:
        done = subprocess.run(
            ["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=2, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace").strip().partition("=")[2] or None


# --- Power and the state of a Jetson ----------------------------------------------------------------------------

TOTAL_RAILS = (
    ("VDD_IN",),
    ("POM_5V_IN",),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
"""The rails that together are a module's whole power: the one that feeds it, else its parts (NVIDIA Jetson Linux
Developer Guide, "Platform Power and Performance": Orin Nano and Xavier NX, Nano, AGX Orin, AGX Xavier)."""

TOOL_S = 2.0
"""The longest that a tool of the board's maker may take to say what it knows."""

GPU_CLOCK = re.compile(r"\.(gpu|g[apv]1[01]b)$")
"""How devfreq calls a Jetson's GPU: 57000000.gpu, 17000000.gp10b, .gv11b, .ga10b."""


def tool_output(argv: Sequence[str]) -> str:
    """What a tool prints; empty when it is missing, refuses, or takes too long."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TOOL_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def read_number(path: str) -> Optional[float]:
    """The number in a file of /sys; None when there is none."""
    try:
        return float(read_text(path) or "")
    except ValueError:
        return None


def rails(root: str = "/") -> Optional[Dict[str, float]]:
    """Milliwatts by rail; None where no sensor can be read.

    Sensors show as hwmon devices (Linux, Documentation/hwmon/ina3221.rst and sysfs-interface.rst), and in JetPack 4 as
    IIO devices of NVIDIA's own driver, in milliwatts.
    """
    places = ("/sys/class/hwmon/hwmon[0-9]*", "/sys/bus/i2c/drivers/ina*/*/hwmon/hwmon[0-9]*")
    folders = [path for place in places for path in by_number(place, root)]
    found: Dict[str, float] = {}
    for folder in {os.path.realpath(path): path for path in folders}:
        for name, value in hwmon_rails(folder):
            found[name if name not in found else "{} ({})".format(name, os.path.basename(folder))] = value
    for path in by_number("/sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_[0-9]*", root):
        folder, channel = os.path.dirname(path), path.rsplit("_", 1)[1]
        watt = read_number(os.path.join(folder, "in_power{}_input".format(channel)))
        if watt is not None:
            found[read_text(path) or os.path.basename(path)] = watt
    return found or None


def hwmon_rails(folder: str) -> Iterator[Tuple[str, float]]:
    """The rails of one hwmon device: labelled voltages (mV) with their currents (mA), else its power (uW)."""
    for path in by_number("/in[0-9]*_label", folder):
        place = os.path.basename(path)[2 : -len("_label")]
        volt, ampere = (read_number(os.path.join(folder, kind + place + "_input")) for kind in ("in", "curr"))
        if volt is not None and ampere is not None:
            yield read_text(path) or place, round(volt * ampere / 1000.0, 1)
    for path in by_number("/power[0-9]*_input", folder):
        watt = read_number(path)
        if watt is not None:
            name = read_text(path[: -len("_input")] + "_label") or read_text(os.path.join(folder, "name"))
            yield name or os.path.basename(folder), round(watt / 1000.0, 1)


def total_mw(found: Optional[Dict[str, float]]) -> Optional[float]:
    """The module's whole power, where its rails are known to tell it."""
    for parts in TOTAL_RAILS:
        if found and all(part in found for part in parts):
            return round(sum(found[part] for part in parts), 1)
    return None


def parse_tegrastats(line: str) -> Dict[str, Any]:
    """What one line of tegrastats says, as it is written from JetPack 4 to 6; what it leaves out is not in the result.

    NVIDIA Jetson Linux Developer Guide, "Tegrastats Utility". Power is `NAME now/average`, in milliwatts, without the
    unit before JetPack 5.
    """
    found: Dict[str, Any] = {}
    ram = re.search(r"\bRAM (\d+)/(\d+)MB", line)
    cores = re.search(r"\bCPU \[([^\]]*)\]", line)
    gpu = re.search(r"\bGR3D_FREQ (\d+)%(?:@\[?(\d+))?", line)
    zones = [(name, float(value)) for name, value in re.findall(r"(\w+)@(-?\d+(?:\.\d+)?)C\b", line)]
    power = re.findall(r"\b([A-Z]\w*) (\d+)(?:mW)?/\d+(?:mW)?(?=\s|$)", line)
    if ram:
        found["ram_bytes"], found["ram_total_bytes"] = (int(value) << 20 for value in ram.groups())
    if cores:
        found["frequency_hz"] = [int(value) * 1000000 for value in re.findall(r"%@(\d+)", cores.group(1))]
    if gpu:
        found["gpu_load"] = int(gpu.group(1)) / 100.0
    if gpu and gpu.group(2):
        found["gpu_hz"] = int(gpu.group(2)) * 1000000
    if zones:
        found["temperature_c"] = {name: value for name, value in zones if value > ABSOLUTE_ZERO_C}
    if power:
        found["power_mw"] = {name: float(value) for name, value in power}
    return found


ABSOLUTE_ZERO_C = -273.15 + 18
"""A zone that is switched off reads -256 degrees."""


def tegrastats() -> Dict[str, Any]:
    """One sample of tegrastats; empty where there is none."""
    try:
        process = subprocess.Popen(
            ["tegrastats", "--interval", "100"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return {}
    limit = threading.Timer(TOOL_S, process.kill)
    limit.start()
    try:
        line = process.stdout.readline() if process.stdout else b""
    finally:
        limit.cancel()
        process.kill()
        process.communicate()
    return parse_tegrastats(line.decode("utf-8", "replace"))


def gpu_hz(root: str = "/") -> Optional[int]:
    """A Jetson's GPU clock (Linux, Documentation/ABI/testing/sysfs-class-devfreq)."""
    for path in by_number("/sys/class/devfreq/*", root):
        value = read_number(os.path.join(path, "cur_freq")) if GPU_CLOCK.search(path) else None
        if value is not None:
            return int(value)
    return None


def parse_power_mode(text: str) -> str:
    """The mode that `nvpmodel -q` names, with its number: `MAXN (0)`."""
    name = re.search(r"NV Power Mode: *(\S+)", text)
    number = re.search(r"^(\d+)\s*$", text, re.MULTILINE)
    if not name:
        return ""
    return "{} ({})".format(name.group(1), number.group(1)) if number else name.group(1)


def parse_jetson_clocks(text: str) -> Optional[bool]:
    """Whether `jetson_clocks --show` tells one clock only for each core that is on, and for the GPU.

    The memory's line says nothing of this: its clock is pinned by an override, not by its limits.
    """
    parts = [line for line in text.splitlines() if re.match(r"(cpu\d+:|GPU) ", line) and "Online=0" not in line]
    limits = [re.search(r"\bMinFreq=(\d+) MaxFreq=(\d+)", line) for line in parts]
    return all(pair.group(1) == pair.group(2) for pair in limits if pair) if any(limits) else None


def clocks_pinned(root: str = "/") -> Optional[bool]:
    """Whether the cores can run at one clock only: by jetson_clocks, which wants root, else by their limits."""
    told = parse_jetson_clocks(tool_output(["jetson_clocks", "--show"])) if root == "/" else None
    if told is not None:
        return told
    cpufreq = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_"
    low, high = ([read_number(path) for path in by_number(cpufreq + end, root)] for end in ("min_freq", "max_freq"))
    return low == high if low and None not in low else None


def cpu_state(root: str = "/") -> Dict[str, Any]:
    """What moves during a run (Linux, Documentation/admin-guide/pm/cpufreq.rst and driver-api/thermal)."""
    load = (read_text("/proc/loadavg", root) or "").split()
    cpufreq = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/"
    clocks = [read_text(path) for path in by_number(cpufreq + "scaling_cur_freq", root)]
    governors = [read_text(path) for path in by_number(cpufreq + "scaling_governor", root)]
    zones: Dict[str, float] = {}
    for path in by_number("/sys/class/thermal/thermal_zone[0-9]*", root):
        kind = read_text(os.path.join(path, "type")) or os.path.basename(path)
        value = read_text(os.path.join(path, "temp"))
        if value and value.lstrip("-").isdigit():
            name = kind if kind not in zones else "{} ({})".format(kind, os.path.basename(path))
            zones[name] = int(value) / 1000.0
    return {
        "load1": float(load[0]) if load else None,
        "frequency_hz": [int(value) * 1000 for value in clocks if value and value.isdigit()] or None,
        "governor": [value for value in governors if value] or None,
        "temperature_c": zones or None,
        "throttled": throttled(root),
        "power_mw": rails(root),
        "gpu_hz": gpu_hz(root),
    }


def whole_state() -> Dict[str, Any]:
    """`cpu_state`, and what only tegrastats tells: it takes a tenth of a second, too long while something is timed."""
    state = cpu_state(ROOT)
    told = {} if state["power_mw"] or ROOT != "/" else tegrastats()
    return dict(state, **{key: told[key] for key in ("power_mw", "gpu_hz", "temperature_c") if told.get(key)})


def describe_machine(root: str = "/") -> Dict[str, Any]:
    """What does not move; every part is empty where the device does not say."""
    features = cpuinfo_values("flags", root) or cpuinfo_values("Features", root)
    return {
        "machine": platform.machine(),
        "system": "{} {}".format(platform.system(), platform.release()),
        "libc": libc(),
        "python": platform.python_version(),
        "board": board(root),
        "cpu": cpu_model(root),
        "cpu_features": features[0].split() if features else [],
        "cores": len(affinity()),
        "affinity": affinity(),
        "memory_bytes": memory_bytes(root),
        "kind": machine_kind(root, os.environ.get("EDGEKIT_EMULATED")),
        "power_mode": parse_power_mode(tool_output(["nvpmodel", "-q"]) if root == "/" else ""),
        "clocks_pinned": clocks_pinned(root),
    }


# --- What is set while measuring --------------------------------------------------------------------------------


def governor_files(root: str) -> List[str]:
    """Where each group of cores is told how to choose its clock (Linux, Documentation/admin-guide/pm/cpufreq.rst)."""
    cpu = "/sys/devices/system/cpu/"
    policies = by_number(cpu + "cpufreq/policy[0-9]*/scaling_governor", root)
    return policies or by_number(cpu + "cpu[0-9]*/cpufreq/scaling_governor", root)


def check_governor(files: Sequence[str], name: str) -> None:
    """Refuse a governor that the device does not have."""
    if not files:
        raise HarnessError("no-governor", "This device has no frequency governor to set: its kernel has no cpufreq.")
    for path in files:
        known = (read_text(os.path.join(os.path.dirname(path), "scaling_available_governors")) or "").split()
        if known and name not in known:
            raise HarnessError(
                "no-governor", "There is no governor {!r} here; it has {}.".format(name, ", ".join(known))
            )


def write_governor(path: str, name: str) -> None:
    """Set one; the kernel may refuse, or take it and do something else."""
    try:
        with open(path, "w") as stream:
            stream.write(name)
    except OSError as error:
        raise HarnessError("governor", "Cannot set {} to {!r}: {}.".format(path, name, error.strerror)) from error
    if read_text(path) != name:
        raise HarnessError("governor", "{} stays {!r} where {!r} was set.".format(path, read_text(path), name))


def write_back(before: Dict[str, str]) -> bool:
    """Set every governor back; whether all of them are what they were."""
    failed = 0
    for path, name in before.items():
        try:
            if read_text(path) != name:
                write_governor(path, name)
        except HarnessError:
            failed += 1
    return not failed


class Guard:
    """A process that sets governors back when this one ends, however that happens.

    It waits at a pipe whose other end only this process holds; even SIGKILL closes that. It has a session of its own,
    so that what kills our process group leaves it alone, and takes no time while it waits.
    """

    def __init__(self, before: Dict[str, str]) -> None:
        self._before = before
        end, self._held = os.pipe()
        ready, told = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._wait(end, told)
            finally:
                os._exit(1)
        os.close(end)
        os.close(told)
        watching = os.read(ready, 1)  # nothing may be set before it is out of reach of what kills us
        os.close(ready)
        if not watching:
            self.end()
            raise HarnessError("governor", "No process could be started that sets the governors back.")

    def _wait(self, end: int, told: int) -> None:
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        leave_descriptors({end, told})
        os.write(told, b".")
        os.close(told)
        while os.read(end, 1):
            pass
        os._exit(0 if write_back(self._before) else 1)

    def end(self) -> None:
        """Let it set them back, and wait until it has; do so ourselves if it is gone."""
        os.close(self._held)
        _, status = os.waitpid(self._pid, 0)
        if status and not write_back(self._before):
            raise HarnessError("governor", "The governors could not be set back to what they were before.")


def leave_descriptors(kept: Set[int]) -> None:
    """Close every descriptor but these, so that nobody waits for us at the other end of one."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2 and number not in kept:  # noqa: PLR2004 - the standard ones
            try:
                os.close(number)
            except OSError:
                continue  # what listed the folder


@contextmanager
def governed(name: str, root: str = "/") -> Iterator[None]:
    """Inside, every core has this frequency governor; afterwards, whatever happens, the one that it had."""
    files = governor_files(root) if name else []
    if name:
        check_governor(files, name)
    before = {path: told for path, told in ((path, read_text(path)) for path in files) if told}
    if set(before.values()) <= {name}:
        yield
        return
    guard = Guard(before)
    try:
        for path in before:
            write_governor(path, name)
        yield
    finally:
        guard.end()


def online_cores(root: str) -> List[int]:
    """The cores that are on, by number, from a list such as `0-3,5`."""
    text = read_text("/sys/devices/system/cpu/online", root) or "0-{}".format((os.cpu_count() or 1) - 1)
    spans = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return [core for span in spans for core in range(span[0], span[-1] + 1)]


@contextmanager
def on_cores(cores: Sequence[int], root: str = "/") -> Iterator[None]:
    """Inside, this process and its threads to come run on these cores only."""
    before = affinity()
    if cores:
        use_cores(sorted(set(cores)), root)
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, before)


def use_cores(cores: Sequence[int], root: str) -> None:
    """Run on these from now on.

    Raises:
        HarnessError: Some are not there, are off, or are not for us (cpuset(7)).
    """
    there = online_cores(root)
    missing = [str(core) for core in cores if core not in there]
    if missing:
        raise HarnessError(
            "affinity", "There is no core {} here; it has {}.".format(", ".join(missing), ", ".join(map(str, there)))
        )
    try:
        os.sched_setaffinity(0, cores)
    except (AttributeError, OSError) as error:
        raise HarnessError("affinity", "The cores cannot be chosen here: {}.".format(first_line(error))) from error
    if affinity() != list(cores):
        raise HarnessError("affinity", "Of the cores asked for, this login may use {} only.".format(affinity()))


@contextmanager
def settings(job: Dict[str, Any]) -> Iterator[None]:
    """Inside, the device is set as the job's schedule says, if the job is one that times something."""
    schedule = job["schedule"] if job["mode"] in TIMED and "schedule" in job else {}
    with governed(schedule.get("governor", ""), ROOT), on_cores(schedule.get("affinity", ()), ROOT):
        yield


TIMED = ("measure", "pair", "operators", "program")
"""Modes that time something."""


# --- Modes ------------------------------------------------------------------------------------------------------


class Channel:
    """The real standard output, taken away from everything else in the process."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def event(self, name: str, **fields: Any) -> None:
        """Write one line; ends the process when nobody listens any more."""
        line = json.dumps(dict(fields, event=name), allow_nan=False).encode("ascii") + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except BrokenPipeError:
            os._exit(1)

    def phase(self, name: str) -> None:
        """Say what comes next; what was said last is where a crash happened."""
        self.event("phase", phase=name)


def open_job(job: Dict[str, Any]) -> Any:
    """The model that a job names."""
    return open_model(
        job["format"],
        job["model"],
        job["inputs"],
        job["outputs"],
        threads=job["threads"],
        engine=job["engine"],
        delegate=job["schedule"]["delegate"],
    )


def first_vector(job: Dict[str, Any]) -> Dict[str, Any]:
    """The inputs to measure with: real ones, since zeros or noise can be faster or slower than data."""
    if job.get("golden"):
        return {name: values[0] for name, values in golden_arrays(job["golden"], "in:").items()}
    import numpy as np

    generator = np.random.RandomState(0)
    shapes = [(spec, [size if isinstance(size, int) else 1 for size in spec["shape"]]) for spec in job["inputs"]]
    return {
        spec["name"]: generator.standard_normal(shape)
        if np.dtype(spec["dtype"]).kind == "f" or spec.get("quantization")
        else np.zeros(shape, spec["dtype"])
        for spec, shape in shapes
    }


def evict(path: str) -> bool:
    """Ask the kernel to drop a file from its page cache (posix_fadvise); whether it could be asked."""
    try:
        with open(path, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except (AttributeError, OSError):
        return False
    return True


class Opened:
    """A model that was imported, loaded and given its inputs, with what that took."""

    def __init__(self, job: Dict[str, Any], channel: Channel) -> None:
        self.job = job
        channel.phase("import")
        start = clock()
        IMPORTS[job["format"]]()
        self.import_ns = nanoseconds(clock() - start)
        inputs = first_vector(job)
        gc.collect()
        gc.disable()
        self.evicted = job["schedule"]["mode"] == "cold" and evict(job["model"])
        self.base, self.separable = memory_baseline()
        channel.phase("load")
        start = clock()
        self.model = open_job(job)
        self.load_ns = nanoseconds(clock() - start)
        channel.phase("run")
        self.model.set_inputs(inputs)
        share = job.get("slowed", 0.0)
        self.call = slowed(self.model.timed, share) if share else self.model.timed

    def method(self) -> str:
        """How a sample was taken, in a sentence."""
        parts = [
            self.model.method,
            "clock: time." + ("perf_counter_ns" if TICK_CODE == "q" else "perf_counter"),
            "garbage collector off",
            "input: " + ("the first golden vector" if self.job.get("golden") else "random"),
        ]
        if self.job["schedule"].get("clock") == "instructions":
            parts.append("EMULATED: that clock counts executed instructions, one a nanosecond; no latency")
        if self.evicted:
            parts.append("the model file was dropped from the page cache first")
        if self.job.get("slowed"):
            parts.append("SLOWED by {:g} of itself on purpose".format(self.job["slowed"]))
        return "; ".join(parts)

    def result(self, steady: "Steady", machine: Dict[str, Any]) -> Dict[str, Any]:
        """What the host is told."""
        return {
            "repetition": dict(
                steady.figures(),
                import_ns=self.import_ns,
                load_ns=self.load_ns,
                base_rss_bytes=self.base,
                rss_separable=self.separable,
            ),
            "environment": dict(machine, packages=self.model.packages()),
            "runtime": self.model.describe(),
            "delegate": self.model.delegate(),
            "method": self.method(),
        }


class Steady:
    """First inference, warm-up and steady state of a model."""

    def __init__(self) -> None:
        self.first: float = 0
        self.warmup_samples = 0
        self.settled = True
        self.ticks: Ticks = array.array(TICK_CODE)
        self.missed = 0
        self.trace: List[Dict[str, Any]] = []
        self.peak = 0
        self._before = interruptions()
        self._after = self._before

    def begin(self, call: Callable[[], Any], warmup_s: float) -> None:
        """Run for the first time, and until steady."""
        begin = clock()
        call()
        self.first = clock() - begin
        self.warmup_samples, self.settled = warm_up(call, warmup_s)
        self._before = interruptions()

    def end(self) -> None:
        """Take what must be read before anything else is done."""
        self.peak = peak_rss()
        self._after = interruptions()

    def figures(self) -> Dict[str, Any]:
        """What it was."""
        switches, stolen, total = (now - then for now, then in zip(self._after, self._before))
        return {
            "first_ns": nanoseconds(self.first),
            "warmup_samples": self.warmup_samples,
            "settled": self.settled,
            "samples_ns": [nanoseconds(sample) for sample in self.ticks],
            "missed_periods": self.missed,
            "trace": self.trace,
            "interruptions": switches,
            "stolen": stolen / float(total) if total > 0 else None,
            "overhead_ns": overhead_ns(),
            "peak_rss_bytes": self.peak,
        }


def interruptions() -> Tuple[int, int, int]:
    """Times that this process was taken off its core, and the machine's ticks: stolen by a hypervisor, and in all.

    getrusage(2), ru_nivcsw; proc(5), /proc/stat: user nice system idle iowait irq softirq steal.
    """
    import resource

    first = (read_text("/proc/stat") or "").split("\n", 1)[0].split()[1:9]
    ticks = [int(value) for value in first]
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, sum(ticks[7:8]), sum(ticks)


def measure(job: Dict[str, Any], channel: Channel) -> Dict[str, Any]:
    """One repetition, in this order: import, load, first inference, warm-up, steady state."""
    before = whole_state()
    opened = Opened(job, channel)
    with inferring([opened]):
        steady = run_timed(opened.call, job["schedule"], channel)
    steady.end()
    return opened.result(steady, dict(describe_machine(ROOT), before=before, after=whole_state()))


@contextmanager
def inferring(models: Sequence[Opened]) -> Iterator[None]:
    """Inside, models run: their runtimes' own contexts, no warnings, and a failure is told as an inference's."""
    with ExitStack() as stack:
        for opened in models:
            stack.enter_context(opened.model.running())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield
        except (RuntimeError, ValueError, IndexError) as error:
            raise HarnessError("inference", first_line(error)) from error


def run_timed(call: Callable[[], Any], schedule: Dict[str, Any], channel: Channel) -> Steady:
    """First inference, warm-up and steady state, as the schedule's mode says.

    Nothing is said between them: who listens would be woken, and take the caches or even the core from the next
    inference.
    """
    least_s, least, most = schedule["min_time_s"], max(1, schedule["min_samples"]), schedule["max_samples"]
    steady = Steady()

    def beat(seconds: float, count: int) -> None:
        done = min(seconds / least_s if least_s else 1.0, count / float(least))
        channel.event("progress", done=min(1.0, done))
        if schedule["mode"] == "sustained" and seconds >= len(steady.trace) * least_s / TRACE_POINTS:
            steady.trace.append(trace_point(seconds, count))

    if schedule["mode"] == "cold":
        begin = clock()
        call()
        steady.first = clock() - begin
        steady.ticks.append(int(steady.first) if TICK_CODE == "q" else steady.first)
        return steady
    steady.begin(call, schedule["warmup_s"])
    if schedule["period_s"]:
        steady.ticks, steady.missed = paced_loop(
            call, period_s=schedule["period_s"], least_s=least_s, least=least, most=most, beat=Rarely(beat)
        )
    else:
        steady.ticks = timed_loop(call, least_s=least_s, least=least, most=most, beat=beat)
    return steady


class Rarely:
    """Passes on a beat each `HEARTBEAT_S`."""

    def __init__(self, beat: Callable[[float, int], None]) -> None:
        self._beat = beat
        self._next = HEARTBEAT_S

    def __call__(self, seconds: float, count: int) -> None:
        if seconds >= self._next:
            self._next = seconds + HEARTBEAT_S
            self._beat(seconds, count)


def trace_point(seconds: float, count: int) -> Dict[str, Any]:
    """The hottest zone and the fastest clock now, `seconds` into the steady state, after `count` samples."""
    state = cpu_state(ROOT)
    zones, clocks = state["temperature_c"] or {}, state["frequency_hz"] or []
    return {
        "seconds": round(seconds, 3),
        "samples": count,
        "temperature_c": max(zones.values()) if zones else None,
        "frequency_hz": max(clocks) if clocks else None,
        "throttled": state["throttled"],
        "power_mw": total_mw(state["power_mw"]),
    }


def measure_pair(job: Dict[str, Any], channel: Channel) -> Dict[str, Any]:
    """One repetition of two models that take turns: A B B A, so that a steady drift meets both alike."""
    before = whole_state()
    pair = [Opened(dict(job, **one), channel) for one in job["pair"]]
    schedule = job["schedule"]
    found = [Steady(), Steady()]
    with inferring(pair):
        for opened, steady in zip(pair, found):
            steady.begin(opened.call, schedule["warmup_s"])
        take_turns([opened.call for opened in pair], found, schedule, channel)
    for steady in found:
        steady.end()
    machine = dict(describe_machine(ROOT), before=before, after=whole_state())
    return {"pair": [opened.result(steady, machine) for opened, steady in zip(pair, found)]}


def take_turns(
    calls: Sequence[Callable[[], Any]], found: Sequence[Steady], schedule: Dict[str, Any], channel: Channel
) -> None:
    """Time both until each had its time and its samples; every other round begins with the other one."""
    least_s, least = schedule["min_time_s"], max(1, schedule["min_samples"])
    spent, order, told = [0.0, 0.0], (0, 1), clock()
    while min(spent) < least_s or min(len(steady.ticks) for steady in found) < least:
        for place in order:
            begin = clock()
            turn = timed_loop(calls[place], least_s=TURN_S, least=3, most=schedule["max_samples"])
            spent[place] += (clock() - begin) / TICKS_PER_S
            found[place].ticks.extend(turn)
        order = order[::-1]
        if clock() - told > HEARTBEAT_S * TICKS_PER_S:
            channel.event("progress", done=min(1.0, min(spent) / least_s) if least_s else 1.0)
            told = clock()
        if min(len(steady.ticks) for steady in found) >= schedule["max_samples"]:
            return


def measure_operators(job: Dict[str, Any], channel: Channel) -> Dict[str, Any]:
    """Where the time goes; the runtime's profiler slows the inferences down, so their sum is not a latency."""
    opened = Opened(job, channel)
    with inferring([opened]):
        warm_up(opened.call, job["schedule"]["warmup_s"])
        return {"operators": opened.model.operators(job["schedule"]["min_samples"])}


def probe(job: Dict[str, Any], channel: Channel) -> Dict[str, Any]:
    """Describe the machine."""
    del job, channel
    return {"machine": describe_machine(ROOT), "state": whole_state()}


def run_program(job: Dict[str, Any], channel: Channel) -> Dict[str, Any]:
    """Run a program that measures by itself: what it wrote (both outputs), its time, its peak memory, the machine."""
    import resource

    before = whole_state()
    channel.phase("run")
    start = clock()
    try:
        done = subprocess.run(
            job["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except OSError as error:
        raise HarnessError("no-program", "Cannot start {}: {}".format(job["argv"][0], first_line(error))) from error
    return {
        "returncode": done.returncode,
        "output": done.stdout.decode("utf-8", "replace")[-OUTPUT_CHARACTERS:],
        "elapsed_ns": nanoseconds(clock() - start),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        "environment": dict(describe_machine(ROOT), packages={}, before=before, after=whole_state()),
    }


OUTPUT_CHARACTERS = 50000
"""How much of a program's output is told, from its end."""


MODES = {
    "measure": measure,
    "pair": measure_pair,
    "operators": measure_operators,
    "golden": check_golden,
    "probe": probe,
    "program": run_program,
}


def read_job(arguments: Sequence[str]) -> Dict[str, Any]:
    """Read the job from a file, or from standard input for `-`.

    Raises:
        HarnessError: It cannot be read, is of another version, or lacks something.
    """
    if len(arguments) != 1:
        raise HarnessError("job", "usage: python3 on_device.py JOB.json")
    place = arguments[0]
    try:
        if place == "-":
            raw = sys.stdin.buffer.read()
        else:
            with open(place, "rb") as stream:
                raw = stream.read()
        job = json.loads(raw.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError("job", "Cannot read the job {}: {}".format(place, first_line(error))) from error
    version = job.get("job_version") if isinstance(job, dict) else None
    if version != JOB_VERSION:
        raise HarnessError(
            "version",
            "The job has version {}; harness {} on this device reads version {}.".format(
                version, HARNESS_VERSION, JOB_VERSION
            ),
        )
    if job.get("mode") not in MODES:
        raise HarnessError("job", "The job's mode is {!r}, not one of {}.".format(job.get("mode"), ", ".join(MODES)))
    if job["mode"] not in ("probe", "program") and job.get("format") not in MODELS:
        raise HarnessError("job", "This harness runs {}, not {!r}.".format(", ".join(MODELS), job.get("format")))
    return dict(job)


def check_clock(job: Dict[str, Any], root: str = "/") -> None:
    """Refuse to take instructions for time, or time for instructions.

    Raises:
        HarnessError: The device's clock is not the one that the job is for.
    """
    wanted = job.get("schedule", {}).get("clock", "wall")
    counts = COUNTING_CLOCK in (read_text("/proc/cmdline", root) or "").split()
    if wanted == "instructions" and not counts:
        raise HarnessError("clock", "This device's clock tells time; it does not count instructions.")
    if wanted == "wall" and counts and job["mode"] in ("measure", "pair"):
        raise HarnessError("clock", "This device's clock counts instructions; it does not tell time.")


def find_runtime(job: Dict[str, Any]) -> None:
    """Let imports look first where edgekit puts runtimes.

    That is one folder, the best there is, since two of them may hold packages that do not go together.
    """
    found = next((path for path in job.get("paths", []) if os.path.isdir(path)), None)
    if found:
        sys.path.insert(0, found)
    elif job.get("runtime"):
        raise HarnessError("no-runtime", "edgekit has not put {} on this device.".format(job["runtime"]))


def answer(arguments: Sequence[str], channel: Channel) -> int:
    """Do the job; 0, or 1 after an `error` event."""
    channel.event(
        "hello", harness=HARNESS_VERSION, job_version=JOB_VERSION, pid=os.getpid(), boot_id=read_text(BOOT_ID)
    )
    try:
        job = read_job(arguments)
        check_clock(job)
        find_runtime(job)
        with settings(job):
            result = MODES[job["mode"]](job, channel)
        channel.event("result", **result)
    except HarnessError as error:
        channel.event("error", kind=error.kind, message=str(error))
    except MemoryError:
        channel.event("error", kind="no-memory", message="The device's memory is too small for this model.")
    except Exception as error:  # noqa: BLE001 - the boundary of the process: the host gets every failure as an event
        traceback.print_exc()
        channel.event("error", kind="internal", message="{}: {}".format(type(error).__name__, first_line(error)))
    else:
        return 0
    return 1


def main() -> None:
    """Answer, and leave without running destructors: a runtime that crashes in them has a good result by then."""
    code = answer(sys.argv[1:], Channel())
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
