"""`edgekit convert` as a user meets it: what goes wrong is said in one line, with the next step and an exit code."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekit_cli.main import main

NET = Path(__file__).parents[1] / "models" / "net.py"


def _data(path: Path, **arrays: object) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # arrays by name
    return str(path)


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a request that must be refused as bad input; its message."""
    assert main(["convert", *arguments]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return printed.err


def test_names_that_do_not_exist_are_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Format, precision and target, before the source is even opened."""
    net = f"{NET}:make_net"
    assert "Did you mean tflite?" in _refused(capsys, net, "-f", "tfllite")
    assert "Did you mean int8" in _refused(capsys, net, "-f", "tflite", "-p", "int-8")
    assert "Did you mean raspberrypi4" in _refused(capsys, net, "-f", "tflite", "--target", "raspberypi4")


def test_int8_without_calibration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the option that is missing."""
    assert "--calibration" in _refused(capsys, f"{NET}:make_net", "-f", "tflite", "-p", "int8")


def test_integer_inputs_are_refused_where_nothing_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Of other precisions than int8, and of formats whose runtime quantizes inside."""
    net = f"{NET}:make_net"
    assert "--precision int8" in _refused(capsys, net, "-f", "tflite", "--io-type", "int8")
    message = _refused(capsys, net, "-f", "onnx", "-p", "int8", "--io-type", "int8")
    assert "onnx artifacts keep real-valued inputs" in message


def test_what_no_runtime_computes_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By format and precision, before any work; and a way to find ranges that a quantizer has not."""
    net = f"{NET}:make_net"
    message = _refused(capsys, net, "-f", "executorch", "-p", "int16x8")
    assert "XNNPACK has no kernels for 16-bit activations" in message
    assert "fp32, fp16, dynamic-int8, int8" in message
    samples = _data(tmp_path / "samples.npz", image=np.zeros((4, 1, 8, 8), np.float32))
    arguments = ["-p", "int8", "--calibration", samples, "--calibration-method", "entropy"]
    assert "use histogram or min-max" in _refused(capsys, net, "-f", "torchscript", *arguments)
    assert "least and greatest value" in _refused(capsys, net, "-f", "tflite", *arguments)


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.pt2", "net.pt"])
def test_files_that_are_damaged_are_refused_without_a_framework(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty, garbled: one line that names the file; the output folder is not even made."""
    out = tmp_path / "out"
    path = tmp_path / name
    assert name in _refused(capsys, str(path), "-f", "tflite", "-o", str(out))
    path.touch()
    assert "is empty" in _refused(capsys, str(path), "-f", "tflite", "-o", str(out))
    path.write_bytes(b"PK\x03\x04 and then something else")
    assert name in _refused(capsys, str(path), "-f", "tflite", "-o", str(out))
    assert not out.exists()


def test_a_pickle_in_an_exported_program_needs_the_users_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before PyTorch opens it, and the way to trust it is told."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch /nowhere'\ntR.")
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("net/models/model.json", "{}")
        archive.writestr("net/data/sample_inputs/model.pt", inner.getvalue())
    message = _refused(capsys, str(tmp_path / "net.pt2"), "-f", "tflite")
    assert "os.system" in message
    assert "--trust" in message


def test_wrong_calibration_paths_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file is told before the model is loaded."""
    message = _refused(
        capsys, f"{NET}:make_net", "-f", "tflite", "-p", "int8", "--calibration", str(tmp_path / "x.npz")
    )
    assert "x.npz" in message


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands in the way."""
    (tmp_path / "out").write_text("x")
    assert main(["convert", f"{NET}:make_net", "-f", "torchscript", "-o", str(tmp_path / "out")]) == 2
    assert "out" in capsys.readouterr().err


def test_errors_are_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """With cause, hint and exit code."""
    assert main(["convert", "absent.keras", "-f", "tflite", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exit_code"] == 2
    assert "absent.keras" in error["cause"]
    assert error["hint"]


def test_a_target_that_cannot_run_the_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before any work, with the formats that it runs."""
    message = _refused(capsys, f"{NET}:make_net", "-f", "torchscript", "--target", "linux-armv7")
    assert "no runtime for torchscript" in message
    assert "--format tflite" in message


def test_a_dry_run_shows_the_plan_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Route, bar and engine, in no time."""
    arguments = [
        "-f",
        "tflite",
        "-f",
        "torchscript",
        "--dry-run",
        "--target",
        "raspberrypi4",
        "-o",
        str(tmp_path / "o"),
    ]
    assert main(["convert", f"{NET}:make_net", *arguments]) == 0
    assert "net-tflite-fp32-raspberrypi4: pytorch → litert-torch" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and data, written by the model's own file."""
    folder = tmp_path_factory.mktemp("work")
    subprocess.run([sys.executable, str(NET), str(folder)], check=True)
    return folder


@pytest.mark.slow
def test_converting_again_takes_what_was_made_before(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until anything that decides the result changes: here, the factory's own file."""
    file = tmp_path / "net.py"
    file.write_text(NET.read_text())
    arguments = ["convert", f"{file}:make_net", "--weights", str(work / "net.pt"), "-f", "torchscript", "--json"]
    arguments += ["--eval", str(work / "test.npz"), "-o", str(tmp_path / "out")]
    cached = []
    for text in ("", "", "\n# another comment\n"):
        file.write_text(file.read_text() + text)
        assert main(arguments) == 0
        (artifact,) = json.loads(capsys.readouterr().out)["artifacts"]
        cached.append(artifact["cached"])
    assert cached == [False, True, False]


@pytest.mark.slow
def test_what_a_factory_reads_decides_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration file that the factory opens is an input like its own code."""
    (tmp_path / "net.py").write_text(
        "from pathlib import Path\nfrom torch import nn\n"
        "def make():\n    return nn.Linear(3, int(open(Path(__file__).with_name('width.txt')).read()))\n"
    )
    arguments = ["convert", f"{tmp_path}/net.py:make", "-f", "torchscript", "--input", "input=1x3", "--json"]
    seen = []
    for width in ("4", "4", "5"):
        (tmp_path / "width.txt").write_text(width)
        assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
        (artifact,) = json.loads(capsys.readouterr().out)["artifacts"]
        seen.append((artifact["cached"], artifact["manifest"]["signature"]["outputs"][0]["shape"][1]))
    assert seen == [(False, 4), (True, 4), (False, 5)]


@pytest.mark.slow
def test_two_that_ask_for_the_same_do_the_work_once(tmp_path: Path) -> None:
    """The second waits for the first, says so, and takes what it made."""
    (tmp_path / "net.py").write_text(
        "import pathlib, time\nfrom torch import nn\n"
        f"def make():\n    with open({str(tmp_path / 'built')!r}, 'a') as file:\n        file.write('x')\n"
        "    time.sleep(1)\n    return nn.Linear(3, 4)\n"
    )
    command = [sys.executable, "-m", "edgekit", "convert", f"{tmp_path}/net.py:make", "-f", "torchscript", "--input"]
    both = [
        subprocess.Popen([*command, "input=1x3", "-o", str(tmp_path / name)], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert (tmp_path / "built").read_text() == "x"
    assert sum("wait for another edgekit" in text for text in told) == 1
    manifests = [
        (tmp_path / name / "net-torchscript-fp32.edgekit/manifest.json").read_bytes() for name in ("one", "two")
    ]
    assert manifests[0] == manifests[1]


@pytest.mark.slow
def test_an_artifact_that_misses_its_bar_is_reported_and_kept(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; the user may still want to look at it."""
    arguments = ["convert", f"{NET}:make_net", "--weights", str(work / "net.pt"), "-f", "torchscript", "-p", "int8"]
    arguments += ["--calibration", str(work / "samples.npz"), "--max-error", "1e-6", "-o", str(tmp_path)]
    assert main(arguments) == 1
    assert "the bar is 1e-06" in capsys.readouterr().out
    assert (tmp_path / "net-torchscript-int8.edgekit" / "manifest.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"image": np.zeros((4, 8, 8, 1), np.float32)}, "has shape 8x8x1, the model wants 1x8x8"),
        ({"image": np.zeros((4, 1, 8, 8), np.uint8)}, "holds uint8, the model wants float32"),
        ({"image": np.full((4, 1, 8, 8), np.nan, np.float32)}, "NaN or infinity"),
        ({"image": np.zeros((0, 1, 8, 8), np.float32)}, "holds no calibration samples"),
    ],
)
def test_calibration_that_does_not_fit_is_refused(
    arrays: dict[str, object], reason: str, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong shape, dtype, NaN, zero samples: each told, nothing written."""
    calibration = _data(tmp_path / "bad.npz", **arrays)
    arguments = [f"{NET}:make_net", "--weights", str(work / "net.pt"), "-f", "torchscript", "-p", "int8"]
    arguments += ["--calibration", calibration, "--input", "image=1x1x8x8", "-o", str(tmp_path / "out")]
    assert reason in _refused(capsys, *arguments)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_wrong_input_name_is_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest that exists."""
    arguments = [f"{NET}:make_net", "--weights", str(work / "net.pt"), "-f", "torchscript"]
    message = _refused(capsys, *arguments, "--input", "img=1x1x8x8", "-o", str(tmp_path))
    assert "no input 'img'" in message
    assert "image" in message


@pytest.mark.slow
def test_a_full_disk_is_told_and_nothing_half_written_stays(work: Path, tmp_path: Path) -> None:
    """On a real disk of 100 kB: the error is about space, and the folder is as it was."""
    script = f"""
        mount -t tmpfs -o size=20k tmpfs {tmp_path} &&
        {sys.executable} -m edgekit convert {NET}:make_net --weights {work}/net.pt --eval {work}/test.npz \
            -f torchscript -o {tmp_path}/out; echo "exit $?"; ls -A {tmp_path}/out
    """
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False)
    if probe.returncode:
        pytest.skip("this kernel lets no user make a mount namespace, so no small disk can be had")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No space is left" in done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("exit 2") or done.stdout.rstrip().endswith("exit 3")


@pytest.mark.slow
def test_two_converts_into_one_folder_both_succeed(work: Path, tmp_path: Path) -> None:
    """Neither waits for the other, and what stands there at the end is whole."""
    from edgekit.artifact import load_artifact

    command = [sys.executable, "-m", "edgekit", "convert", f"{NET}:make_net", "--weights", str(work / "net.pt")]
    command += ["--eval", str(work / "test.npz"), "-f", "torchscript", "-o", str(tmp_path / "out"), "--no-cache"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["net-torchscript-fp32.edgekit"]
    assert load_artifact(tmp_path / "out" / "net-torchscript-fp32.edgekit").manifest.parity.passed
