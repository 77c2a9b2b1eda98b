"""MLPerf Tiny's text protocol: our firmware answers as the reference does, our host speaks to such firmware."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit.errors import MeasurementError, UsageError
from edgekit.model import TensorSpec
from edgekit.run import Schedule
from edgekit.serial_url import serial_url
from edgekit_bridge.serial.mlperf_run import raw_inputs, split_results
from edgekit_bridge.serial.mlperf_tiny import LOAD_BYTES, RefusedError, TextBoard
from edgekit_bridge.serial.port import open_port
from edgekit_bridge.serial.stream import PortStream
from models.negated_c import with_quantization
from peers.boards import StartBoard

REFERENCE = {
    "name": [r"m-name-dut-\[[^\]]+\]"],
    "profile": [r"m-profile-\[[^\]]+\]", r"m-model-\[[^\]]+\]"],
    "timestamp": [r"m-lap-us-[0-9]+"],
    "db load 4": [r"m-\[Expecting 4 bytes\]"],
    "db 0102": [],
    "db 03FF": [r"m-load-done"],
    "infer 3 2": [
        r"m-warmup-start-2",
        r"m-warmup-done",
        r"m-infer-start-3",
        r"m-lap-us-[0-9]+",
        r"m-lap-us-[0-9]+",
        r"m-infer-done",
        r"m-results-\[[-0-9.,]+\]",
    ],
    "results": [r"m-results-\[[-0-9.,]+\]"],
}
"""Commands, and the lines that the reference firmware answers, `m-ready` aside."""

REFUSED = {
    "db": "requires a subcommand",
    "db load": "requires the # of bytes",
    "db load 0": "must be >0 bytes",
    "db load 5": "takes fewer bytes",
    "db 123": "number of hex digits",
    "db zz": "Invalid hex digit",
    "infer 0": "iterations must be >0",
    "infer 1 -1": "warmup must be >=0",
    "frobnicate": "Unknown command: frobnicate",
    "x" * 200: "Unknown command: xxx",
}


@contextmanager
def text_board(url: str) -> Iterator[TextBoard]:
    """The text side of firmware."""
    with open_port(serial_url(parse_device(url), ["protocol", "seconds"])) as port:
        yield TextBoard(PortStream(port))


@pytest.mark.peer
class TestFirmware:
    def test_answers(self, posix_firmware: Path, start_board: StartBoard) -> None:
        """Line by line what the reference firmware's runner looks for."""
        with text_board(start_board(posix_firmware)) as board:
            assert (board.name, board.model) == ("edgekit posix", "negated")
            for command, expected in REFERENCE.items():
                lines = board.command(command)
                assert len(lines) == len(expected), command
                for line, pattern in zip(lines, expected, strict=True):
                    assert re.fullmatch(pattern, line), command

    def test_refusals(self, posix_firmware: Path, start_board: StartBoard) -> None:
        """Each is said, and the next command works."""
        with text_board(start_board(posix_firmware)) as board:
            for command, complaint in REFUSED.items():
                with pytest.raises(RefusedError, match=re.escape(complaint)):
                    board.command(command)
            assert board.command("timestamp")

    def test_results_are_those_of_the_model(self, posix_firmware: Path, start_board: StartBoard) -> None:
        """Dequantized, with digits enough to tell one 8-bit number from the next."""
        with text_board(start_board(posix_firmware)) as board:
            board.load(bytes([1, 2, 3, 250]))
            found = board.infer(2, 0, patience_s=5)
        assert found.results == (1.0, 0.5, 0.0, 4.5)
        assert found.elapsed_us >= 0

    def test_both_protocols_on_one_line(self, negated: Artifact, posix_firmware: Path, start_board: StartBoard) -> None:
        """A board that was spoken to in text is measured by frames, and the other way round."""
        url = start_board(posix_firmware)
        for _ in range(2):
            with text_board(url) as board:
                assert board.command("timestamp")
            short = Schedule(repeat=1, min_time_s=0.0, min_samples=5, warmup_s=0.0)
            assert edgekit.benchmark(negated, device=url, schedule=short).golden


@pytest.mark.peer
@pytest.mark.slow
def test_a_run_by_the_rules(negated: Artifact, posix_firmware: Path, start_board: StartBoard, tmp_path: Path) -> None:
    """Five inputs, ten inferences and so many seconds each; golden vectors and accuracy by the same text."""
    x = np.random.default_rng(3).integers(-50, 50, (6, 4)).astype(np.float32)
    x[:, 0] -= 0.5
    np.savez(tmp_path / "test.npz", x=x, labels=x.argmin(axis=1))
    url = f"{start_board(posix_firmware)}?protocol=mlperf-tiny&seconds=0.02"
    # The firmware keeps int8 inputs; the artifact, like a TFLite file with real inputs, must say how to make them.
    run = edgekit.benchmark(with_quantization(negated), device=url, evaluation=tmp_path / "test.npz")
    assert len(run.repetitions) == 5
    assert all(item.inferences >= 10 for item in run.repetitions)
    assert all(item.inferences * item.samples_ns[0] >= 0.02e9 for item in run.repetitions)
    assert run.golden is not None
    assert run.golden.passed
    assert run.evaluation is not None
    assert run.evaluation.accuracy == 1.0
    assert run.firmware is not None
    assert run.firmware.protocol == "mlperf-tiny"
    assert "not by the rules, which ask for 10 s" in run.method


