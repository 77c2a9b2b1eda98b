"""Where runs were taken: the facts of each, and which of them differ."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.html_report.entries import Entry
from edgekit.run import CpuState, Run

UNKNOWN: Final = "not reported"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A run's value of a fact that is not the same in all runs; `unusual` when most runs agree on another."""

    value: str
    unusual: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of several runs.

    Attributes:
        differing: Names of the facts that differ.
        rows: For each run its name and its values of them, in that order.
        equal: The facts that all runs share.
    """

    differing: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Difference, ...]], ...]
    equal: dict[str, str]


def compare(entries: Sequence[Entry]) -> Comparison:
    """Tell apart what differs between the runs and what they share."""
    runs = [entry.item.run for entry in entries]
    boards = any(run.firmware for run in runs)
    told = [facts(run) | (_board_facts(run) if boards else {}) for run in runs]
    differing = tuple(name for name in told[0] if len({one[name] for one in told}) > 1)
    usual = {name: _usual([one[name] for one in told]) for name in differing}
    rows = tuple(
        (
            entry.name,
            tuple(
                Difference(value=one[name], unusual=usual[name] is not None and one[name] != usual[name])
                for name in differing
            ),
        )
        for entry, one in zip(entries, told, strict=True)
    )
    equal = {name: value for name, value in told[0].items() if name not in differing}
    return Comparison(differing=differing, rows=rows, equal=equal)


def _usual(values: Sequence[str]) -> str | None:
    """What more than half of the runs say."""
    ((value, times),) = Counter(values).most_common(1)
    return value if 2 * times > len(values) else None


def facts(run: Run) -> dict[str, str]:
    """Everything about a run's surroundings that may explain its latency, in words."""
    where, before, after = run.environment, run.environment.before, run.environment.after
    told = {
        "Device": run.device,
        "Kind": where.kind,
        "Target": run.target,
        "Board": where.board,
        "CPU": where.cpu,
        "Architecture": where.machine,
        "Cores": str(where.cores),
        "Memory": f"{where.memory_bytes / 1e9:.1f} GB",
        "OS": where.system,
        "C library": where.libc,
        "Python": where.python,
        "Runtime": run.runtime,
        "Delegate": run.delegate,
        "Packages": ", ".join(f"{name} {version}" for name, version in sorted(where.packages.items())),
        "Threads": str(run.schedule.threads),
        "Mode": run.schedule.mode,
        "Governor": _change(_governor(before), _governor(after)),
        "Clock": _change(_clock(before), _clock(after)),
        "Temperature": _change(_temperature(before), _temperature(after)),
        "Throttled": _change(before.throttled or "", after.throttled or ""),
        "Load average": _change(_load(before), _load(after)),
        "edgekit": f"{run.edgekit}, harness {run.harness}",
    }
    return {name: value or UNKNOWN for name, value in told.items()}


def _board_facts(run: Run) -> dict[str, str]:
    """What only bare boards tell."""
    firmware, found = run.firmware, run.evaluation
    return {
        "Flash": f"{firmware.flash_bytes / 1e3:.1f} kB" if firmware and firmware.flash_bytes else UNKNOWN,
        "RAM": f"{firmware.ram_bytes / 1e3:.1f} kB and a stack of {firmware.stack_bytes / 1e3:.1f} kB"
        if firmware and firmware.ram_bytes
        else UNKNOWN,
        "Accuracy on the device": f"{found.accuracy:.2%} of {found.samples:,} samples" if found else UNKNOWN,
    }


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before or UNKNOWN} → {after or UNKNOWN}"


def _governor(state: CpuState) -> str:
    return ", ".join(sorted(set(state.governor or ())))


def _clock(state: CpuState) -> str:
    if not state.frequency_hz:
        return ""
    low, high = min(state.frequency_hz) / 1e6, max(state.frequency_hz) / 1e6
    return f"{low:.0f} MHz" if low == high else f"{low:.0f}-{high:.0f} MHz"


def _temperature(state: CpuState) -> str:
    """The hottest zone."""
    return f"{max(state.temperature_c.values()):.1f} °C" if state.temperature_c else ""


def _load(state: CpuState) -> str:
    return "" if state.load1 is None else f"{state.load1:.2f}"
