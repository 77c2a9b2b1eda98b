"""Format c: what the C source computes, what it takes, and what is refused."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit import catalog
from edgekit.artifact import Footprint
from edgekit.conversion import convert_all
from edgekit.errors import ConversionError, UsageError
from edgekit.model import Signature
from edgekit.planning import Request
from edgekit.source import open_source
from edgekit_converters.c.arena import Buffer, bound, plan_arena
from edgekit_converters.c.compile import compile_tflite
from models.c_cases import CASES, case_file
from models.c_reference import Reference
from models.graph import INT32, GraphWriter
from peers import c_program

SAMPLES = 50


def written(content: bytes, folder: Path) -> Footprint:
    """Write model.c and model.h of a TFLite file."""
    source, footprint = compile_tflite(content, *Reference(content).specs())
    (folder / "model.c").write_text(source.code)
    (folder / "model.h").write_text(source.header)
    return footprint


def computed(content: bytes, folder: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The reference's outputs and those of the compiled C, every sample and output."""
    written(content, folder)
    reference = Reference(content)
    samples = reference.samples(SAMPLES)
    expected = [reference.run(sample) for sample in samples]
    got = c_program.run(c_program.build(folder), samples, expected[0])
    return [pair for wanted, found in zip(expected, got, strict=True) for pair in zip(wanted, found, strict=True)]


