"""Hints for names that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """A hint for an unknown name: the closest known ones, or all of them.

    Args:
        name: What the user wrote.
        known: What exists.
        what: What they are called, in the plural.
    """
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=2, cutoff=0.55)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known {what}: {', '.join(names)}."
