"""What will not run or fit on a device is said before it is made."""

from edgekit import catalog
from edgekit.plan import Format, Objection
from edgekit.target import BoardMemory


def _misfits(target: str, format_: Format, *, model_bytes: int = 1_000_000, engine: str = "") -> list[Objection]:
    library = catalog.targets()
    return list(library.misfits(library.load(target), format_=format_, model_bytes=model_bytes, engine=engine))


def test_a_small_model_fits_everywhere_it_has_a_runtime() -> None:
    """TFLite runs on all that have an operating system."""
    assert [name for name in catalog.targets().names() if _misfits(name, "tflite")] == [
        name for name in catalog.targets().names() if catalog.targets().load(name).system == "bare-metal"
    ]


def test_a_microcontroller_has_flash_and_ram() -> None:
    """Weights go into the one, the arena into the other, the harness into both."""
    library = catalog.targets()
    profile = library.load("stm32f746")

    def of(weight_bytes: int, ram_bytes: int) -> list[str]:
        memory = BoardMemory(weight_bytes=weight_bytes, ram_bytes=ram_bytes)
        return [item.cause for item in library.misfits(profile, format_="c", memory=memory)]

    assert of(900_000, 300_000) == []
    (flash,) = of(1_020_000, 1000)
    assert "1049 kB of flash" in flash
    (ram,) = of(1000, 310_000)
    assert "328 kB of RAM" in ram
    assert library.misfits(profile, format_="c") == ()


def test_a_format_without_a_runtime_is_named_with_the_ones_that_have() -> None:
    """There is no PyTorch for 32-bit Arm."""
    (objection,) = _misfits("linux-armv7", "torchscript")
    assert "no runtime for torchscript" in objection.cause
    assert objection.hint == "It runs tflite: --format tflite"


def test_a_model_larger_than_the_memory_does_not_fit() -> None:
    """512 MB hold the system, the runtime and the model twice, or not; unknown memory is no objection."""
    assert _misfits("raspberrypizero2w", "tflite", model_bytes=150_000_000) == []
    (objection,) = _misfits("raspberrypizero2w", "torchscript", model_bytes=150_000_000)
    assert "has 537 MB of memory" in objection.cause
    assert _misfits("android-arm64", "tflite", model_bytes=10**12) == []


def test_int8_torchscript_is_made_for_an_engine() -> None:
    """What oneDNN packed on a PC does not run on Arm."""
    (objection,) = _misfits("raspberrypi4", "torchscript", engine="onednn")
    assert "onednn" in objection.cause
    assert objection.hint == "Convert it for this device: --target raspberrypi4"
    assert _misfits("raspberrypi4", "torchscript", engine="qnnpack") == []
