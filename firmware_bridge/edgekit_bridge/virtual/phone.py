"""An emulated phone: Debian's real adbd for arm64, before tools as small as Android's and what tells that it is one.

adbd listens on every address, so that it has a network of its own; it asks nobody to be allowed, which is why only this
machine can reach it.
"""

import socket
import subprocess
from pathlib import Path
from typing import Final

from edgekit.device import DeviceUrl
from edgekit.target import TargetProfile
from edgekit_bridge.virtual.needs import find_program
from edgekit_bridge.virtual.record import VirtualDevice
from edgekit_bridge.virtual.userland import prepare_userland, start_userland

_ADBD: Final = "/usr/lib/android-sdk/platform-tools/adbd"

_INIT: Final = ("/system/bin/sh", "-c", 'while :; do "$0"; sleep 0.2; done')
"""Starts it again when it ends, as Android's init does."""

_TOOLS: Final = (
    "awk base64 basename cat chmod chown cmp cp cut date dd df diff dirname du echo env expr false find "
    "free fsync getconf grep gunzip gzip head hostname id kill ln ls md5sum mkdir mkfifo mktemp more mv nice "
    "nl nohup nproc od paste pgrep pidof pkill printf ps pwd readlink realpath renice rm rmdir sed seq setsid "
    "sh sha1sum sha256sum sha512sum sleep sort split stat strings stty sync tac tail tar taskset tee test "
    "time timeout top touch tr true truncate tty uname uniq unlink uptime usleep vmstat wc which whoami xargs "
    "xxd yes zcat "
)
"""Those of toybox on a phone (AOSP external/toybox, Android.bp) that busybox has too."""

_GETPROP: Final = """#!/system/bin/sh
if [ $# -gt 0 ]; then sed -n "s/^$1=//p" /system/build.prop; exit; fi
sed -n 's/^\\([^#=]*\\)=\\(.*\\)/[\\1]: [\\2]/p' /system/build.prop
"""

_SETTINGS: Final = """#!/system/bin/sh
place=/data/system/settings/$2.$3
case $1 in
    get) cat "$place" 2>/dev/null || echo null ;;
    put) mkdir -p /data/system/settings && echo "$4" > "$place" ;;
    delete) rm -f "$place" ;;
    *) exit 1 ;;
esac
"""
"""Android's `settings` (frameworks/base, packages/SettingsProvider), each setting a file."""

_INPUT: Final = """#!/system/bin/sh
case $1.$2 in
    keyevent.223) echo Asleep > /data/system/wakefulness ;;
    keyevent.224) echo Awake > /data/system/wakefulness ;;
    *) exit 1 ;;
esac
"""
"""Android's `input`: KEYCODE_SLEEP and KEYCODE_WAKEUP."""

_DUMPSYS: Final = """#!/system/bin/sh
case $1 in
    power) sed 's/^/  mWakefulness=/' /data/system/wakefulness ;;
    battery | thermalservice) cat "/data/system/$1" ;;
    *) echo "Can't find service: $1" >&2; exit 1 ;;
esac
"""

BATTERY: Final = """Current Battery Service state:
  AC powered: false
  USB powered: false
  status: 3
  health: 2
  present: true
  level: 85
  scale: 100
  voltage: 4100
  temperature: 290
  technology: Li-ion
"""
"""As `dumpsys battery` writes it; the temperature in tenths of a degree (frameworks/base, BatteryService)."""

THERMAL: Final = """IsStatusOverride: false
ThermalEventListeners:
	callbacks: 0
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=31.5, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=31.5, mType=3, mName=skin, mStatus=0}
	Temperature{mValue=33.0, mType=0, mName=cpu0, mStatus=0}
Current cooling devices from HAL:
"""
"""As `dumpsys thermalservice` writes it (frameworks/base, ThermalManagerService)."""

SHIMS: Final = {"getprop": _GETPROP, "settings": _SETTINGS, "input": _INPUT, "dumpsys": _DUMPSYS}
"""What Android has beside toybox, as far as edgekit asks for it."""

_PROPERTIES: Final = {
    "ro.product.manufacturer": "edgekit",
    "ro.product.model": "Emulated phone",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.build.version.security_patch": "2024-01-05",
    "ro.product.cpu.abilist": "arm64-v8a",
    "ro.soc.manufacturer": "QEMU",
    "ro.soc.model": "virt",
}


def prepare_phone(device: VirtualDevice, profile: TargetProfile) -> None:
    """Write the device's own files."""
    upper = prepare_userland(device, profile)
    programs = upper / "system" / "bin"
    programs.mkdir(parents=True)
    for name in _TOOLS.split():
        (programs / name).symlink_to("/usr/bin/busybox")
    (programs / "flock").symlink_to("/usr/bin/flock")
    for name, text in SHIMS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    properties = "".join(f"{name}={value}\n" for name, value in _PROPERTIES.items())
    (upper / "system" / "build.prop").write_text(properties)
    (upper / "data" / "local" / "tmp").mkdir(parents=True)
    told = upper / "data" / "system"
    told.mkdir()
    for name, text in {"battery": BATTERY, "thermalservice": THERMAL, "wakefulness": "Asleep\n"}.items():
        (told / name).write_text(text)


def start_phone(device: VirtualDevice, profile: TargetProfile, image: Path) -> int:
    """Start it; gives the process that it lives in.

    Raises:
        DeviceError: The kernel refused a namespace.
    """
    environment = ("PATH=/system/bin", "HOME=/", "EDGEKIT_EMULATED=1", f"ADBD_PORT={device.port}")
    with socket.create_server(("127.0.0.1", device.port)) as listening:
        return start_userland(device, profile, image, server=(*environment, *_INIT, _ADBD), listening=listening)


def forget_phone(device: VirtualDevice) -> None:
    """Let adb's server forget a phone that is gone; it would list it as offline."""
    if adb := find_program("adb"):
        subprocess.run([adb, "disconnect", f"127.0.0.1:{device.port}"], capture_output=True, check=False)


def adb_url(device: VirtualDevice) -> DeviceUrl:
    """How it is reached."""
    return DeviceUrl(scheme="adb", host="127.0.0.1", port=device.port)
