"""edgekit takes a trained model to a real device and proves what it does there."""

__version__ = "0.1.0"
