"""PyTorch to TFLite with litert-torch alone: `torch_to_tflite.py WEIGHTS OUT`, beside `digits_net.py`."""

import sys

import litert_torch
import torch
from digits_net import make_net

net = make_net()
net.load_state_dict(torch.load(sys.argv[1], weights_only=True))
litert_torch.convert(net.eval(), (torch.zeros(1, 1, 8, 8),)).export(sys.argv[2])
