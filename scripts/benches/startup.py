"""How long `edgekit --help` takes, beside bare Python and the smallest click app, in turns.

The bar is 0.08 s on a machine where the click app takes 0.037 s; elsewhere it moves with the click app. All three
run as an installed package would: the import hook of the editable install here, which every Python process of this
environment pays for, is kept out, and what it costs is told apart.
"""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Final

from alternating import Check, Command, command, conclude, medians_s

import edgekit
import edgekit_cli

ROUNDS: Final = 21
BAR_RATIO: Final = 0.08 / 0.037
CLICK_APP: Final = """
import click

@click.command()
def app():
    'The smallest click app.'

app()
"""
EDGEKIT: Final = "from edgekit_cli.main import run; run()"


def _installed(code: str, *arguments: str) -> Command:
    """Python without its site hooks, finding packages where they lie."""
    homes = {str(Path(package.__path__[0]).parent) for package in (edgekit, edgekit_cli)}
    path = os.pathsep.join([*homes, sysconfig.get_path("purelib")])
    return command(sys.executable, "-S", "-c", code, *arguments, PYTHONPATH=path)


def main() -> int:
    """Time them and judge the ratio."""
    programs = {
        "python": _installed("pass"),
        "click": _installed(CLICK_APP, "--help"),
        "edgekit": _installed(EDGEKIT, "--help"),
        "editable": command(Path(sys.executable).with_name("edgekit"), "--help"),
    }
    medians_s(programs, 2)  # fills the file cache and writes byte code
    taken = medians_s(programs, ROUNDS)
    ms = {name: round(1000 * value, 1) for name, value in taken.items()}
    setting = f"medians of {ROUNDS}, in turns"
    lines = [
        f"edgekit --help {ms['edgekit']} ms, click app {ms['click']} ms, bare Python {ms['python']} ms ({setting})",
        f"edgekit --help is {taken['edgekit'] / taken['python']:.2f} times bare Python",
        f"from this editable checkout it takes {ms['editable']} ms",
    ]
    checks = [Check("edgekit --help over the click app", taken["edgekit"] / taken["click"], BAR_RATIO)]
    return conclude("startup", lines, {"median_ms": ms, "rounds": ROUNDS}, checks)


if __name__ == "__main__":
    sys.exit(main())
