"""Train the digits network in PyTorch: what a PyTorch user has.

`digits_net.py` (the factory), `digits_torch.pt` (the weights), a calibration and an evaluation set (N, 1, 8, 8).
"""

import shutil
from pathlib import Path
from typing import Final

import torch
from digits_data import SEED, Digits, load, write_sets
from digits_net import make_net
from torch import nn

EPOCHS: Final = 20
BATCH: Final = 64


def _accuracy(net: nn.Module, digits: Digits) -> float:
    net.eval()
    with torch.inference_mode():
        answers = net(torch.from_numpy(digits.test).unsqueeze(1)).argmax(1)
    return float((answers == torch.from_numpy(digits.test_labels)).double().mean())


def _fit(net: nn.Module, digits: Digits) -> None:
    images, labels = torch.from_numpy(digits.train).unsqueeze(1), torch.from_numpy(digits.train_labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, EPOCHS * (len(images) // BATCH + 1))
    loss = nn.CrossEntropyLoss()
    net.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss(net(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def train(out: Path) -> float:
    """Train, write everything into `out`, give the held-out accuracy."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    digits, net = load(), make_net()
    _fit(net, digits)
    accuracy = _accuracy(net, digits)
    torch.save(net.state_dict(), out / "digits_torch.pt")
    shutil.copyfile(Path(__file__).with_name("digits_net.py"), out / "digits_net.py")
    write_sets(out, "torch", digits, channel_axis=1)
    return accuracy
