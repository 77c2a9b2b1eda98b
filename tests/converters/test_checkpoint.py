"""Weights as people have them: what fits is taken and said, what does not is refused by name."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.model import SourceModel
from edgekit_converters.sources.checkpoint import load_weights

pytestmark = pytest.mark.slow


class _Small(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.head = nn.Linear(2, classes)


Wrap = Callable[[Mapping[str, Any]], Any]


def _trained() -> dict[str, Any]:
    torch.manual_seed(3)
    return dict(_Small().state_dict())


def _prefixed(prefix: str) -> Wrap:
    return lambda state: {prefix + name: value for name, value in state.items()}


def _load(file: Path, *, trusted: bool = False, classes: int = 4) -> tuple[nn.Module, tuple[str, ...]]:
    module = _Small(classes)
    source = SourceModel(kind="pytorch", path="net.py", factory="make", weights=str(file), trusted=trusted)
    return module, load_weights(module, source)


def _saved(file: Path, content: Any) -> Path:
    torch.save(content, file)
    return file


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (dict, ""),
        (OrderedDict, ""),
        (_prefixed("module."), "'module.'"),
        (_prefixed("_orig_mod."), "'_orig_mod.'"),
        (_prefixed("module._orig_mod."), "'_orig_mod.module.'"),
        (lambda state: {"state_dict": state, "epoch": 3}, "'state_dict' of w.pt"),
        (lambda state: {"model_state_dict": state, "optimizer": {"state": {0: torch.zeros(1)}}}, "'model_state_dict'"),
        (lambda state: {"ema": state, "step": torch.tensor(7)}, "'ema'"),
        (lambda state: {"net": {"module." + name: value for name, value in state.items()}}, "'module.'"),
        (lambda state: {"model": {"state_dict": state}}, "'model.state_dict'"),
        (lambda state: {"state_dict": _prefixed("model.")(state), "pytorch-lightning_version": "2.5"}, "'model.'"),
        (lambda state: {name.replace("body.", "body._orig_mod."): item for name, item in state.items()}, "_orig_mod"),
        (lambda state: {"model": state, "ema": state}, "others that fit as well: ema"),
        (lambda state: {name: item.half() for name, item in state.items()}, "stored in float16"),
        (lambda state: {**state, "loss.weight": torch.ones(2)}, "1 more in w.pt than the model has: loss.weight"),
        (lambda state: {name: item for name, item in state.items() if "num_batches" not in name}, ""),
    ],
)
def test_weights_are_found_wherever_people_leave_them(wrap: Wrap, said: str, tmp_path: Path) -> None:
    """Nested, prefixed, compiled, in half precision, with more beside them: all are loaded, and the notes say how."""
    trained = _trained()
    module, notes = _load(_saved(tmp_path / "w.pt", wrap(trained)))
    assert torch.allclose(module.state_dict()["head.weight"], trained["head.weight"], atol=1e-3)
    assert torch.equal(module.state_dict()["body.1.running_var"], trained["body.1.running_var"])
    assert said in " ".join(notes)
    assert bool(notes) == bool(said)


def test_weights_saved_on_a_gpu_load_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file says cuda:0 of each storage."""
    with monkeypatch.context() as patch:
        patch.setattr("torch.serialization.location_tag", lambda _storage: "cuda:0")
        file = _saved(tmp_path / "w.pt", {"model": _trained()})
    assert b"cuda:0" in file.read_bytes()
    module, _ = _load(file)
    assert module.state_dict()["head.weight"].device.type == "cpu"


def test_safetensors_are_weights_too(tmp_path: Path) -> None:
    """With the same prefixes; a cut file is refused."""
    from safetensors.torch import save_file

    trained = _trained()
    save_file(_prefixed("model.")(trained), tmp_path / "w.safetensors")
    module, notes = _load(tmp_path / "w.safetensors")
    assert torch.equal(module.state_dict()["head.bias"], trained["head.bias"])
    assert "'model.'" in notes[0]
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:300])
    with pytest.raises(UsageError, match="not a whole safetensors file"):
        _load(tmp_path / "cut.safetensors")


def test_a_claim_of_a_huge_header_is_refused(tmp_path: Path) -> None:
    """Eight bytes that promise 2 GiB."""
    (tmp_path / "w.safetensors").write_bytes((2 << 30).to_bytes(8, "little") + b"{}")
    with pytest.raises(UsageError, match="not a whole safetensors file"):
        _load(tmp_path / "w.safetensors")


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    """Beside what the file has in their place."""
    state = {("fc" + name[4:] if name.startswith("head") else name): item for name, item in _trained().items()}
    with pytest.raises(UsageError, match=r"lacks head\.bias, head\.weight and has fc\.bias, fc\.weight"):
        _load(_saved(tmp_path / "w.pt", state))


def test_another_shape_is_refused_with_both(tmp_path: Path) -> None:
    """Such as a head for other classes."""
    with pytest.raises(UsageError, match=r"'head\.weight' has shape 4x2 in the checkpoint and 10x2 in the model"):
        _load(_saved(tmp_path / "w.pt", _trained()), classes=10)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3)])
def test_a_file_without_weights_is_refused(content: Any, tmp_path: Path) -> None:
    """A list, a dict of numbers, a lone tensor."""
    with pytest.raises(UsageError, match="holds no weights"):
        _load(_saved(tmp_path / "w.pt", content))


def test_a_whole_module_needs_the_users_word(tmp_path: Path) -> None:
    """It is a pickle that calls its class; trusted, its weights are taken."""
    trained = _Small()
    file = _saved(tmp_path / "w.pt", {"ema": trained})
    with pytest.raises(UsageError, match=r"would run code .*: it calls for .*_Small") as refused:
        _load(file)
    assert "--trust" in refused.value.hint
    module, _ = _load(file, trusted=True)
    assert torch.equal(module.state_dict()["head.weight"], trained.state_dict()["head.weight"])
