"""A PyTorch graph made plain: constants folded, per-channel arithmetic inside the convolutions, known modules.

FX graph mode quantization knows `nn.Conv2d`, `nn.Linear`, `nn.ReLU` and the like. A graph from `torch.export` has
ATen calls on free weights instead, and one that Keras traced on its torch backend also has layout permutes around
each convolution and batch normalization as loose arithmetic. The passes here, one a file, bring both to the same
form, so that one quantizer serves every source. Each keeps the graph's meaning; the artifact's parity proves it.
"""

from edgekit_converters.torch_graph.plain import flat_graph, plain_graph

__all__ = ["flat_graph", "plain_graph"]
