"""The inner tensors of models, as the runtimes on this host compute them."""
