"""Which version of an artifact is in use, which was before, and which may go: pure, as steps for `on_device.sh`.

A cut between two steps leaves a history that ends before what is current, never after it. So the version to go back to
is the last of the history that is not current.
"""

from collections.abc import Sequence

from edgekit_bridge.update.device_side import Look


def switch_steps(look: Look, version: str, keep: int) -> list[str]:
    """Make a version current, and let the oldest beyond `keep` go; nothing when it is so already."""
    drops = [f"drop {old}" for old in _superfluous(look, version, keep)]
    if current_version(look) == version:
        return drops
    history = [*versions_before(look, version), version]
    return ["use", *(f"history {id_}" for id_ in history), "remember", *drops]


def rollback_steps(before: Sequence[str]) -> list[str]:
    """Make the last of these current."""
    return [*(f"history {id_}" for id_ in before), "remember", "use"]


def current_version(look: Look) -> str:
    """The id of the version in use; empty for none."""
    return next((version.id for version in look.versions if version.current), "")


def versions_before(look: Look, version: str) -> list[str]:
    """The history without that version: each once, where it was in use last."""
    history = [id_ for id_ in look.history if id_ != version]
    return [id_ for place, id_ in enumerate(history) if id_ not in history[place + 1 :]]


def _superfluous(look: Look, current: str, keep: int) -> Sequence[str]:
    """All but the current version, and the last `keep` - 1 that were in use, or else came last."""
    came = [version.id for version in look.versions if version.id != current]
    used = [id_ for id_ in versions_before(look, current)[::-1] if id_ in came]
    return list(dict.fromkeys([*used, *came]))[max(0, keep - 1) :]
