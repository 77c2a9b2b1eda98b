"""What Android adds to a shell, as programs on this machine's PATH: enough of them to be taken for a phone."""

import os
from pathlib import Path

import pytest

from edgekit_bridge.virtual import phone

_PROGRAMS = ("settings", "input", "dumpsys")


class Android:
    """Where this phone keeps its settings, and what it says of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tell(self, what: str, text: str) -> None:
        """Let `dumpsys` say this: of `battery`, `thermalservice`, or how awake it is (`wakefulness`)."""
        (self.folder / what).write_text(text)

    def battery(self, *, level: int = 85, status: int = 3, tenths: int = 290) -> None:
        """Its level, status (2: being charged, 3: not) and temperature."""
        text = phone.BATTERY.replace("level: 85", f"level: {level}").replace("status: 3", f"status: {status}")
        self.tell("battery", text.replace("temperature: 290", f"temperature: {tenths}"))

    def skin(self, celsius: float, status: int = 0) -> None:
        """How warm it feels, and what Android makes of it."""
        text = phone.THERMAL.replace("mValue=31.5", f"mValue={celsius}")
        self.tell("thermalservice", text.replace("Thermal Status: 0", f"Thermal Status: {status}"))

    def put(self, name: str, value: str) -> None:
        """A setting, by `global.NAME` or `system.NAME`."""
        (self.folder / "settings").mkdir(exist_ok=True)
        (self.folder / "settings" / name).write_text(f"{value}\n")

    @property
    def settings(self) -> dict[str, str]:
        """All that are set, and how awake it is."""
        found = {file.name: file.read_text().strip() for file in (self.folder / "settings").glob("*")}
        return found | {"wakefulness": (self.folder / "wakefulness").read_text().strip()}


@pytest.fixture
def android(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Android:
    """This machine as a phone: asleep, cool, its battery at 85 %."""
    folder, programs = tmp_path / "system", tmp_path / "android-bin"
    folder.mkdir()
    programs.mkdir()
    for name in _PROGRAMS:
        text = phone.SHIMS[name].replace("/data/system", str(folder)).replace("/system/bin/sh", "/bin/sh")
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    found = Android(folder)
    found.tell("wakefulness", "Asleep\n")
    found.battery()
    found.skin(31.5)
    return found
