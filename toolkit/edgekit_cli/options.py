"""Options that several commands share, and the forms that their values are written in."""

import re
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from click import Context, Parameter

JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

DEVICE: Final = click.option("--device", "-d", default="local:", show_default=True, help="The device's URL.")

DEVICES: Final = click.option(
    "--device",
    "-d",
    "devices",
    multiple=True,
    default=("local:",),
    show_default="local:",
    help="A device's URL or name, or group:TAG; may be given several times.",
)

JOBS: Final = click.option(
    "--jobs", "-j", default=8, show_default=True, type=click.IntRange(1, 256), help="Devices at once."
)

TARGET: Final = click.option(
    "--target", default="host", show_default=True, help="The device's profile (`edgekit targets list`)."
)

STORE: Final = click.option(
    "--store", "store_url", default=None, help="Where runs are kept. Default: EDGEKIT_STORE, or SQLite."
)

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """Seconds, from `33ms`, `1.5s`, `5min` or a plain number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> float:
        """Read it."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value))
        if not match or match[2] not in _SECONDS:
            self.fail(f"{value!r} is no duration; write 33ms, 1.5s or 5min.", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class Share(click.ParamType[float]):
    """A share from 0 to 1, written as a percentage such as `1%` or `0.5%`."""

    name = "percentage"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> float:
        """Read it."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", str(value))
        if not match:
            self.fail(f"{value!r} is no percentage; write 1% or 0.5%.", param, ctx)
        return float(match[1]) / 100


class Size(click.ParamType[int]):
    """Bytes, from `512M`, `16G` or a plain number of bytes; K, M and G are powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> int:
        """Read it."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", str(value), re.IGNORECASE)
        if not match or not float(match[1]):
            self.fail(f"{value!r} is no size; write 512M or 16G.", param, ctx)
        return int(float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " "))


class Address(click.ParamType[int]):
    """An address, written as `0x08000000` or as a plain number."""

    name = "address"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> int:
        """Read it."""
        match = re.fullmatch(r"0[xX]([0-9a-fA-F_]{1,20})|(\d{1,20})", str(value))
        if not match:
            self.fail(f"{value!r} is no address; write 0x08000000.", param, ctx)
        return int(match[1], 16) if match[1] else int(match[2])


class Celsius(click.ParamType[float]):
    """Degrees Celsius, written as `35C` or `35`."""

    name = "temperature"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> float:
        """Read it."""
        match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*(?:°?\s*[Cc])?", str(value))
        if not match:
            self.fail(f"{value!r} is no temperature; write 35C.", param, ctx)
        return float(match[1])


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers of at least one, separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> tuple[int, ...]:
        """Read them; each is kept once."""
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is no list of numbers; write 1 or 1,2,4.", param, ctx)
        return tuple(dict.fromkeys(int(word) for word in words))


class Cores(click.ParamType["tuple[int, ...] | str"]):
    """Cores by number, such as `2,3` or `0-3` or `0,4-7`, or by cluster: `big` or `little`."""

    name = "cores"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> tuple[int, ...] | str:
        """Read them; each is kept once, in order."""
        if value in {"big", "little"}:
            return str(value)
        spans = [re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", word.strip()) for word in str(value).split(",")]
        cores: set[int] = set()
        for span in spans:
            if span is None or int(span[2] or span[1]) < int(span[1]):
                self.fail(f"{value!r} is no list of cores; write 2,3 or 0-3, big or little.", param, ctx)
            cores.update(range(int(span[1]), int(span[2] or span[1]) + 1))
        return tuple(sorted(cores))


class Since(click.ParamType[str]):
    """A moment as UTC in ISO 8601, from `2026-01-31`, `2026-01-31T09:30` or `7d`: so many days ago."""

    name = "time"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> str:
        """Read it."""
        from datetime import UTC, datetime, timedelta

        days = re.fullmatch(r"(\d{1,6})d", str(value))
        try:
            ago = timedelta(days=int(days[1])) if days else None
            moment = datetime.fromisoformat(str(value)) if ago is None else datetime.now(UTC) - ago
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-01-31 or 7d.", param, ctx)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ADDRESS: Final = Address()
DURATION: Final = Duration()
SINCE: Final = Since()
SHARE: Final = Share()
COUNTS: Final = Counts()
CORES: Final = Cores()
CELSIUS: Final = Celsius()
SIZE: Final = Size()
