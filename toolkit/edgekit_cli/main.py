"""The entry point: finds the command, turns every failure into a message and an exit code.

Exit codes: 0 success, 1 a check failed, 2 bad usage or input, 3 device or conversion failure, 130 interrupted.
Commands are imported when they are called, so that `edgekit --help` costs no more than click itself.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, cast

import click

from edgekit import __version__
from edgekit.errors import EdgekitError
from edgekit.suggest import did_you_mean

COMMANDS: Final = {
    "convert": "Convert a trained model into verified artifacts.",
    "routes": "Show which sources become which formats.",
    "check": "Tell whether a source will work as an artifact, and where it falls back.",
    "inspect": "Show what a source model or an artifact is.",
    "verify": "Run an artifact beside its source again, now.",
    "bench": "Measure artifacts on a device.",
    "firmware": "Build what a microcontroller runs.",
    "compare": "Compare two runs; a gate for CI.",
    "calibrate-noise": "Measure how noisy a device is.",
    "runs": "List, show, plot, move and prune stored runs.",
    "report": "Write runs to one HTML file: what to ship, and why.",
    "devices": "List, find and describe devices.",
    "provision": "Install a runtime on devices.",
    "push": "Put artifacts on devices, as updates.",
    "rollback": "Switch back to the version that was there before.",
    "artifacts": "List the artifacts on a device.",
    "flash": "Write firmware into a board, and verify it there.",
    "virtual": "Create and run emulated devices.",
    "targets": "Describe devices, and check what fits them.",
    "doctor": "Show what works here, and how to get the rest.",
    "schema": "Print the JSON Schema of a stored format.",
}
"""Every command with its short help; `tests` compares it with the commands' own."""

INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended: 128 + SIGINT."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name, in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command of this name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return cast("click.Command", getattr(import_module(f"edgekit_cli.commands.{name}"), name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begins with; a wrong name is answered with the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}. {did_you_mean(name, COMMANDS, 'commands')}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgekit")
def edgekit() -> None:
    """Take a trained model to a real device and prove what it does there.

    \b
    Example:
      edgekit convert net.keras --format tflite --precision int8 --calibration x.npy -o out
      edgekit bench out/*.edgekit --device local:
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = edgekit.main(arguments, prog_name="edgekit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EdgekitError as error:
        _show(error, as_json="--json" in arguments)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("Stopped. Nothing half-written was left behind.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _show(error: EdgekitError, *, as_json: bool) -> None:
    if as_json:
        from edgekit_cli.render.json import print_json

        facts = {"cause": error.cause, "hint": error.hint, "log": error.log, "exit_code": error.exit_code}
        print_json({"error": facts})
        return
    lines = [f"{click.style('error:', fg='red', bold=True)} {error.cause}"]
    if error.hint:
        lines.append(f"{click.style(' next:', bold=True)} {error.hint}")
    if error.log:
        lines.append(f"{click.style('  log:', bold=True)} {error.log}")
    click.echo("\n".join(lines), err=True)


def run() -> None:
    """The console script."""
    sys.exit(main())
