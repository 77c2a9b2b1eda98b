"""PyTorch to TorchScript Mobile with torch alone: `torch_to_torchscript.py WEIGHTS OUT`, beside `digits_net.py`."""

import sys

import torch
from digits_net import make_net

net = make_net()
net.load_state_dict(torch.load(sys.argv[1], weights_only=True))
# As edgekit traces: the check that is on by default costs 0.9 s, nearly all of it an import, and would flatter us.
traced = torch.jit.trace(net.eval(), torch.zeros(1, 1, 8, 8), check_trace=False)
torch.jit.freeze(traced)._save_for_lite_interpreter(sys.argv[2])  # noqa: SLF001 - torch has no other name for it
