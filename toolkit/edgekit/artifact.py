"""The artifact: a directory `NAME.edgekit/` with the model file, `manifest.json` and `golden.npz`.

The manifest says what the model file is, how it was made and how close it is to its source. The artifact's id
is the SHA-256 of the canonical manifest (JSON, keys sorted, no spaces), which holds the hash of every file: the
id names the content.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.model import Signature
from edgekit.plan import ConversionPlan, Format, Precision

MANIFEST_VERSION: Final = 1
"""1: first."""

SUFFIX: Final = ".edgekit"
MANIFEST: Final = "manifest.json"
GOLDEN: Final = "golden.npz"

_NAME: Final = re.compile(r"[^-./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")

_REMAKE: Final = "Make the artifact again with `edgekit convert`."


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the artifact; `name` is its path in there, with slashes."""

    name: str
    sha256: str
    bytes: int


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where the artifact comes from.

    Attributes:
        kind: The source kind (see `edgekit.model.SourceKind`).
        name: The file's own name, without its folder.
        sha256: The hash of all bytes that the source consists of, weights included.
        framework: The framework that loaded it and gave the golden outputs.
        parameters: Number of weights.
        operators: The source graph's operators with how often each occurs; empty where it has no graph.
    """

    kind: str
    name: str
    sha256: str
    framework: str
    parameters: int
    operators: dict[str, int] = {}


class OutputParity(msgspec.Struct, frozen=True, kw_only=True):
    """How far one output is from the source's, over all golden vectors.

    Attributes:
        name: The output.
        max_abs: Largest absolute difference, in the output's unit.
        rmse: Root mean square difference, in the output's unit.
        relative_rms: RMSE / RMS of the source's output; what the bar is compared with.
        cosine: Cosine similarity, -1 to 1.
        sqnr_db: Signal to quantization noise ratio, 20·log10(1 / relative_rms); None when equal to the bit.
        top1_agreement: Share of vectors with the same largest element along the last axis; None for one element.
    """

    name: str
    max_abs: float
    rmse: float
    relative_rms: float
    cosine: float
    sqnr_db: float | None
    top1_agreement: float | None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Top-1 accuracy on the evaluation set, 0 to 1, of the artifact and of its source where that was run."""

    artifact: float
    source: float | None
    samples: int

    @property
    def drop_points(self) -> float | None:
        """What the conversion cost, in percentage points; negative when the artifact is better."""
        return None if self.source is None else 100 * (self.source - self.artifact)


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of running the artifact beside its source.

    Attributes:
        passed: Every output is within `max_error`.
        max_error: The bar, relative RMS error.
        vectors: How many golden vectors were compared.
        golden_inputs: `calibration`, `evaluation` or `random`: where their inputs come from.
        runtime: The runtime, with its version, that ran the artifact.
        outputs: The figures by output.
        accuracy: With labels only.
    """

    passed: bool
    max_error: float
    vectors: int
    golden_inputs: Literal["calibration", "evaluation", "random"]
    runtime: str
    outputs: tuple[OutputParity, ...]
    accuracy: Accuracy | None = None

    @property
    def worst(self) -> OutputParity:
        """The output that is furthest from the source."""
        return max(self.outputs, key=lambda output: output.relative_rms)


class QuantizedShare(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the model really is quantized: a recipe can quantize nothing and say nothing.

    Attributes:
        weights: Share of the weight elements that are stored as integers, 0 to 1.
        operators: Share of the compute operators that run on integers, 0 to 1.
    """

    weights: float
    operators: float


class KeptLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that stays in float, and why.

    Attributes:
        name: Its output's name in the model file.
        operator: Its operator.
        because: The tensor whose rounding was to blame: its own output, or what it takes.
        added: The relative RMS error that this tensor's layer added in plain int8.
    """

    name: str
    operator: str
    because: str
    added: float


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How an accuracy budget was kept.

    Attributes:
        max_drop: What may be lost, 0 to 1.
        plain: Accuracy with every layer in int8.
        plain_bytes: The model's size then.
        tried: How many versions were measured.
        kept: The layers that stay in float; empty when plain int8 keeps to the budget.
    """

    max_drop: float
    plain: Accuracy
    plain_bytes: int
    tried: int
    kept: tuple[KeptLayer, ...]


