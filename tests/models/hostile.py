"""Files that want to run code, to take the machine down, or that lie: each as the words behind `edgekit convert`."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

Words = list[str]

CANARY: Final = "canary"
"""What code in a file would create in its working directory."""

CASES: Final[dict[str, Callable[[Path], Words]]] = {}

_GIB: Final = 1 << 30


def _case(build: Callable[[Path], Words]) -> Callable[[Path], Words]:
    CASES[build.__name__.removeprefix("_")] = build
    return build


class _Payload:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {CANARY}",)


def _archive(path: Path, members: dict[str, bytes], *, stored: bool = True) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _zeros(path: Path, name: str, size: int, **members: bytes) -> Path:
    """A zip whose member becomes `size` zeros."""
    _archive(path, members)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as stream,
    ):
        for _ in range(size >> 24):
            stream.write(bytes(1 << 24))
    return path


def _module(folder: Path) -> Path:
    path = folder / "net.py"
    path.write_text("import torch\n\ndef make_net():\n    return torch.nn.Linear(4, 2)\n")
    return path


def _linear_onnx(folder: Path, change: Callable[[Any], None]) -> Words:
    """An ONNX file of one matrix product, changed."""
    from onnx import TensorProto, helper, numpy_helper

    weights = [numpy_helper.from_array(np.ones((4, 2), np.float32), "w")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 2))], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    change(model)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return ["net.onnx", "--format", "onnx"]


def _script(folder: Path, code: str) -> Words:
    """A TorchScript file of a module with this body of `forward(self, x)`."""
    import torch

    kind = type(f"Net{len(code)}", (torch.nn.Module,), {})  # a class has one forward in a process
    holder = torch.jit.script(kind())
    holder.define(f"def forward(self, x):\n{code}")
    holder.save(str(folder / "net.pt"))
    return ["net.pt", "--input", "x=1x4", "--format", "torchscript"]


# Pickles and code


@_case
def pickled_module(folder: Path) -> Words:
    """`torch.save(module)`, called TorchScript."""
    _archive(folder / "net.pt", {"net/data.pkl": pickle.dumps(_Payload(), 2), "net/version": b"3\n"})
    return ["net.pt", "--input", "x=1x4", "--format", "torchscript"]


@_case
def bare_pickle(folder: Path) -> Words:
    """A pickle without an archive, as PyTorch wrote them until 1.5."""
    (folder / "net.pth").write_bytes(pickle.dumps(_Payload()))
    return ["net.pth", "--input", "x=1x4", "--format", "torchscript"]


@_case
def checkpoint_with_code(folder: Path) -> Words:
    """Weights that are a pickle of anything."""
    _module(folder)
    _archive(folder / "w.pt", {"w/data.pkl": pickle.dumps({"weight": _Payload()}, 2), "w/version": b"3\n"})
    return ["net.py:make_net", "--weights", "w.pt", "--input", "input=1x4", "--format", "torchscript"]


def _program(folder: Path, members: dict[str, bytes]) -> Words:
    _archive(folder / "net.pt2", {"net/models/model.json": b"{}", "net/archive_format": b"pt2", **members})
    return ["net.pt2", "--format", "onnx"]


@_case
def program_with_pickled_inputs(folder: Path) -> Words:
    """torch.export.load unpickles sample inputs without restriction when the restricted way fails."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Payload(), 2))
    return _program(folder, {"net/data/sample_inputs/model.pt": inner.getvalue()})


@_case
def program_with_an_expression(folder: Path) -> Words:
    """Shape expressions are evaluated."""
    document = {"expr_str": f"__import__('os').system('touch {CANARY}')"}
    return _program(folder, {"net/models/model.json": json.dumps(document).encode()})


@_case
def program_with_a_library(folder: Path) -> Words:
    """Compiled code would be loaded."""
    return _program(folder, {"net/data/aotinductor/model/m.so": b"\x7fELF"})


