"""Where edgekit keeps things: per-user folders as the system defines them, each movable by a variable."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Artifacts made before, and worker logs; safe to delete. `EDGEKIT_CACHE` moves it."""
    return _folder("EDGEKIT_CACHE", platformdirs.user_cache_dir("edgekit"))


def data_folder() -> Path:
    """The store of runs, and what `local:` as a device holds. `EDGEKIT_DATA` moves it."""
    return _folder("EDGEKIT_DATA", platformdirs.user_data_dir("edgekit"))


def config_folder() -> Path:
    """The user's own target profiles (`targets/*.toml`). `EDGEKIT_CONFIG` moves it."""
    return _folder("EDGEKIT_CONFIG", platformdirs.user_config_dir("edgekit"))


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default)