class LayerWork(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of a compiled model: its name, its operator, and its multiply-accumulates for one inference."""

    name: str
    operator: str
    macs: int


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes on a microcontroller, as far as it is known before the firmware is built.

    Attributes:
        weight_bytes: Constants, in flash.
        arena_bytes: The one memory that all tensors share, in RAM.
        layers: What is computed, in order.
    """

    weight_bytes: int
    arena_bytes: int
    layers: tuple[LayerWork, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of an artifact.

    Attributes:
        manifest_version: The version of this schema (`MANIFEST_VERSION`).
        edgekit: The version of edgekit that wrote it.
        name: What the artifact is called, without suffix.
        format: What runs it.
        precision: Its number format.
        model: The model file's entry in `files`, by name, or the folder that all files of the model are below.
        signature: Its inputs and outputs by the source's names, with the file's own as `binding`.
        files: Every file but the manifest.
        source: Where it comes from.
        plan: How it was made, in full.
        packages: The version of every package that had a hand in it.
        parity: How close it is to the source.
        quantized: How much is quantized; None for fp32.
        operators: The operators of the model file with how often each occurs.
        reproducible: Whether the same inputs give the same bytes; False names the reason in `notes`.
        notes: What a careful reader should know: substitutions made, folded layers, skipped optimizations.
        budget: How an accuracy budget was kept; None where there was none.
        footprint: What it takes on a microcontroller; formats `c` and `tflm`.
    """

    manifest_version: int
    edgekit: str
    name: str
    format: Format
    precision: Precision
    model: str
    signature: Signature
    files: tuple[FileEntry, ...]
    source: SourceFacts
    plan: ConversionPlan
    packages: dict[str, str]
    parity: Parity
    quantized: QuantizedShare | None
    operators: dict[str, int]
    reproducible: bool
    notes: tuple[str, ...]
    budget: Budget | None = None
    footprint: Footprint | None = None

    @property
    def model_bytes(self) -> int:
        """The size of the model file, or of all files of the model."""
        return sum(entry.bytes for entry in self.files if is_part(entry.name, self.model))


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact on disk, its manifest read and checked."""

    path: Path
    manifest: Manifest
    id: str

    @property
    def model(self) -> Path:
        """The model file, or folder."""
        return self.path / self.manifest.model

    @property
    def golden(self) -> Path:
        """The golden vectors: arrays `in:NAME` and `out:NAME`, first axis the vector."""
        return self.path / GOLDEN

    def entries(self) -> tuple[FileEntry, ...]:
        """Every file, the manifest with them.

        Raises:
            OSError: The manifest cannot be read any more.
        """
        return (*self.manifest.files, file_entry(self.path / MANIFEST))


def is_part(name: str, model: str) -> bool:
    """Whether a file is the model, or one of the files in the model's folder."""
    return name == model or name.startswith(f"{model}/")


def canonical(manifest: Manifest) -> bytes:
    """The bytes that the artifact's id is the hash of; `footprint` came later, and where there is none says nothing."""
    values = msgspec.to_builtins(manifest)
    if manifest.footprint is None:
        del values["footprint"]
    return msgspec.json.encode(values, order="deterministic")


def artifact_id(manifest: Manifest) -> str:
    """The artifact's id: SHA-256 of the canonical manifest, hexadecimal."""
    return hashlib.sha256(canonical(manifest)).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a folder that is not yet published."""
    pretty = msgspec.json.format(canonical(manifest), indent=1)
    (folder / MANIFEST).write_bytes(pretty + b"\n")


def file_entry(path: Path, name: str = "") -> FileEntry:
    """The entry for a file: its name, or its path in the artifact where that is another, hash and size."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(name=name or path.name, sha256=digest, bytes=path.stat().st_size)


def folder_entries(folder: Path) -> tuple[FileEntry, ...]:
    """The entries of every file in a folder and below, in the order of their names."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return tuple(file_entry(path, name) for name, path in files)


def load_artifact(path: Path | str) -> Artifact:
    """Read an artifact and check every file against its hash.

    Raises:
        UsageError: It is missing, not an artifact, damaged, or written by a newer edgekit.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    parts = [part for name in (manifest.model, *(entry.name for entry in manifest.files)) for part in name.split("/")]
    _check_names(folder, [manifest.name, *parts])
    for needed in (manifest.model, GOLDEN):
        if not any(is_part(entry.name, needed) for entry in manifest.files):
            raise UsageError(f"{folder / MANIFEST} lists no file {needed!r}.", hint=_REMAKE)
    for entry in manifest.files:
        _check_file(folder, entry)
    return Artifact(path=folder, manifest=manifest, id=artifact_id(manifest))


def _read_manifest(folder: Path) -> Manifest:
    if not folder.exists():
        raise UsageError(f"There is no artifact at {folder}.", hint="`edgekit convert` prints where it wrote them.")
    try:
        raw = (folder / MANIFEST).read_bytes()
        version = msgspec.json.decode(raw, type=dict[str, Any]).get("manifest_version")
        if isinstance(version, int) and version > MANIFEST_VERSION:
            raise UsageError(
                f"{folder} has manifest version {version}; edgekit {__version__} reads up to {MANIFEST_VERSION}.",
                hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
            )
        return msgspec.json.decode(raw, type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{folder} is not an artifact: it has no {MANIFEST}.", hint=_REMAKE) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / MANIFEST} is damaged: {error}.", hint=_REMAKE) from None


def _check_names(folder: Path, names: Iterable[str]) -> None:
    """A name becomes a file's or a folder's, here and on devices: it leads nowhere else, and is one line."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{folder / MANIFEST} has a name that leads elsewhere: {name!r}.", hint=_REMAKE)


def _check_file(folder: Path, entry: FileEntry) -> None:
    path = folder / entry.name
    if not path.is_file():
        raise UsageError(f"{folder} lacks its file {entry.name}.", hint=_REMAKE)
    if any(parent.is_symlink() for parent in path.parents if folder in parent.parents):
        raise UsageError(f"{path} lies elsewhere, behind a link.", hint=_REMAKE)
    if file_entry(path, entry.name) != entry:
        raise UsageError(f"{path} is damaged: its SHA-256 is not the manifest's.", hint=_REMAKE)


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `manifest.json`."""
    schema = msgspec.json.schema(Manifest)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgekit artifact manifest",
    } | schema
