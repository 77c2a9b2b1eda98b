"""What every test gets: folders of its own, and no excuse for a missing peer where `.ci/run` says so."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

pytest_plugins = [
    "models.linear",
    "peers.android",
    "peers.wire",
    "peers.console",
    "peers.arduino",
    "peers.boards",
    "peers.mlflow_server",
    "peers.openssh",
    "peers.postgres",
    "peers.programs",
    "peers.smp_stand_in",
    "peers.stm32_stand_in",
    "peers.uboot",
    "peers.virtual",
    "peers.wheels",
]

REQUIRE_PEERS = "EDGEKIT_REQUIRE_PEERS"
"""Set where everything is installed: a `peer` test that skips then fails."""


def _folders(root: Path) -> dict[str, str]:
    return {f"EDGEKIT_{name}": str(root / name.lower()) for name in ("CACHE", "DATA", "CONFIG")}


@pytest.fixture(scope="session", autouse=True)
def _session_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures that outlive a test (a model converted once) do not touch the user's folders either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EDGEKIT_STORE", raising=False)
        for variable, folder in _folders(tmp_path_factory.mktemp("edgekit")).items():
            patch.setenv(variable, folder)
        yield


@pytest.fixture(autouse=True)
def _own_folders(_session_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Cache, data (with the store of runs) and configuration lie in a folder that is the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in _folders(tmp_path_factory.mktemp("edgekit")).items():
            patch.setenv(variable, folder)
        yield


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How often to try what goes wrong at random: as often as said when `-m faults` asks for it, else a fifth of it."""
    asked = "faults" in str(request.config.getoption("-m"))
    return lambda count: count if asked else count // 5


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where peers are required, a `peer` test that was skipped counts as failed."""
    report = yield
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and item.get_closest_marker("peer") and os.environ.get(REQUIRE_PEERS) == "1":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs a peer that is missing, and {REQUIRE_PEERS}=1: {report.longrepr}"
    return report
