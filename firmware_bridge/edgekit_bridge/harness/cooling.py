"""Wait until a device is cool, so that a measurement does not begin with the heat of the one before."""

import time
from collections.abc import Callable
from typing import Final

from edgekit.protocols import Link, Progress
from edgekit.run import Schedule
from edgekit_bridge.probe.state import moving_state, warmth

BLIND_S: Final = 60.0
"""How long to wait where no sensor can be read."""

LONGEST_S: Final = 900.0
"""The longest wait: what is not cool then, does not get cooler where it lies."""

_EACH_S: Final = 5.0


def cool_down(
    link: Link, schedule: Schedule, progress: Progress, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait until the device is no warmer than the schedule asks, or cannot tell, or does not get any cooler.

    Args:
        link: The way there.
        schedule: Asks for it with `cooldown_c`.
        progress: Told how warm it is.
        sleep: Waits for so many seconds.

    Raises:
        DeviceError: The device does not answer.
    """
    limit = schedule.cooldown_c
    if limit is None:
        return
    found = warmth(moving_state(link))
    if found is None:
        with progress.step(f"no sensor can be read there: let it cool for {BLIND_S:g} s", total=BLIND_S) as step:
            for _ in range(int(BLIND_S / _EACH_S)):
                sleep(_EACH_S)
                step.advance(_EACH_S)
        return
    waited = 0.0
    while found is not None and found[1] > limit and waited < LONGEST_S:
        name, degrees = found
        with progress.step(f"cool down: {name} is at {degrees:.1f} °C, {limit:g} °C is asked for"):
            sleep(_EACH_S)
        waited += _EACH_S
        found = warmth(moving_state(link))
    if found is not None and found[1] > limit:
        with progress.step(f"go on at {found[1]:.1f} °C: it does not get cooler"):
            pass
