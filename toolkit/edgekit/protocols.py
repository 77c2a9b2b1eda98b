"""What converters, readers, runtimes, transports, harnesses, flashers and stores offer; none of them holds state.

The pipeline knows these and nothing else of the packages above it; `edgekit.catalog` finds who implements them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from edgekit.artifact import Artifact, Footprint, QuantizedShare
from edgekit.device import DeviceUrl
from edgekit.device_facts import DeviceFacts
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.model import Representation, Signature, SourceKind, SourceModel, TensorSpec
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.run import Clock, Run, Schedule
from edgekit.target import BoardMemory, TargetProfile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekit.dataset import DataSet

Array: TypeAlias = "NDArray[np.generic]"
"""A NumPy array; a name in quotes, so that these protocols import no NumPy."""

Tensors: TypeAlias = "Mapping[str, NDArray[np.generic]]"
"""Tensors by name."""


class Step(Protocol):
    """One piece of long work that is under way."""

    def advance(self, amount: float = 1) -> None:
        """Say that `amount` more of the step's total is done."""


class Progress(Protocol):
    """Where long work tells how far it is."""

    def step(self, title: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Open a step; `total` is in the step's own unit, None when it is not known."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """A package that work needs: the module to look for, and the extra of edgekit that installs it."""

    module: str
    extra: str


class LoadedSource(Protocol):
    """A source model in its framework, ready to run and to convert. Lives in a worker process only."""

    framework: str
    """The framework with its version, such as `torch 2.13.0`."""
    signature: Signature
    parameters: int
    operators: Mapping[str, int]
    notes: Sequence[str]

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name and of the signature's shape; outputs by name."""


class RelayableSource(LoadedSource, Protocol):
    """A source that can be had in another layout; those that PyTorch holds can."""

    def relaid(self, layout: str) -> LoadedSource:
        """The same model with its tensors of four dimensions in this layout.

        Raises:
            UsageError: It has none.
        """


class SourceReader(Protocol):
    """Loads source models of some kinds into one representation."""

    name: str
    kinds: Sequence[SourceKind]
    representation: Representation
    requires: Sequence[Requirement]
    environment: Mapping[str, str]
    """Variables that the worker process must have before the framework is imported."""

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """What is wrong with the file, as far as it shows without a framework: missing, cut, would run code."""

    def load(self, model: SourceModel) -> LoadedSource:
        """Load it, in a worker process.

        Raises:
            UsageError: The file is not what it claims to be, or lacks something.
            ConversionError: The framework cannot load it.
        """


@runtime_checkable
class ReadsQuantized(Protocol):
    """What a reader offers besides when its files may be quantized already."""

    def is_quantized(self, model: SourceModel) -> bool:
        """Whether this one is, so that there is nothing to calibrate."""


class TargetLibrary(Protocol):
    """Knows target profiles: ours, the user's, and those of third parties."""

    def names(self) -> Sequence[str]:
        """Every profile's name, `host` first."""

    def load(self, name: str) -> TargetProfile:
        """The profile of this name; `host` describes this machine.

        Raises:
            UsageError: There is none, or its file is wrong (names file, key and reason).
        """

    def runtime_bytes(self, format_: Format) -> int:
        """What a format's runtime takes in memory, before a model."""

    def available_bytes(self, profile: TargetProfile) -> int:
        """What such a device has in memory beside its own system; 0 where that differs by machine."""

    def misfits(
        self,
        profile: TargetProfile,
        *,
        format_: Format,
        model_bytes: int | None = None,
        held_bytes: int | None = None,
        engine: str = "",
        memory: BoardMemory | None = None,
    ) -> Sequence[Objection]:
        """Why a model of this kind will not run or fit there.

        Args:
            profile: The kind of device.
            format_: What runs it.
            model_bytes: The model file's size; None before it exists.
            held_bytes: What it takes in memory when it is loaded and run; None where nobody has measured that.
            engine: The quantized engine that the file was made for; empty when it has none.
            memory: What a model compiled to C takes; None before it exists, and for every other format.
        """


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """What a converter made: the model file and what it knows of it.

    Attributes:
        model: The model file, in the folder the converter was given.
        inputs: The source's inputs as the file has them: binding, dtype, layout, quantization.
        outputs: The same for the outputs.
        operators: Operators in the file with how often each occurs.
        quantized: How much is quantized; None for fp32.
        packages: Distributions that had a hand in it, beside edgekit.
        reproducible: Whether the same inputs give the same bytes.
        notes: What a careful reader should know.
        footprint: What it takes on a microcontroller, where the format is for one.
    """

    model: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: dict[str, int]
    quantized: QuantizedShare | None
    packages: tuple[str, ...]
    reproducible: bool = True
    notes: tuple[str, ...] = ()
    footprint: Footprint | None = None


class Converter(Protocol):
    """Turns a loaded source of one representation into one format."""

    name: str
    representation: Representation
    format: Format
    precisions: Sequence[Precision]

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """The packages that making this precision needs."""

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:
        """Why this plan cannot work, as far as it shows without a framework."""

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Write the model file into the empty folder `out`; runs in a worker process.

        Args:
            source: The model, loaded by a reader of the same representation.
            plan: What to make.
            calibration: Gives a fresh pass over the calibration samples, each shaped as the signature says.
            out: Where the model file goes; the folder is called as the artifact is.
            progress: Told of each phase.

        Raises:
            ConversionError: The framework could not do it; names the operator where that is known.
        """


class Session(Protocol):
    """A model that a runtime has loaded."""

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once; real-valued inputs and outputs by the source's names."""


class Runtime(Protocol):
    """Executes artifacts of one format on this host; the same code as the harness runs on a device."""

    name: str
    format: Format
    requires: Sequence[Requirement]

    def describe(self) -> str:
        """The runtime with its version, such as `LiteRT 2.3.0`."""

    def open(self, model: Path, signature: Signature, *, threads: int, engine: str) -> Session:
        """Load a model file."""


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A process that ran to its end on a device."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Link(Protocol):
    """An open connection to a device that can run programs."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | int = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program until it ends; what it started ends with it.

        Args:
            argv: The program and its arguments; no shell sees them.
            stdin: What it reads. Pieces are asked for as it reads them; with a descriptor it reads from that until its
                end. Of both it also sees the end when the link breaks: it must know by itself how much there is.
            timeout_s: The longest it may take.
            on_line: Given each line of standard output, without its end, as it comes. What it raises ends the
                program and passes through; so does Ctrl-C.

        Raises:
            DeviceError: It could not be started, ran past `timeout_s`, or the link broke.
        """

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Copy a file to the device, so that it is there whole or not at all; makes the folders that it needs.

        Raises:
            DeviceError: It cannot be read here or written there.
        """

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Copy a file from the device, so that it is here whole or not at all; makes the folders that it needs.

        Raises:
            DeviceError: It cannot be read there or written here.
        """

    def python(self) -> str:
        """The device's Python interpreter."""

    def home(self) -> PurePosixPath:
        """The folder on the device that is edgekit's own."""


class Transport(Protocol):
    """Reaches devices of one URL scheme."""

    scheme: str

    def open(self, url: DeviceUrl, *, timeout_s: float) -> AbstractContextManager[Link]:
        """Connect.

        Raises:
            DeviceError: The device cannot be reached; says why and what to do.
        """


class Guard(Protocol):
    """Keeps two people from working on one device at once."""

    def hold(self, link: Link, purpose: str, *, wait_s: float, progress: Progress) -> AbstractContextManager[None]:
        """Have the device for oneself inside; waits until it is free.

        Args:
            link: The way there.
            purpose: What for; others are told.
            wait_s: How long to wait for somebody else, seconds.
            progress: Told whom we wait for.

        Raises:
            DeviceError: Somebody else holds it for longer, or it cannot be locked.
        """


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an artifact on a device.

    Attributes:
        id: The artifact's id.
        seconds: When it came, Unix time by the device's clock.
        size: What it takes there, bytes.
        current: Whether it is the one in use.
    """

    id: str
    seconds: int
    size: int
    current: bool = False


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is on a device, verified there.

    Attributes:
        folder: Where.
        sent_bytes: How many bytes had to travel, compressed where that helped.
        new: Whether it was not there before.
    """

    folder: PurePosixPath
    sent_bytes: int
    new: bool


class Deployer(Protocol):
    """Keeps versions of artifacts on devices; one of each artifact is current."""

    def prepare(self, artifact: Artifact) -> None:
        """Begin what delivering it needs and no device has to be open for."""

    def deliver(self, link: Link, artifact: Artifact, progress: Progress, *, keep: int | None = None) -> Delivered:
        """Bring a version there, sending what the device lacks; with `keep`, switch to it as `switch` does.

        Raises:
            DeviceError: The device refused it, or the link stayed broken.
        """

    def switch(self, link: Link, name: str, version: str, *, keep: int) -> None:
        """Make a version current, in one step; of those before it the newest `keep` - 1 stay.

        Raises:
            DeviceError: The device refused it.
        """

    def rollback(self, link: Link, name: str) -> Version:
        """Make that version current again that was before the current one.

        Raises:
            UsageError: There is none.
        """

    def remove(self, link: Link, name: str, version: str) -> None:
        """Take a version away that is not current."""

    def artifacts(self, link: Link) -> Mapping[str, Sequence[Version]]:
        """The versions of each artifact there, newest first."""


class Probe(Protocol):
    """Looks at what a device is."""

    def describe(self, link: Link) -> DeviceFacts:
        """Ask it.

        Raises:
            DeviceError: It does not answer, or with something else than facts.
        """


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime that edgekit put on a device.

    Attributes:
        runtime: Its name.
        packages: The distributions that it is made of, with their versions.
        folder: Where it is there: a folder to put on `sys.path`.
        sent_bytes: How many bytes had to travel; 0 when it was there.
        python: The version of the Python that it is for.
    """

    runtime: str
    packages: dict[str, str]
    folder: PurePosixPath
    sent_bytes: int
    python: str


class Provisioner(Protocol):
    """Puts runtimes on devices."""

    def names(self) -> Sequence[str]:
        """Every runtime that can be installed."""

    def install(
        self,
        link: Link,
        target: TargetProfile,
        progress: Progress,
        *,
        runtime: str = "",
        version: str = "",
        upgrade: bool = False,
        offline: bool = False,
        origin: str = "",
        sha256: str = "",
    ) -> Provisioned:
        """Install one; the best there is when `runtime` is empty. See `edgekit.provision` for the rest.

        Raises:
            UsageError: There is no such runtime.
            DeviceError: No wheel fits, the device refused something, or the runtime does not work there.
        """

    def remove(self, link: Link, runtime: str) -> str:
        """Take one away; gives its name."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact on a device, each file verified.

    Attributes:
        artifact: What it is.
        folder: Where it is there.
        harness: Where the harness is there.
        runtime: The runtime of edgekit's own that must execute it (`edgekit provision`); empty for the best there is.
        sent_bytes: What had to travel.
    """

    artifact: Artifact
    folder: PurePosixPath
    harness: PurePosixPath
    runtime: str = ""
    sent_bytes: int = 0


class Harness(Protocol):
    """Measures artifacts on a device that can run programs."""

    def stage(self, link: Link, artifact: Artifact, progress: Progress, *, runtime: str = "") -> Deployment:
        """Put the artifact and the harness there; `runtime` names the one of edgekit's own that must execute it."""

    def check(
        self, link: Link, deployment: Deployment, target: TargetProfile, progress: Progress, *, device: DeviceUrl
    ) -> None:
        """Load the artifact there and run its golden vectors.

        Raises:
            MeasurementError: The harness did not complete.
            CheckFailed: The golden vectors differ on the device.
        """

    def measure(
        self,
        link: Link,
        deployment: Deployment,
        target: TargetProfile,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        check_golden: bool = True,
        operators: bool = False,
    ) -> Run:
        """Check the golden vectors there, then measure; `operators` adds where the time goes.

        Raises:
            MeasurementError: The harness did not complete, or its version is another.
            CheckFailed: The golden vectors differ on the device.
        """

    def measure_pair(
        self,
        link: Link,
        deployments: tuple[Deployment, Deployment],
        target: TargetProfile,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        check_golden: bool = True,
        slowed: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Run, Run]:
        """As `measure`, of two artifacts that take turns in the same processes.

        `slowed` slows each of the two down by this share of its time, to prove that it is found; their runs say so.
        """


class Flasher(Protocol):
    """Writes images into boards in one way."""

    name: str
    title: str
    """What it talks to, in a few words."""
    images: Sequence[ImageFormat]
    """What it takes."""
    options: Mapping[str, str]
    """Its own options, each with what it does."""
    evidence: str
    """What it was proven on, or `untested on hardware`."""
    keeps_previous: bool
    """Whether it can read what was there before."""
    needs_port: bool
    """Whether somebody has to say where the board is."""
    requires: Sequence[Requirement]

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """Why this image cannot go there this way, as far as it shows without the board."""

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Write and verify it.

        Raises:
            DeviceError: The board does not answer, is another one or in the wrong mode, or does not hold what was
                written; each with its next step.
        """


class BoardHarness(Protocol):
    """Measures artifacts on devices that run no programs: their firmware holds the model, and answers in bytes.

    Attributes:
        scheme: The scheme of the URLs that lead to such a device.
    """

    scheme: str

    def measure(
        self,
        artifact: Artifact,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        target: str = "",
        check_golden: bool = True,
        operators: bool = False,
        evaluation: "DataSet | None" = None,
    ) -> Run:
        """Check the golden vectors there, then measure.

        Args:
            artifact: What the firmware must hold.
            schedule: How to measure.
            progress: Told of each step.
            device: Where.
            target: The profile that the device is taken for; what the firmware says when empty.
            check_golden: Whether golden vectors that differ on the device fail the run.
            operators: Whether to ask for the time of each layer too.
            evaluation: A labelled set that is to be computed there.

        Raises:
            UsageError: The URL is wrong, or the schedule asks for what a bare board does not do.
            DeviceError: The line cannot be opened, or is gone.
            MeasurementError: Nothing answers, or the firmware holds another model.
            CheckFailed: The golden vectors differ on the device.
        """


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run without its samples, for listings."""

    id: str
    created: str
    artifact: str
    format: str
    precision: str
    device: str
    target: str
    kind: str
    median_ns: float
    samples: int
    mode: str
    pair: str
    clock: Clock


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which stored runs; None leaves a thing open.

    Attributes:
        artifact: The artifact's name.
        device: The device's URL.
        format: The artifact's format.
        since: UTC, ISO 8601; runs from then on.
        before: As `since`; runs until then.
        limit: At most so many, the newest.
    """

    artifact: str | None = None
    device: str | None = None
    format: str | None = None
    since: str | None = None
    before: str | None = None
    limit: int | None = 50


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """How many of some runs were new to a store, and how many it had."""

    new: int
    known: int


class Store(Protocol):
    """Keeps runs."""

    def record(self, run: Run) -> str:
        """Keep a run; gives its id."""

    def add(self, runs: Sequence[Run]) -> Added:
        """Keep those that are not there yet, all or none of them.

        Raises:
            UsageError: One has the id of a stored run and is another.
        """

    def runs(self, query: RunQuery | None = None) -> Sequence[RunSummary]:
        """Runs without their samples, newest first."""

    def load(self, run_id: str) -> Run:
        """A run with every sample; `run_id` may be an unambiguous beginning of it.

        Raises:
            UsageError: There is none, or several.
        """

    def every(self, query: RunQuery | None = None) -> Iterator[Run]:
        """Runs with every sample, newest first, a few in memory at a time; all of them without a query."""

    def delete(self, run_ids: Sequence[str]) -> None:
        """Forget these runs, all or none of them."""


Json = dict[str, Any]
