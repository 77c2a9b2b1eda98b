"""The geometry of a window that moves over an image: what convolutions and pools share."""

from typing import Final

from edgekit_converters.c.graph import Node, refusal

_SAME: Final = 0
"""`Padding` of the schema."""
_IMAGE: Final = 4


def window(node: Node, kernel: tuple[int, int]) -> dict[str, int]:
    """The fields of the C struct `window`; sizes NHWC, padding in front as the reference computes it.

    Raises:
        ConversionError: Input or output are no images.
    """
    source, output, options = node.input(0), node.outputs[0], node.options
    if len(source.shape) != _IMAGE or len(output.shape) != _IMAGE:
        raise refusal(node, "its input and output must have four dimensions")
    stride = (int(options["strideH"]), int(options["strideW"]))
    dilation = (int(options.get("dilationHFactor", 1)), int(options.get("dilationWFactor", 1)))
    same = int(options["padding"]) == _SAME
    top, left = (
        _padding(source.shape[1 + axis], output.shape[1 + axis], kernel[axis], stride[axis], dilation[axis])
        if same
        else 0
        for axis in (0, 1)
    )
    return {
        "batches": source.shape[0],
        "in_height": source.shape[1], "in_width": source.shape[2], "in_channels": source.shape[3],
        "out_height": output.shape[1], "out_width": output.shape[2], "out_channels": output.shape[3],
        "height": kernel[0], "width": kernel[1],
        "stride_y": stride[0], "stride_x": stride[1],
        "dilation_y": dilation[0], "dilation_x": dilation[1],
        "pad_top": top, "pad_left": left,
    }  # fmt: skip


def _padding(size: int, out: int, kernel: int, stride: int, dilation: int) -> int:
    reach = (kernel - 1) * dilation + 1
    return max(0, (out - 1) * stride + reach - size) // 2
