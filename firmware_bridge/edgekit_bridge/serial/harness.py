"""The harness for bare boards: opens the line, finds edgekit's firmware or MLPerf Tiny's there, and measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.errors import UsageError
from edgekit.protocols import BoardHarness, Progress
from edgekit.run import Run, Schedule
from edgekit.serial_url import SERIAL, serial_url
from edgekit.suggest import did_you_mean
from edgekit_bridge.serial.mlperf_run import MLPERF_TINY, measure_mlperf_tiny
from edgekit_bridge.serial.own_run import measure_own
from edgekit_bridge.serial.port import open_port
from edgekit_bridge.serial.stream import PortStream

if TYPE_CHECKING:
    from edgekit.dataset import DataSet

PROTOCOLS: Final = ("edgekit", MLPERF_TINY)

_OPTIONS: Final = ("protocol", "seconds", "speed")


class _SerialHarness:
    scheme = SERIAL

    def measure(
        self,
        artifact: Artifact,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        target: str = "",
        check_golden: bool = True,
        operators: bool = False,
        evaluation: "DataSet | None" = None,
    ) -> Run:
        """See `BoardHarness`."""
        _check_schedule(schedule)
        options = serial_url(device, _OPTIONS).options
        protocol = options.get("protocol", PROTOCOLS[0])
        if protocol not in PROTOCOLS:
            raise UsageError(
                f"{device} asks for the protocol {protocol!r}.", hint=did_you_mean(protocol, PROTOCOLS, "protocols")
            )
        with _line(device) as stream:
            if protocol == MLPERF_TINY:
                return measure_mlperf_tiny(
                    stream,
                    artifact,
                    schedule,
                    progress,
                    device=device,
                    target=target,
                    check_golden=check_golden,
                    operators=operators,
                    evaluation=evaluation,
                    seconds=_number(device, options, "seconds"),
                )
            return measure_own(
                stream,
                artifact,
                schedule,
                progress,
                device=device,
                target=target,
                check_golden=check_golden,
                operators=operators,
                evaluation=evaluation,
                speed=int(_number(device, options, "speed") or 0),
            )


@contextmanager
def _line(device: DeviceUrl) -> Iterator[PortStream]:
    with open_port(serial_url(device, _OPTIONS)) as port:
        yield PortStream(port)


def _number(device: DeviceUrl, options: dict[str, str], name: str) -> float | None:
    text = options.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"The option {name} of {device} is {text!r}; it must be a number above 0.")
    return value


def _check_schedule(schedule: Schedule) -> None:
    for wrong, what, hint in (
        (schedule.mode != "single-stream", f"mode {schedule.mode}", "Inferences follow each other there."),
        (schedule.threads != 1, f"{schedule.threads} threads", "Leave --threads out."),
        (schedule.delegate != "default", f"delegate {schedule.delegate}", "Leave --delegate out."),
        (bool(schedule.governor), "a governor", "Leave --governor out."),
        (bool(schedule.affinity or schedule.cluster), "a choice of cores", "Leave --cores out."),
        (schedule.cooldown_c is not None, "a temperature to wait for", "Leave --cooldown out."),
    ):
        if wrong:
            raise UsageError(f"A bare board has no {what}.", hint=hint)


HARNESS: BoardHarness = _SerialHarness()
"""Found by `edgekit.catalog`."""
