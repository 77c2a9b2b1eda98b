"""`edgekit provision` on the command line: several devices, machine-readable answers, exit codes."""

import json
import sys
from pathlib import Path

import pytest

from edgekit_cli.main import main
from peers.openssh import SshServer
from peers.wheels import litert


@pytest.mark.slow
@pytest.mark.peer
def test_one_of_two_is_dead(
    ssh_server: SshServer, ssh_device: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other is done; the exit code tells."""
    assert ssh_device
    litert(index)
    urls = [f"{ssh_server.url_at('127.0.0.2', port)}?python={sys.executable}&home={tmp_path}/d" for port in (0, 1)]
    assert main(["provision", *urls, "--runtime", "litert", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["devices"][0]["provisioned"]["packages"] == {"ai-edge-litert": "2.3.0", "numpy": "2.4.0"}
    assert "Nothing answers" in told["failures"][0]["cause"]


@pytest.mark.slow
@pytest.mark.peer
def test_in_words(ssh_device: str, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was installed, that it is there already, and that it is gone."""
    litert(index)
    device = f"{ssh_device}&python={sys.executable}"
    for words in (["litert works", "sent", "ai-edge-litert 2.3.0, numpy 2.4.0"], ["was there already"]):
        assert main(["provision", device, "--runtime", "litert"]) == 0
        said = capsys.readouterr().out
        assert all(word in said for word in words)
    assert main(["provision", device, "--runtime", "litert", "--remove"]) == 0
    assert "litert is removed" in capsys.readouterr().out


def test_removing_asks_which(capsys: pytest.CaptureFixture[str]) -> None:
    """Not all of them by accident."""
    assert main(["provision", "local:", "--remove"]) == 2
    assert "--remove asks which runtime" in capsys.readouterr().err


def test_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is none."""
    assert main(["provision", "pi9", "--runtime", "litert"]) == 2
    assert "There is no device 'pi9'" in capsys.readouterr().err
