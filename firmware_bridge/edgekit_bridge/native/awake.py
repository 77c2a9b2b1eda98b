"""Keep a phone awake while something is measured on it; what its user had set comes back, also after a lost link."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from edgekit.protocols import Link

_CALL_S: Final = 60.0

_LEASE_S: Final = 1800
"""How long the phone is kept awake when nobody comes back to end it: checks and a cool-down fit into it."""

_LONGER: Final = r"""
[ ! -e "$1/awake.before" ] || echo $(($(date +%s) + $2)) > "$1/awake.until"
shift 2
exec "$@"
"""

_RESTORE: Final = r"""
restore() {
    [ -e awake.before ] && mv awake.before awake.ending || return 0
    { read -r stay; read -r off; read -r wake; } < awake.ending
    give global stay_on_while_plugged_in "$stay"
    give system screen_off_timeout "$off"
    [ "$wake" = Awake ] || input keyevent 223
    rm -f awake.ending awake.until awake.watched
}
give() { if [ "$3" = null ]; then settings delete "$1" "$2"; else settings put "$1" "$2" "$3"; fi; }
"""
"""`settings` and `input` are Android's (frameworks/base/cmds); 223 is KEYCODE_SLEEP, 224 KEYCODE_WAKEUP."""

_HOLD: Final = (
    _RESTORE
    + r"""
command -v settings >/dev/null 2>&1 || exit 0
mkdir -p "$1" && cd "$1" || exit 1
[ ! -e awake.ending ] || mv awake.ending awake.before
if [ ! -e awake.before ]; then
    {
        settings get global stay_on_while_plugged_in
        settings get system screen_off_timeout
        dumpsys power | sed -n 's/^ *mWakefulness=//p' | head -n 1
    } > awake.new && mv awake.new awake.before
fi
echo $(($(date +%s) + $2)) > awake.until
settings put global stay_on_while_plugged_in 7
settings put system screen_off_timeout 1800000
input keyevent 224
rm -f awake.watched
setsid sh -c "$3" sh "$1" </dev/null >/dev/null 2>&1 &
for try in 1 2 3 4 5 6 7 8 9; do
    [ -e awake.watched ] && break
    sleep 0.1
done
echo held
"""
)

_WATCH: Final = (
    _RESTORE
    + r"""
cd "$1" || exit 0
: > awake.watched
while [ -e awake.before ]; do
    if [ "$(date +%s)" -ge "$(cat awake.until)" ]; then restore; fi
    sleep 5
done
"""
)
"""Ends what nobody ended; in a session of its own, which it must have begun before whoever started it may end."""

_END: Final = (
    _RESTORE
    + r"""
cd "$1" 2>/dev/null && restore
exit 0
"""
)


@contextmanager
def awake(link: Link) -> Iterator[None]:
    """Keep a phone's screen on inside; nothing on a device that has no such setting.

    What was set before lies on the phone until it is set again, so that the next measurement, or else the phone itself
    when the time of `lasting` is over, makes up for one that was cut off.

    Raises:
        DeviceError: The device does not answer.
    """
    home = str(link.home())
    held = link.run(["sh", "-c", _HOLD, "sh", home, str(_LEASE_S), _WATCH], timeout_s=_CALL_S)
    try:
        yield
    finally:
        if b"held" in held.stdout:
            link.run(["sh", "-c", _END, "sh", home], timeout_s=_CALL_S)


def lasting(link: Link, argv: Sequence[str], seconds: float) -> list[str]:
    """The command that runs a program for which the phone stays awake: no longer than this, when nobody comes back."""
    return ["sh", "-c", _LONGER, "sh", str(link.home()), str(round(seconds)), *argv]
