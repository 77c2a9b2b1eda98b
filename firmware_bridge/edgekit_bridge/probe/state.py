"""What moves while something is measured, told by a shell: clocks, temperatures, and what Android says of itself."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from edgekit.protocols import Link
from edgekit.run import CpuState
from edgekit_bridge.harness import on_device
from edgekit_bridge.probe import shell_facts

_CALL_S: Final = 60.0

_SCRIPT: Final = (
    shell_facts.TOOLS
    + r"""
show /proc/loadavg /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq
show /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor
show /sys/class/thermal/thermal_zone[0-9]*/type /sys/class/thermal/thermal_zone[0-9]*/temp
if command -v dumpsys >/dev/null; then
    tell battery dumpsys battery
    tell thermal dumpsys thermalservice
fi
exit 0
"""
)

_FULL_OR_CHARGING: Final = frozenset({2, 5})
"""BatteryManager's BATTERY_STATUS_CHARGING and BATTERY_STATUS_FULL (Android, android.os.BatteryManager)."""

SKIN: Final = "skin"
BATTERY: Final = "battery"

_SKIN_TYPE: Final = 3
"""TemperatureType SKIN of Android's thermal service (hardware/interfaces/thermal, TemperatureType)."""


def moving_state(link: Link) -> CpuState:
    """Ask a device for its state.

    Raises:
        DeviceError: It does not answer.
    """
    done = link.run(["sh", "-c", _SCRIPT, "sh", shell_facts.MARK], timeout_s=_CALL_S)
    return read_state(done.stdout)


def read_state(output: bytes) -> CpuState:
    """The state in what the script printed; what a device says in another way than Linux and Android do, is unknown."""
    with shell_facts.laid_out(output) as (folder, told):
        try:
            state = msgspec.convert(on_device.cpu_state(folder), CpuState)
        except (msgspec.ValidationError, ValueError):
            state = CpuState()
    words = {name: content.decode(errors="replace") for name, content in told.items()}
    return _with_android(state, words)


def _with_android(state: CpuState, words: Mapping[str, str]) -> CpuState:
    battery = dict(re.findall(r"^  ([A-Za-z ]+): (\S+)$", words.get("battery", ""), re.MULTILINE))
    thermal = words.get("thermal", "")
    warmth = dict(state.temperature_c or {})
    if (tenths := _number(battery.get("temperature"))) is not None:
        warmth[BATTERY] = tenths / 10
    skins = _skin(thermal)
    if skins:
        warmth[SKIN] = max(skins)
    level, status = _number(battery.get("level")), _number(battery.get("status"))
    told = re.search(r"^Thermal Status: (\d)", thermal, re.MULTILINE)
    return msgspec.structs.replace(
        state,
        temperature_c=warmth or None,
        thermal_status=int(told[1]) if told else None,
        battery_percent=level,
        charging=None if status is None else int(status) in _FULL_OR_CHARGING,
    )


def _skin(text: str) -> list[float]:
    """Skin temperatures that the hardware tells now: `Temperature{mValue=36.2, mType=3, mName=skin, mStatus=0}`."""
    now = text.partition("Current temperatures from HAL:")[2].partition("\nCurrent cooling")[0]
    found = re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=(\d+)", now)
    return [float(value) for value, kind in found if int(kind) == _SKIN_TYPE and re.fullmatch(r"-?\d+(\.\d+)?", value)]


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"-?\d{1,9}", text) else None


def warmth(state: CpuState) -> tuple[str, float] | None:
    """What tells best how warm a device is, and degrees Celsius: its skin, else its battery, else the hottest zone."""
    known = state.temperature_c or {}
    if not known:
        return None
    best = [name for name in (SKIN, BATTERY) if name in known]
    zone = best[0] if best else max(known, key=lambda name: known[name])
    return zone, known[zone]