class _Stranger:
    """Firmware of somebody else's, on a socket: answers by a function."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"serial:socket://127.0.0.1:{self._server.getsockname()[1]}"
        self.longest = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line, _ = self._server.accept()
        with line, self._server:
            line.sendall(b"m-init-done\r\nm-ready\r\n")
            rest = b""
            while data := line.recv(100):
                *commands, rest = (rest + data).split(b"%")
                for command in commands:
                    self.longest = max(self.longest, len(command))
                    line.sendall(self._answer(command.decode()).encode() + b"m-ready\r\n")


def resnet(command: str) -> str:
    """A board with MLPerf Tiny's image classification model, of another maker."""
    word = command.partition(" ")[0]
    return {
        "name": "m-name-dut-[NUCLEO-L4R5ZI]\r\n",
        "profile": "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[ic01]\r\n",
        "infer": "m-lap-us-4294967000\r\nm-lap-us-704\r\nm-infer-done\r\nm-results-[0.004,0.996]\r\n",
        "db": "m-[Expecting 4 bytes]\r\n" if "load" in command else "m-load-done\r\n",
    }.get(word, f"e-[Unknown command: {word}]\r\n")


class TestHost:
    def test_a_board_of_another_maker(self) -> None:
        """Is met, loaded and asked; its clock of 32 bits may begin again meanwhile."""
        stranger = _Stranger(resnet)
        with text_board(stranger.url) as board:
            assert (board.name, board.model) == ("NUCLEO-L4R5ZI", "ic01")
            board.load(bytes(100))
            assert board.infer(1, 0, patience_s=1) == (1000, (0.004, 0.996))
        assert stranger.longest == len("db ") + 2 * LOAD_BYTES
        assert stranger.longest < 80

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("e-[Insufficient memory]\r\n", "does not infer: e-.Insufficient memory"),
            ("m-infer-done\r\n", "told no times or no results"),
            ("m-lap-us-1\r\nm-lap-us-2\r\nm-results-[1.0,zwei]\r\n", "results that are no numbers"),
        ],
    )
    def test_an_inference_that_failed(self, line: str, complaint: str) -> None:
        """Is one error that shows what the board said."""
        stranger = _Stranger(lambda command: line if command.startswith("infer") else resnet(command))
        with text_board(stranger.url) as board, pytest.raises(MeasurementError, match=complaint):
            board.infer(1, 0, patience_s=1)

    def test_a_line_on_which_something_else_speaks(self) -> None:
        """A shell's prompt is no such firmware."""
        stranger = _Stranger(lambda command: f"sh: {command}: not found\r\n")
        with pytest.raises(MeasurementError, match="Nothing that speaks MLPerf Tiny"), text_board(stranger.url):
            pass

    def test_a_name_that_a_terminal_would_obey(self) -> None:
        """Is shown without what it would do."""
        stranger = _Stranger(lambda command: resnet(command).replace("NUCLEO", "\x1b[2JNUCLEO"))
        with text_board(stranger.url) as board:
            assert board.name == "2JNUCLEO-L4R5ZI"

    def test_layers_are_not_told(self, negated: Artifact) -> None:
        """The protocol has no word for them."""
        stranger = _Stranger(resnet)
        with pytest.raises(UsageError, match="neither layers nor instructions"):
            edgekit.benchmark(negated, device=f"{stranger.url}?protocol=mlperf-tiny", operators=True)

    def test_inputs_one_after_the_other(self, negated: Artifact) -> None:
        """As the model file stores them: quantized where the manifest says how."""
        manifest = with_quantization(negated).manifest
        assert raw_inputs(manifest, {"x": np.array([[-1, 0, 1, 100]], np.float32)}) == [bytes([1, 3, 5, 127])]

    def test_results_that_are_not_the_models(self) -> None:
        """Another number of them is another model."""
        specs = [TensorSpec(name="a", shape=(1, 2), dtype="float32"), TensorSpec(name="b", shape=(1,), dtype="float32")]
        found = split_results(specs, [1.0, 2.0, 3.0])
        assert found["a"].tolist() == [[1.0, 2.0]]
        assert found["b"].tolist() == [3.0]
        with pytest.raises(MeasurementError, match="gave 4 results"):
            split_results(specs, [1.0] * 4)
