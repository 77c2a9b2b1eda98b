"""Pushing to an emulated phone behind the real adbd, beside `adb push`."""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alternating import Check
from push import BYTES, Clock, seconds, updates

from edgekit.artifact import Artifact
from edgekit.deployment import push
from edgekit.errors import UsageError
from edgekit.progress import SilentProgress
from edgekit_bridge.transports.adb import HOME
from edgekit_bridge.virtual import devices
from edgekit_bridge.virtual.needs import check_needs
from models.linear import payload_artifact

ROUNDS: Final = 5
NAME: Final = "pushed"
SILENT: Final = SilentProgress()


@contextmanager
def _phone() -> Iterator[int]:
    """A phone of our own; gives its port."""
    device = devices.create(NAME, "android-arm64", "userland", SILENT)
    try:
        devices.start(NAME, SILENT)
        yield device.port
    finally:
        devices.remove(NAME)


def _adb(serial: str, *words: str) -> None:
    subprocess.run(["adb", "-s", serial, *words], check=True, capture_output=True)


def _throughput(artifact: Artifact, serial: str) -> tuple[dict[str, float], list[Check]]:
    taken: dict[str, list[float]] = {name: [] for name in ("adb", "push", "whole", "again", "hash")}
    source = str(artifact.path / "model.tflite")

    def ours() -> None:
        clock = Clock()
        taken["whole"].append(seconds(lambda: push(artifact.path, device=f"adb://{serial}", progress=clock)))
        taken["push"].append(clock.taken["push"])
        taken["again"].append(seconds(lambda: push(artifact.path, device=f"adb://{serial}")))
        _adb(serial, "shell", f"rm -rf {HOME}")

    def theirs() -> None:
        taken["adb"].append(seconds(lambda: _adb(serial, "push", source, "/data/local/tmp/by-adb")))
        taken["hash"].append(seconds(lambda: _adb(serial, "shell", "sha256sum /data/local/tmp/by-adb")))
        _adb(serial, "shell", "rm /data/local/tmp/by-adb")

    for number in range(ROUNDS):
        for turn in (ours, theirs) if number % 2 else (theirs, ours):
            turn()
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return medians, [
        Check("push beside adb push: throughput", medians["adb"] / medians["push"], float("inf"), 0.95),
        Check("the same artifact again, whole command", medians["again"], 1.0, unit="s"),
    ]


def measure() -> tuple[list[str], dict[str, float], list[Check]]:
    """Push this and that; what was left out, and the figures."""
    try:
        check_needs("userland", android=True)
    except UsageError as error:
        return [f"Everything is left out: {error.cause} {error.hint}"], {}, []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["EDGEKIT_DATA"] = str(folder / "data")
        artifact = payload_artifact(folder / "artifact", os.urandom(BYTES))
        with _phone() as port:
            medians, checks = _throughput(artifact, f"127.0.0.1:{port}")
            checks += updates(artifact, folder, port, lambda through: f"adb://127.0.0.1:{through}")
    speeds = f"MB/s: push {BYTES / 1e6 / medians['push']:.0f}, adb push {BYTES / 1e6 / medians['adb']:.0f}."
    whole = (
        f"The whole command: {medians['whole']:.2f} s. Of it, and of the same again, {medians['hash']:.2f} s are "
        "SHA-256 of the file by an emulated processor; a phone's has instructions for it."
    )
    return [speeds, whole], medians, checks
