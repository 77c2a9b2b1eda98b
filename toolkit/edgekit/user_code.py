"""Python of the user's own: a file that was named, imported as it would import itself."""

import importlib.util
import sys
from pathlib import Path
from typing import Any


def split_function(text: str) -> tuple[str, str]:
    """`file.py:function` as file and function; anything else as a path without one."""
    file, _, function = text.rpartition(":") if ".py:" in text else (text, "", "")
    return file, function


def import_file(file: Path) -> Any:
    """The module of a file; its neighbours can be imported by it, and one that is imported already is not run again."""
    path = file.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101 - a .py file always has a loader
    assert spec.loader is not None  # noqa: S101 - as above
    code = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = code
    try:
        spec.loader.exec_module(code)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return code