@_case
def keras_lambda(folder: Path) -> Words:
    """Python code of the file, as bytes of a function."""
    layer = {"class_name": "Lambda", "config": {"name": "l", "function": {"class_name": "__lambda__"}}}
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()
    _archive(folder / "net.keras", {"config.json": config, "metadata.json": b"{}", "model.weights.h5": b""})
    return ["net.keras", "--format", "tflite"]


@_case
def legacy_keras_lambda(folder: Path) -> Words:
    """The same in an HDF5 file, which Keras read without asking until 3.11."""
    import base64
    import marshal

    import h5py

    code = marshal.dumps(compile(f"open({CANARY!r}, 'w')", "x", "eval"))
    function = [base64.b64encode(code).decode(), None, None]
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"}},
        {"class_name": "Lambda", "config": {"name": "l", "function": function, "function_type": "lambda"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    with h5py.File(folder / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = []
    return ["net.h5", "--format", "tflite"]


@_case
def objects_as_calibration(folder: Path) -> Words:
    """NumPy stores Python objects as pickles."""
    words = _linear_onnx(folder, lambda _: None)
    np.savez(folder / "data.npz", x=np.array([_Payload()], dtype=object), allow_pickle=True)
    return [*words, "--precision", "int8", "--calibration", "data.npz"]


# Models that act when they run


@_case
def savedmodel_that_writes(folder: Path) -> Words:
    """A graph may write files; only its operators' names are looked at, so a made-up graph does."""
    (folder / "net").mkdir()
    (folder / "net" / "saved_model.pb").write_bytes(b"\x08\x01\x12\x10\n\x09WriteFile\x12\x03any")
    return ["net", "--format", "tflite"]


@_case
def script_that_writes(folder: Path) -> Words:
    """`torch.from_file` makes the file that it maps."""
    return _script(folder, f"  return torch.from_file({CANARY!r}, True, 4, dtype=torch.float32) + x\n")


@_case
def script_that_never_ends(folder: Path) -> Words:
    """Nothing but time ends it."""
    words = _script(folder, "  n = 0\n  while n >= 0:\n    x = x + 1.0\n    n = (n + 1) % 7\n  return x\n")
    return [*words, "--timeout", "8"]


@_case
def script_that_eats_memory(folder: Path) -> Words:
    """A few operators ask for more than the machine has."""
    words = _script(folder, f"  return torch.ones([{_GIB}]) + torch.ones([{_GIB}]) + x[0, 0]\n")
    return [*words, "--memory-limit", "1G"]


@_case
def onnx_loop_that_never_ends(folder: Path) -> Words:
    """A Loop without a bound."""
    from onnx import TensorProto, helper

    def change(model: Any) -> None:
        body = helper.make_graph(
            [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Add", ["v", "v"], ["vo"])], "body",
            [helper.make_tensor_value_info("i", TensorProto.INT64, ()),
             helper.make_tensor_value_info("c", TensorProto.BOOL, ()),
             helper.make_tensor_value_info("v", TensorProto.FLOAT, (1, 4))],
            [helper.make_tensor_value_info("co", TensorProto.BOOL, ()),
             helper.make_tensor_value_info("vo", TensorProto.FLOAT, (1, 4))],
        )  # fmt: skip
        true = helper.make_node("Constant", [], ["t"], value=helper.make_tensor("t", TensorProto.BOOL, (), [True]))
        loop = helper.make_node("Loop", ["", "t", "x"], ["z"], body=body)
        product = helper.make_node("MatMul", ["z", "w"], ["y"])
        del model.graph.node[:]
        model.graph.node.extend([true, loop, product])

    return [*_linear_onnx(folder, change), "--timeout", "8"]


# Bombs and claims


@_case
def npz_bomb(folder: Path) -> Words:
    """Two megabytes that become two gibibytes."""
    words = _linear_onnx(folder, lambda _: None)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 27, 4)})
    path = folder / "data.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as out,
    ):
        out.write(header.getvalue())
        for _ in range(128):
            out.write(bytes(1 << 24))
    return [*words, "--precision", "int8", "--calibration", "data.npz"]


