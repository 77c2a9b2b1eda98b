"""What archives hold, checked before a framework opens them: cut files, pickles that run code, doctored programs.

PyTorch's `.pt2` loader unpickles example inputs without restriction when the restricted way fails, evaluates shape
expressions with SymPy (`eval`), looks operators up by dotted name anywhere below `torch`, and loads compiled
libraries. A program that PyTorch itself wrote needs none of that freedom, so anything beyond it is an objection.
"""

import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.expansion import bomb_reason
from edgekit.plan import Objection

_TRUST: Final = "If you made this file yourself, say so with --trust."
_AGAIN: Final = "Save or download it again."

_SAFE_GLOBALS: Final = re.compile(
    r"collections OrderedDict|torch Size|torch (Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch (float|double|half|bfloat|int|uint|bool)\w*"
)
"""What torch.save names in a pickle of tensors in tuples, lists and dicts."""

_SAFE_OPCODES: Final = {
    "PROTO", "GLOBAL", "REDUCE", "STOP", "MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "LIST",
    "EMPTY_LIST", "APPEND", "APPENDS", "DICT", "EMPTY_DICT", "SETITEM", "SETITEMS", "BINUNICODE", "SHORT_BINUNICODE",
    "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG1", "BINFLOAT", "FLOAT", "NONE", "NEWTRUE", "NEWFALSE",
    "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BINPERSID", "BUILD",
}  # fmt: skip

_SAFE_TARGET: Final = re.compile(
    r"torch\.ops\.(?!aten\.from_file\b)(aten|prims|quantized|quantized_decomposed|higher_order|torchao)\.\w+(\.\w+)*"
    r"|_operator\.\w+|math\.\w+|torch\.sym_\w+|"
)
"""Operators by name in a program; the empty name belongs to nodes that call nothing."""

_SAFE_EXPRESSION: Final = re.compile(r"(?!.*__)(\w|[-+*/%<>=!,() ]|(?<=\d)\.(?=\d))*")
"""Arithmetic on symbols: no attribute access, no strings, no dunder names."""

_SYMBOL: Final = re.compile(r"Symbol\('[A-Za-z]\w*'(, \w+=(True|False))*\)")
"""How PyTorch writes a free dimension into such an expression: `Symbol('s77', positive=True, integer=True)`."""


def zip_objections(path: Path, *, what: str) -> Sequence[Objection]:
    """Whether a file is a whole zip archive that stays inside itself."""
    try:
        with zipfile.ZipFile(path) as archive:
            names, bomb = archive.namelist(), bomb_reason(archive)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return [Objection(cause=f"{path} is not a whole {what}: {error}.", hint=_AGAIN)]
    if bomb:
        return [Objection(cause=f"{path} expands without measure: {bomb}.", hint="Do not use this file.")]
    outside = [name for name in names if name.startswith("/") or ".." in Path(name).parts]
    if outside:
        return [Objection(cause=f"{path} holds a member outside itself: {outside[0]!r}.", hint="Do not use this file.")]
    return []


def script_objections(path: Path) -> Sequence[Objection]:
    """Why a TorchScript archive is none, or touches files when it runs (`torch.from_file` maps, and makes, any)."""
    with zipfile.ZipFile(path) as archive:
        code = [name for name in archive.namelist() if "/code/" in name]
        if not code:
            return [
                Objection(
                    cause=f"{path} is a pickle, not TorchScript: a state_dict, or a module that would run code.",
                    hint=f"Give the code that builds it: edgekit convert net.py:make_net --weights {path.name} …",
                )
            ]
        if any(b"from_file" in archive.read(name) for name in code if name.endswith(".py")):
            return [Objection(cause=f"{path} opens files when it runs: torch.from_file.", hint=_TRUST)]
    return []


def program_objections(path: Path) -> Sequence[Objection]:
    """Why an exported program (`.pt2`) would run code of its own when PyTorch opens or runs it."""
    with zipfile.ZipFile(path) as archive:
        reasons = [reason for name in archive.namelist() for reason in _member_reasons(archive, name)]
    return [Objection(cause=f"{path} would run code: {reason}.", hint=_TRUST) for reason in reasons[:1]]


def _member_reasons(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    file = name.rsplit("/", 1)[-1]
    if file.endswith((".so", ".pyd", ".dll")) or "/aotinductor/" in name:
        yield f"{name} is a compiled library"
    elif file.startswith(("custom_obj", "opaque_obj")):
        yield f"{name} is a pickled object"
    elif file.endswith(".json"):
        yield from _json_reasons(archive, name)
    elif archive.open(name).read(2) == b"PK":
        yield from (f"{name}: {reason}" for reason in _checkpoint_reasons(archive.read(name)))


def _json_reasons(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    try:
        document = json.loads(archive.read(name))
    except (ValueError, RecursionError):
        yield f"{name} is not JSON, or nested without end, so it cannot be checked"
        return
    for key, value in _entries(document):
        if key == "target" and isinstance(value, str) and not _SAFE_TARGET.fullmatch(value):
            yield f"{name} calls {value!r}"
        elif key == "expr_str" and isinstance(value, str) and not _SAFE_EXPRESSION.fullmatch(_SYMBOL.sub("s", value)):
            yield f"{name} evaluates {value!r}"


def _entries(document: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth, without recursion (a file may nest without end)."""
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _checkpoint_reasons(content: bytes) -> Iterator[str]:
    """Why a `torch.save` archive would run code when it is unpickled."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                yield from _pickle_reasons(archive.read(name))


def _pickle_reasons(content: bytes) -> Iterator[str]:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _SAFE_OPCODES:
                yield f"its pickle uses {opcode.name}"
            elif opcode.name == "GLOBAL" and not _SAFE_GLOBALS.fullmatch(str(argument)):
                yield f"its pickle calls {str(argument).replace(' ', '.')}"
    except ValueError as error:
        yield f"its pickle cannot be read ({error})"