@pytest.mark.slow
@pytest.mark.peer
class TestArithmetic:
    """C99 without a warning, clean under the address and undefined-behaviour sanitizers."""

    @pytest.mark.parametrize("name", CASES)
    def test_int8_equals_the_reference_kernels_to_the_bit(self, name: str, tmp_path: Path) -> None:
        """On random inputs over the whole range, and the outputs do use theirs."""
        pairs = computed(case_file(name, "int8"), tmp_path)
        for place in range(len(pairs) // SAMPLES):
            assert len(np.unique([wanted for wanted, _ in pairs[place :: len(pairs) // SAMPLES]])) > 20
        assert all(np.array_equal(wanted, found) for wanted, found in pairs)

    @pytest.mark.parametrize("name", CASES)
    def test_fp32_is_within_rounding_of_the_reference_kernels(self, name: str, tmp_path: Path) -> None:
        """1e-5 of the output's largest value."""
        for wanted, found in computed(case_file(name, "float32"), tmp_path):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())

    def test_floats_may_go_in_and_out_of_integer_arithmetic(self, tmp_path: Path) -> None:
        """Quantized and dequantized as the reference does it, what is out of range too."""
        net = GraphWriter("int8")
        x = net.tensor((1, 40), dtype="float32")
        net._inputs.append(x)
        q = net.op("QUANTIZE", [x], net.computed((1, 40), 0.02, 7))
        y = net.weighted("FULLY_CONNECTED", q, (12, 40), (1, 12), 12)
        pairs = computed(net.file(net.op("DEQUANTIZE", [y], net.tensor((1, 12), dtype="float32"))), tmp_path)
        assert all(np.array_equal(wanted, found) for wanted, found in pairs)

    def test_a_cortex_m4_multiplies_two_pairs_an_instruction(self, tmp_path: Path) -> None:
        """The DSP extension's SMLAD, in what a cross compiler makes of the same source."""
        written(case_file("separable", "int8"), tmp_path)
        assert "smlad" in c_program.listing(tmp_path)

    @pytest.mark.parametrize("name", ["dense", "convolution"])
    def test_with_the_dsp_extension_the_sums_are_the_same(self, name: str, tmp_path: Path) -> None:
        """Executed by an emulated Arm core, not only compiled: every length and both kinds of sums."""
        content = case_file(name, "int8")
        written(content, tmp_path)
        reference = Reference(content)
        samples = reference.samples(10)
        expected = [reference.run(sample) for sample in samples]
        got = c_program.run(c_program.build_for_arm(tmp_path), samples, expected[0])
        assert all(
            np.array_equal(*pair) for both in zip(expected, got, strict=True) for pair in zip(*both, strict=True)
        )


class TestPlan:
    """Tensors share one arena."""

    def test_what_is_needed_together_does_not_overlap(self) -> None:
        """And the arena is as small as the most that is needed at once, where an order is found that reaches it."""
        rng = np.random.default_rng(0)
        starts = rng.integers(0, 20, 30)
        buffers = [
            Buffer(key=key, bytes=int(rng.integers(1, 5000)), first=int(at), last=int(at + rng.integers(0, 6)))
            for key, at in enumerate(starts)
        ]
        plan = plan_arena(buffers)
        for one in buffers:
            assert plan.offsets[one.key] % 16 == 0
            for other in buffers:
                if one.key < other.key and one.first <= other.last and other.first <= one.last:
                    at, there = plan.offsets[one.key], plan.offsets[other.key]
                    assert at + one.bytes <= there or there + other.bytes <= at
        assert bound(buffers) <= plan.bytes <= 1.1 * bound(buffers)

    @pytest.mark.slow
    def test_layers_work_in_place_where_nobody_reads_their_input_again(self) -> None:
        """A chain of functions of one element takes the bytes of one tensor."""
        net = GraphWriter("float32")
        x = net.input(1, 100)
        for name in ("TANH", "LOGISTIC", "RELU"):
            x = net.op(name, [x], net.computed((1, 100), 1.0))
        assert compiled(net, x).arena_bytes == 400

    @pytest.mark.slow
    def test_an_input_that_is_read_again_keeps_its_bytes(self) -> None:
        """The sum at the end needs what went into the first layer."""
        net = GraphWriter("float32")
        x = net.input(1, 100)
        y = net.op("TANH", [x], net.computed((1, 100), 1.0))
        assert compiled(net, net.op("ADD", [x, y], net.computed((1, 100), 1.0))).arena_bytes == 800


def compiled(net: GraphWriter, *outputs: int) -> Footprint:
    """What a network takes."""
    content = net.file(*outputs)
    return compile_tflite(content, *Reference(content).specs())[1]


def request(path: Path, out: Path, **options: Any) -> Request:
    """A conversion of a .tflite file to C."""
    return Request(source=open_source(str(path)), formats=("c",), precisions=("fp32",), out=out, **options)


@pytest.mark.slow
class TestArtifact:
    def test_a_model_becomes_c_that_agrees_with_its_source(self, linear_tflite: Path, tmp_path: Path) -> None:
        """Compiled and run beside it when it is made; the manifest says what it takes."""
        (made,) = convert_all(request(linear_tflite, tmp_path)).made
        manifest = made.artifact.manifest
        assert manifest.parity.passed
        assert manifest.parity.runtime.startswith("C, ")
        assert {entry.name for entry in manifest.files} == {"model.c", "model.h", "golden.npz"}
        assert manifest.footprint is not None
        assert manifest.footprint.weight_bytes == 4 * (12 + 3)
        assert [(layer.operator, layer.macs) for layer in manifest.footprint.layers] == [("FULLY_CONNECTED", 12)]
        header = (made.artifact.path / "model.h").read_text()
        assert f"#define EDGEKIT_ARENA_BYTES {manifest.footprint.arena_bytes}\n" in header
        assert "#define EDGEKIT_MODEL_INTERFACE 1\n" in header
        text = made.artifact.model.read_text()
        assert '.name = "x"' in text
        assert 'edgekit_model_name[] = "linear-c-fp32"' in text

    def test_a_file_that_is_int8_already_is_taken_as_it_is(self, tmp_path: Path) -> None:
        """Nothing is calibrated, and the C model equals its source; real numbers go in and come out."""
        path = tmp_path / "dense.tflite"
        path.write_bytes(case_file("dense", "int8"))
        asked = msgspec.structs.replace(request(path, tmp_path), precisions=("int8",))
        (made,) = convert_all(asked).made
        assert made.artifact.manifest.parity.worst.sqnr_db is None
        assert [spec.dtype for spec in made.artifact.manifest.signature.inputs] == ["int8"]
        with pytest.raises(UsageError, match="is quantized already"):
            convert_all(request(path, tmp_path))
        with pytest.raises(UsageError, match="are what they are"):
            convert_all(msgspec.structs.replace(asked, io_type="int8"))

    def test_without_a_compiler_nothing_can_be_compared(
        self, linear_tflite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error says how to get one."""
        (made,) = convert_all(request(linear_tflite, tmp_path)).made
        runtime = next(item for item in catalog.runtimes() if item.format == "c")
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UsageError, match=r"no C compiler: .* \(apt-get install gcc\)"):
            runtime.open(made.artifact.model, Signature(inputs=(), outputs=()), threads=1, engine="")

    def test_an_operator_without_a_kernel_is_named_before_work_starts(self, tmp_path: Path) -> None:
        """With its layer."""
        net = GraphWriter("float32")
        (tmp_path / "abs.tflite").write_bytes(net.file(net.op("ABS", [net.input(1, 4)], net.computed((1, 4), 1.0))))
        with pytest.raises(UsageError, match=re.escape("Format c cannot compute ABS (layer 'layer/t1').")):
            convert_all(request(tmp_path / "abs.tflite", tmp_path))

    def test_a_type_without_arithmetic_is_named(self) -> None:
        """There is int8 and float32."""
        net = GraphWriter("float32")
        x = net.tensor((1, 4), dtype="int32")
        net._inputs.append(x)
        with pytest.raises(ConversionError, match=r"cannot compute ADD .* no kernel for int32"):
            compiled(net, net.op("ADD", [x, x], net.tensor((1, 4), dtype="int32")))

    def test_shapes_that_never_change_are_computed_beforehand(self) -> None:
        """SHAPE and what follows from it leave no layer."""
        net = GraphWriter("float32")
        x = net.input(2, 3)
        shape = net.op("SHAPE", [x], net.tensor((2,), dtype="int32"), outType=INT32)
        y = net.op("RESHAPE", [net.op("RELU", [x], net.computed((2, 3), 1.0)), shape], net.computed((2, 3), 1.0))
        assert [layer.operator for layer in compiled(net, y).layers] == ["RELU"]
