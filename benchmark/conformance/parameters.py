"""How many of an encoder's weights its encoding reads: a decoder beside it costs nothing here."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from earmark.benchmark.conformance.trial import ContractBreach, TrialRuns
from earmark.encoders import AudioEncoder

_CLIP = "noise-0.6"


class _Reads(TorchDispatchMode):
    """Notes the memory of every tensor that an operation takes: a view's is its parameter's."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, torch.Tensor):
                with contextlib.suppress(Exception):  # sparse ones, and pretended ones, have none
                    self.seen.add(one.untyped_storage().data_ptr())
        return func(*args, **(kwargs or {}))


def encoding_parameters(encoder: AudioEncoder, device: str) -> int | None:
    """Number of the weights that encoding 0.6 s of noise reads; None where unknown.

    A weight counts where an operation takes it, or where its module is called (which may hold a
    copy of it in half precision). The encoder must be in eval mode; it is moved to the device.
    """
    if next(encoder.parameters(), None) is None:
        return 0
    called: set[int] = set()

    def note(module: torch.nn.Module, _given: object) -> None:
        called.update(map(id, module.parameters(recurse=False)))

    hook = register_module_forward_pre_hook(note)
    try:
        encoder.to(device)
        with _Reads() as reads:
            TrialRuns([encoder], device).heard(encoder, (_CLIP,))
    except (ContractBreach, NotImplementedError, RuntimeError):  # it cannot encode, or be moved
        return None
    finally:
        hook.remove()
    count = 0
    for parameter in encoder.parameters():
        place = 0
        with contextlib.suppress(Exception):
            place = parameter.untyped_storage().data_ptr()
        if id(parameter) in called or (place and place in reads.seen):
            count += parameter.numel()
    return (
        count or None
    )  # what computes elsewhere, in a thread or a program of its own, is not seen
