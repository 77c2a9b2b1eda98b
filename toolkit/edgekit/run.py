"""A run: one harness execution on a device, with every sample and the environment it ran in."""

from typing import Final, Literal, TypeAlias

import msgspec

RUN_VERSION: Final = 1
"""1: first."""


Mode: TypeAlias = Literal["single-stream", "burst", "sustained", "cold"]


Clock: TypeAlias = Literal["wall", "instructions"]


Delegate: TypeAlias = Literal["default", "none", "gpu", "nnapi"]


Cluster: TypeAlias = Literal["", "big", "little"]


Stopped: TypeAlias = Literal["repeat", "goal", "budget"]


Kind: TypeAlias = Literal["physical", "emulated", "virtual"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure.

    Attributes:
        mode: `single-stream`: one inference after the other. `burst`: one in each `period_s`, asleep in between.
            `sustained`: single-stream for minutes in one process, with the curve of temperature and clock. `cold`: the
            first inference of each process is the only one, and its sample.
        threads: Threads the runtime may use.
        repeat: Fresh processes, one after the other; each imports, loads, warms up and measures. The least of them
            where there is a `precision_goal`.
        min_time_s: Least time of steady state in each process, seconds.
        min_samples: Least number of timed inferences in each process.
        max_samples: Most timed inferences in each process; ends the measurement of a very fast model.
        warmup_s: Least time of warm-up in each process, seconds.
        period_s: Seconds from the start of an inference to the start of the next, in burst mode; else 0.
        delegate: `default`: what the runtime delegates to by itself (LiteRT: XNNPACK). `none`: leave it out. `gpu` and
            `nnapi`: Android's, by programs of the runtimes' makers.
        precision_goal: Go on with further processes until the median's interval reaches this far from it at most,
            relative (0.01 is 1 %); None: `repeat` processes, however sure.
        budget_s: The longest that reaching `precision_goal` may take, seconds.
        clock: `wall`: the monotonic clock. `instructions`: an emulated board whose clock goes on by one nanosecond for
            each instruction (QEMU, `-icount shift=0`); every time of the run then is a number of instructions.
        governor: The frequency governor that every core is given for as long as each process measures; empty leaves
            what the device has.
        affinity: The cores that the process may use, by number; empty for all.
        cluster: The cores of the highest clock (`big`) or of the lowest (`little`); `affinity` is which ones they were.
        cooldown_c: Wait until the device is no warmer than this before measuring, degrees Celsius; None: do not wait.
    """

    mode: Mode = "single-stream"
    threads: int = 1
    repeat: int = 5
    min_time_s: float = 0.6
    min_samples: int = 30
    max_samples: int = 200_000
    warmup_s: float = 0.2
    period_s: float = 0.0
    delegate: Delegate = "default"
    precision_goal: float | None = None
    budget_s: float = 60.0
    clock: Clock = "wall"
    governor: str = ""
    affinity: tuple[int, ...] = ()
    cluster: Cluster = ""
    cooldown_c: float | None = None


class TracePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of a sustained run: seconds into the steady state and samples so far; the rest where it is known.

    Attributes:
        seconds: Since the steady state began.
        samples: Timed inferences until then.
        temperature_c: The hottest zone, degrees Celsius.
        frequency_hz: The fastest core's clock.
        throttled: Throttle flags as the board reports them.
        power_mw: What the whole module takes, milliwatts, where its rails are known to tell it.
    """

    seconds: float
    samples: int
    temperature_c: float | None = None
    frequency_hz: int | None = None
    throttled: str | None = None
    power_mw: float | None = None


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """One fresh process of the harness. All times in nanoseconds of the monotonic clock.

    Attributes:
        import_ns: Importing the runtime.
        load_ns: Loading the model until it could run: construct, allocate, prepare.
        first_ns: The first inference.
        warmup_samples: Inferences before steady state, not timed one by one into `samples_ns`.
        samples_ns: Every timed inference, in order; none dropped.
        peak_rss_bytes: Peak resident memory from the load on; of the whole process where it is not `rss_separable`.
        base_rss_bytes: Resident memory just before the model was loaded: interpreter, NumPy, runtime, one input. Its
            peak until then where it is not `rss_separable`.
        rss_separable: Whether the kernel let the peak be set back before the load, so that the two can be compared.
        settled: Whether warm-up ended steady (two windows within 2 %) and not at its limit of ten times `warmup_s`.
        missed_periods: In burst mode, periods that passed while an inference of an earlier one still ran.
        trace: In sustained mode, temperature and clock over time.
        interruptions: Times the process was taken off its core while it measured; None where unknown.
        stolen: The share of the machine's CPU time that a hypervisor took away meanwhile, 0 to 1; None where unknown.
        overhead_ns: What the harness itself costs for each inference, measured there with a call of nothing; it is
            subtracted nowhere. 0 where it was not measured.
        inferences: How many inferences the samples stand for where a program tells only of several together (the run's
            `method` says how); 0 where each is a sample.
        fastest_ns: The fastest of them; None where each is a sample.
        slowest_ns: The slowest of them; None where each is a sample.
    """

    import_ns: int
    load_ns: int
    first_ns: int
    warmup_samples: int
    samples_ns: tuple[int, ...]
    peak_rss_bytes: int
    base_rss_bytes: int
    rss_separable: bool = False
    settled: bool = True
    missed_periods: int = 0
    trace: tuple[TracePoint, ...] = ()
    interruptions: int | None = None
    stolen: float | None = None
    overhead_ns: int = 0
    inferences: int = 0
    fastest_ns: int | None = None
    slowest_ns: int | None = None


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's own time in one inference, as the runtime's profiler tells it.

    Attributes:
        name: The runtime's name of it.
        calls: How often it runs in one inference.
        self_ns: All of them together, nanoseconds, without the operators that they call.
    """

    name: str
    calls: float
    self_ns: int


class GoldenCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The golden vectors run on the device, before anything was measured.

    Attributes:
        passed: Every output is within `max_error`.
        relative_rms: The worst output's RMSE / RMS of the source's output; None when it is not a number or an output
            has another size.
        max_error: The bar, from the artifact's manifest.
        vectors: How many were run.
    """

    passed: bool
    relative_rms: float | None
    max_error: float
    vectors: int


class Firmware(msgspec.Struct, frozen=True, kw_only=True):
    """What ran on a board that runs no programs: a model and nothing else.

    Attributes:
        board: The board, as its firmware calls it: a target profile's name.
        protocol: How it was spoken to, with the version (`edgekit 1`, `mlperf-tiny`).
        clock: What its ticks are (`DWT CYCCNT`, `SysTick`).
        clock_hz: How many of them a second has.
        compiler: What compiled it.
        flash_bytes: The whole image: code, weights and initial values; 0 where it is not known.
        ram_bytes: Variables, the arena among them, without the stack; 0 where it is not known.
        stack_bytes: The deepest that the stack has been; 0 where it is not known.
        arena_bytes: What the model computes in.
        weight_bytes: What the model's weights take of the flash.
    """

    board: str
    protocol: str
    clock: str = ""
    clock_hz: int = 0
    compiler: str = ""
    flash_bytes: int = 0
    ram_bytes: int = 0
    stack_bytes: int = 0
    arena_bytes: int = 0
    weight_bytes: int = 0


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Top-1 accuracy over a labelled set whose every sample was computed on the device.

    Attributes:
        data: The set's file name.
        sha256: The hash of its content.
        samples: How many it has.
        accuracy: The share whose largest score is at the label, 0 to 1.
    """

    data: str
    sha256: str
    samples: int
    accuracy: float


class CpuState(msgspec.Struct, frozen=True, kw_only=True):
    """What moves during a run. None where the device does not say.

    Attributes:
        load1: Load average over a minute.
        frequency_hz: Current clock by core.
        governor: The frequency governor by core.
        temperature_c: Degrees Celsius by thermal zone.
        throttled: Throttle flags as the board reports them (`vcgencmd get_throttled`).
        power_mw: Milliwatts by rail, from sensors on the board; averages over the sensor's own time, some 100 ms.
        gpu_hz: Current clock of a Jetson's GPU.
        thermal_status: Android's, from 0 (none) to 6 (shutdown); from 2 on the device slows itself down.
        battery_percent: How full a phone's battery is.
        charging: Whether it is being charged, which warms it.
    """

    load1: float | None = None
    frequency_hz: tuple[int, ...] | None = None
    governor: tuple[str, ...] | None = None
    temperature_c: dict[str, float] | None = None
    throttled: str | None = None
    power_mw: dict[str, float] | None = None
    gpu_hz: int | None = None
    thermal_status: int | None = None
    battery_percent: float | None = None
    charging: bool | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run happened.

    Attributes:
        machine: `uname -m`.
        system: `uname -s -r`.
        libc: The C library and version.
        python: Python's version on the device.
        board: The device tree's model, or the DMI product name; empty when neither is readable.
        cpu: The CPU model.
        cpu_features: The kernel's feature flags.
        cores: Cores that the process may use.
        affinity: Which ones, by number; empty in runs of older harnesses.
        memory_bytes: Physical memory.
        kind: `physical`, `emulated` (QEMU) or `virtual` (a hypervisor or container shares the host's CPU).
        packages: Versions of the runtime and of NumPy.
        before: What moves, before the first repetition.
        after: The same after the last.
        power_mode: A Jetson's power mode with its number, such as `MAXN (0)`; empty where there is none.
        clocks_pinned: Whether the cores (by `jetson_clocks`, the GPU too) can run at one clock only.
    """

    machine: str
    system: str
    libc: str
    python: str
    board: str
    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_bytes: int
    kind: Kind
    packages: dict[str, str]
    before: CpuState
    after: CpuState
    affinity: tuple[int, ...] = ()
    power_mode: str = ""
    clocks_pinned: bool | None = None


class ArtifactFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run needs to say of its artifact when the artifact is gone."""

    id: str
    name: str
    format: str
    precision: str
    source: str
    model_bytes: int
    relative_rms: float
    accuracy: float | None = None
    source_accuracy: float | None = None
    evaluation_samples: int = 0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one artifact on one device.

    Attributes:
        run_version: The version of this schema (`RUN_VERSION`).
        id: Unique; sorts by time.
        created: UTC, ISO 8601.
        edgekit: The version of edgekit that drove it.
        harness: The version of the harness that ran on the device.
        device: The device's URL, without secrets.
        target: The target profile it was taken for.
        artifact: What was measured.
        schedule: How.
        runtime: The runtime that executed it, with its version.
        delegate: What executes the graph (`XNNPACK`), and how much of it, as far as the runtime says.
        method: How a sample was timed, in a sentence.
        golden: Parity on the device; it has failed only in a run that was to go on all the same.
        repetitions: The fresh processes, in order.
        environment: Where.
        pair: Shared by the two runs of artifacts that took turns in the same processes, in the same order; else empty.
        stopped: What ended it: all `repeat` processes done, `precision_goal` reached, or `budget_s` spent before that.
        operators: Where the time goes, the slowest first (in a model compiled to C: its layers in their order); empty
            when that was not asked for.
        firmware: What ran on a bare board; None where programs run.
        evaluation: Accuracy over a labelled set, computed there; None when that was not asked for.
    """

    run_version: int
    id: str
    created: str
    edgekit: str
    harness: str
    device: str
    target: str
    artifact: ArtifactFacts
    schedule: Schedule
    runtime: str
    delegate: str
    method: str
    golden: GoldenCheck | None
    repetitions: tuple[Repetition, ...]
    environment: Environment
    pair: str = ""
    stopped: Stopped = "repeat"
    operators: tuple[OperatorTime, ...] = ()
    firmware: Firmware | None = None
    evaluation: Evaluation | None = None

    @property
    def samples_ns(self) -> tuple[tuple[int, ...], ...]:
        """For each process its samples in order, nanoseconds."""
        return tuple(item.samples_ns for item in self.repetitions)