@_case
def npy_that_claims(folder: Path) -> Words:
    """A header of 2 GiB, and nothing behind it."""
    words = _linear_onnx(folder, lambda _: None)
    with (folder / "data.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 27, 4)})
    return [*words, "--precision", "int8", "--calibration", "data.npy"]


@_case
def keras_bomb(folder: Path) -> Words:
    """Weights that unpack to 4 GiB."""
    _zeros(folder / "net.keras", "model.weights.h5", 4 * _GIB, **{"config.json": b'{"class_name": "Functional"}'})
    return ["net.keras", "--format", "tflite"]


@_case
def program_bomb(folder: Path) -> Words:
    """A program whose description unpacks to 4 GiB."""
    _zeros(folder / "net.pt2", "net/models/model.json", 4 * _GIB)
    return ["net.pt2", "--format", "onnx"]


@_case
def script_bomb(folder: Path) -> Words:
    """Constants that unpack to 4 GiB."""
    _zeros(folder / "net.pt", "net/constants.pkl", 4 * _GIB, **{"net/code/x.py": b"", "net/data.pkl": b""})
    return ["net.pt", "--input", "x=1x4", "--format", "torchscript"]


@_case
def onnx_that_claims(folder: Path) -> Words:
    """Weights of 2 GiB, by their dimensions alone."""

    def change(model: Any) -> None:
        model.graph.initializer[0].dims[:] = [4, 1 << 27]

    return _linear_onnx(folder, change)


@_case
def onnx_that_asks(folder: Path) -> Words:
    """An operator that makes 16 GiB out of three numbers."""
    from onnx import TensorProto, helper

    def change(model: Any) -> None:
        shape = helper.make_tensor("s", TensorProto.INT64, (2,), [1 << 16, 1 << 16])
        nodes = [
            helper.make_node("Constant", [], ["s"], value=shape),
            helper.make_node("ConstantOfShape", ["s"], ["big"]),
            helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
            helper.make_node("MatMul", ["x", "w"], ["p"]),
            helper.make_node("Add", ["p", "sum"], ["y"]),
        ]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    return [*_linear_onnx(folder, change), "--memory-limit", "1G"]


def _tflite(folder: Path, change: Callable[[Any], None] = lambda _: None) -> bytes:
    """A TFLite file of one ADD of two (1, 4) tensors, changed before it is written."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.buffers = 3, [schema.BufferT()]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    for name in ("x", "y"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 4], schema.TensorType.FLOAT32, 0
        graph.tensors = [*(graph.tensors or []), tensor]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.operatorCodes, model.subgraphs = [code], [graph]
    change(model)
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    (folder / "net.tflite").write_bytes(content)
    return content


_TFLITE_WORDS: Final = ["net.tflite", "--format", "tflite"]


@_case
def tflite_that_claims(folder: Path) -> Words:
    """Tensors of 16 GiB."""

    def change(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            tensor.shape = [1, 1 << 16, 1 << 16]

    _tflite(folder, change)
    return _TFLITE_WORDS


@_case
def tflite_with_lying_offsets(folder: Path) -> Words:
    """The root points behind the end."""
    content = bytearray(_tflite(folder))
    struct.pack_into("<I", content, 0, 0x7FFFFFF0)
    (folder / "net.tflite").write_bytes(content)
    return _TFLITE_WORDS


@_case
def tflite_with_wrong_tensors(folder: Path) -> Words:
    """An operator reads a tensor that does not exist."""

    def change(model: Any) -> None:
        model.subgraphs[0].operators[0].inputs = [0, 4000]

    _tflite(folder, change)
    return _TFLITE_WORDS


@_case
def tflite_cut(folder: Path) -> Words:
    """Half of it."""
    content = _tflite(folder)
    (folder / "net.tflite").write_bytes(content[: len(content) // 2])
    return _TFLITE_WORDS


# Paths


@_case
def onnx_weights_elsewhere(folder: Path) -> Words:
    """External data that is any file of the machine."""
    from onnx.external_data_helper import set_external_data

    def change(model: Any) -> None:
        set_external_data(model.graph.initializer[0], location="../../../../../../etc/passwd")
        model.graph.initializer[0].ClearField("raw_data")

    return _linear_onnx(folder, change)


@_case
def archive_that_leaves(folder: Path) -> Words:
    """A member with a path above the archive."""
    _archive(folder / "net.keras", {"config.json": b"{}", f"../{CANARY}": b"x"})
    return ["net.keras", "--format", "tflite"]


@_case
def archive_with_an_absolute_path(folder: Path) -> Words:
    """A member with a path from the root."""
    return _program(folder, {f"{folder / CANARY}": b"x"})


@_case
def named_pipe(folder: Path) -> Words:
    """Reading it would wait without end."""
    os.mkfifo(folder / "net.onnx")
    return ["net.onnx", "--format", "onnx"]


@_case
def endless_device(folder: Path) -> Words:
    """Reading it never ends."""
    (folder / "net.tflite").symlink_to("/dev/zero")
    return _TFLITE_WORDS


@_case
def link_to_itself(folder: Path) -> Words:
    """Nothing is at its end."""
    (folder / "net.pt2").symlink_to("net.pt2")
    return ["net.pt2", "--format", "onnx"]


@_case
def pipe_as_weights(folder: Path) -> Words:
    """A checkpoint that never comes."""
    _module(folder)
    os.mkfifo(folder / "w.pt")
    return ["net.py:make_net", "--weights", "w.pt", "--input", "input=1x4", "--format", "torchscript"]


@_case
def pipe_as_calibration(folder: Path) -> Words:
    """Samples that never come."""
    os.mkfifo(folder / "data.npz")
    return [*_linear_onnx(folder, lambda _: None), "--precision", "int8", "--calibration", "data.npz"]


@_case
def savedmodel_of_pipes(folder: Path) -> Words:
    """A folder whose graph is a pipe, with a link to itself beside it."""
    (folder / "net").mkdir()
    os.mkfifo(folder / "net" / "saved_model.pb")
    (folder / "net" / "again").symlink_to(folder / "net", target_is_directory=True)
    return ["net", "--format", "tflite"]


@_case
def savedmodel_with_piped_variables(folder: Path) -> Words:
    """An honest graph whose variables are a pipe."""
    (folder / "net" / "variables").mkdir(parents=True)
    (folder / "net" / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02\n\x00")
    os.mkfifo(folder / "net" / "variables" / "variables.index")
    return ["net", "--format", "tflite", "--timeout", "8"]


@_case
def image_bomb(folder: Path) -> Words:
    """A folder of images, one of which says that it has 10 GB of pixels."""
    (folder / "data").mkdir()
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "data" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    _module(folder)
    words = ["net.py:make_net", "--input", "input=1x3x8x4", "--format", "torchscript"]
    return [*words, "--precision", "int8", "--calibration", "data"]


@_case
def samples_of_pipes(folder: Path) -> Words:
    """A folder of samples, one of them a pipe."""
    (folder / "data").mkdir()
    np.save(folder / "data" / "0.npy", np.ones((1, 4), np.float32))
    os.mkfifo(folder / "data" / "1.npy")
    return [*_linear_onnx(folder, lambda _: None), "--precision", "int8", "--calibration", "data"]


# Nesting


@_case
def nested_program(folder: Path) -> Words:
    """JSON a hundred thousand lists deep."""
    return _program(folder, {"net/models/model.json": b"[" * 100_000})


@_case
def nested_keras(folder: Path) -> Words:
    """The same in a Keras file."""
    _archive(folder / "net.keras", {"config.json": b'{"a":' * 100_000, "metadata.json": b"{}"})
    return ["net.keras", "--format", "tflite"]
