"""`edgekit compare`: is the new run slower than the base, and may it ship."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON, SHARE, STORE

if TYPE_CHECKING:
    pass


@click.command(short_help="Compare two runs; a gate for CI.")
@click.argument("base")
@click.argument("new")
@click.option("--fail-if", "conditions", multiple=True, help='Such as "median > +5%" or "p99 > 12ms"; repeatable.')
@click.option("--band", type=SHARE, default=None, help="The device's noise band, in place of the calibrated one.")
@click.option("--strict", is_flag=True, help="Fail too when the runs cannot tell.")
@click.option("--force", is_flag=True, help="Compare runs from different devices all the same.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--junit", type=click.Path(dir_okay=False), default=None, help="Write JUnit XML there too.")
@STORE
@JSON
def compare(
    *,
    base: str,
    new: str,
    conditions: tuple[str, ...],
    band: float | None,
    strict: bool,
    force: bool,
    markdown: bool,
    junit: str | None,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Compare run NEW with run BASE; the beginnings of their ids are enough.

    Exits with 1 when a condition fails; without --fail-if, when the median is slower than the device's noise allows
    (`edgekit calibrate-noise`). Where the intervals are too wide to decide, it says so and passes, unless --strict.

    \b
    Example:
      edgekit compare 20260131T0930 20260201T1015 --fail-if "median > +5%" --junit gate.xml
    """
    from pathlib import Path

    from edgekit.comparison import compare as compare_runs
    from edgekit.gate import check, parse_condition
    from edgekit.noise import noise_band
    from edgekit.store import open_store
    from edgekit_cli.render.comparison import show_comparison, write_junit

    asked = [parse_condition(text) for text in conditions]
    store = open_store(store_url)
    before, after = store.load(base), store.load(new)
    found = compare_runs(before, after, band=noise_band(before) if band is None else band, force=force)
    checks = check(found, asked)
    passed = not any(item.state == "failed" or (strict and item.state == "cannot tell") for item in checks)
    if junit:
        write_junit(Path(junit), found, checks, strict=strict)
    show_comparison(found, checks, passed=passed, markdown=markdown, as_json=as_json)
    return 0 if passed else 1
