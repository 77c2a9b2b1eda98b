"""edgekit takes a trained model to a real device and proves what it does there.

The Python API is the command line's: `edgekit.convert(...)` gives an `Artifact`, `edgekit.benchmark(...)` a `Run`.
Names are imported when they are used, so that `import edgekit` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgekit.api import convert as convert
    from edgekit.artifact import Artifact as Artifact
    from edgekit.artifact import load_artifact as load_artifact
    from edgekit.comparison import compare as compare
    from edgekit.deployment import push as push
    from edgekit.deployment import rollback as rollback
    from edgekit.errors import EdgekitError as EdgekitError
    from edgekit.flashing import flash as flash
    from edgekit.html_report import write_report as write_report
    from edgekit.measure import benchmark as benchmark
    from edgekit.measure import benchmark_pair as benchmark_pair
    from edgekit.probing import probe as probe
    from edgekit.provisioning import provision as provision
    from edgekit.run import Run as Run
    from edgekit.run import Schedule as Schedule
    from edgekit.store import open_store as open_store
    from edgekit.verification import verify as verify

_HOMES: Final = {
    "Artifact": "edgekit.artifact",
    "EdgekitError": "edgekit.errors",
    "Run": "edgekit.run",
    "Schedule": "edgekit.run",
    "benchmark": "edgekit.measure",
    "benchmark_pair": "edgekit.measure",
    "compare": "edgekit.comparison",
    "convert": "edgekit.api",
    "flash": "edgekit.flashing",
    "load_artifact": "edgekit.artifact",
    "open_store": "edgekit.store",
    "probe": "edgekit.probing",
    "provision": "edgekit.provisioning",
    "push": "edgekit.deployment",
    "rollback": "edgekit.deployment",
    "verify": "edgekit.verification",
    "write_report": "edgekit.html_report",
}
"""Public names, and the modules that hold them."""

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - names of the table


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
