"""A caller's own encoder, given back as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def left_as_found(encoder: torch.nn.Module) -> Iterator[None]:
    """When the block ends, however it does, undo what measuring does to an encoder.

    Each module is in train or eval mode again, each parameter, gradient and buffer on the device
    where it was.
    """
    modes = [(module, module.training) for module in encoder.modules()]
    # the tensors themselves: they come back without a copy, and what shared memory still does
    kept = [
        (module, name, tensor, tensor.data)
        for module in encoder.modules()
        for named in (module.named_parameters, module.named_buffers)
        for name, tensor in named(recurse=False)
    ]
    gradients = [
        (tensor.grad, tensor.grad.data) for *_, tensor, _ in kept if tensor.grad is not None
    ]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for module, name, tensor, data in kept:
            if getattr(module, name).device != data.device:
                tensor.data = data
                setattr(module, name, tensor)
        for gradient, data in gradients:
            if gradient.device != data.device:
                gradient.data = data
