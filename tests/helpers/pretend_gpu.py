"""A pretended GPU: tensors that say they are on `cuda`, computed by the CPU, and never mixed.

Where an operation meets tensors of both devices, it raises as CUDA does. What CUDA allows passes: a
single number from the CPU, an index from the CPU, and copies. Another device can stand in for it:
`cuda:1`, while `cuda` means the first, which raises; or `mps`, on which float64 raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch._dynamo  # else loaded at first use, when it would read what is pretended
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
_ATEN = torch.ops.aten
_COPIES = {_ATEN.copy_, _ATEN._to_copy, _ATEN._has_compatible_shallow_copy_type}
# of a tensor on the GPU also by indices on the CPU
_INDEXED = {
    _ATEN.index, _ATEN.index_put, _ATEN.index_put_,
    _ATEN._index_put_impl_, _ATEN._unsafe_index, _ATEN._unsafe_index_put,
}  # fmt: skip


class OnGPU(torch.Tensor):
    """Wraps what the CPU holds of it.

    To torch's inner code it is on the CPU, as gradients on a GPU need a driver.
    """

    held: torch.Tensor
    device = property(lambda self: GPU)  # type: ignore[assignment]
    is_cuda = property(lambda self: GPU.type == "cuda")  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGPU:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, layout=held.layout, device=CPU, requires_grad=False,
        )  # fmt: skip

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held.resolve_conj().resolve_neg()  # the wrapper has no such flags

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGPU({self.held!r})"

    def cpu(self) -> torch.Tensor:  # type: ignore[override]
        return self.held.clone()

    def to(self, *to: Any, **more: Any) -> torch.Tensor:  # type: ignore[override]
        places = [one for one in (*to, more.get("device")) if isinstance(one, str | torch.device)]
        if any(torch.device(one) == CPU for one in places):
            return self.held.to(*to, **more)
        return super().to(*to, **more)

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class _Factories(TorchDispatchMode):
    """Makes those tensors that are asked for on `cuda` from nothing.

    all_on_gpu: torch's own formulas of gradients ask for zeros where they take a tensor to be.
    """

    all_on_gpu = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Names(TorchFunctionMode):
    """`cuda` is the first GPU; a tensor of Python's numbers goes there from the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if len(args) < 2 or not isinstance(args[0], str):  # not torch.device("cuda", 0) itself
            args, kwargs = tree_map(_indexed, (args, kwargs))
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == GPU:
            return func(*args, **kwargs | {"device": CPU}).to(GPU)
        if func is torch.Tensor.backward and isinstance(args[0], OnGPU):
            _Factories.all_on_gpu = True
            try:
                return func(*args, **kwargs)
            finally:
                _Factories.all_on_gpu = False
        return func(*args, **kwargs)


def _indexed(one: Any) -> Any:
    named = isinstance(one, str | torch.device) and str(one) in ("cuda", "mps")
    return torch.device(str(one), 0) if named else one


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    wanted = kwargs.get("device")
    if wanted is not None and torch.device(wanted) not in (CPU, GPU, torch.device("meta")):
        raise RuntimeError(f"{func}: a tensor on {wanted}, though the device is {GPU}")
    where = _place(func, tensors)
    result = GPU if wanted is None and where == GPU else torch.device(wanted or CPU)
    if _Factories.all_on_gpu:
        result = GPU
    if wanted is not None:
        kwargs = kwargs | {"device": CPU}
    kwargs = kwargs | ({"pin_memory": False} if kwargs.get("pin_memory") else {})
    if func.overloadpacket is _ATEN._fused_sdp_choice:
        return 0  # written out: the CPU lacks the GPU's kernels
    found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if torch.Tag.inplace_view in func.tags and isinstance(args[0], OnGPU):
        with no_dispatch():  # the wrapper's own shape as well
            func(*args, **kwargs)
    if func._schema.is_mutable and func._schema.name.endswith("_"):
        return None if found is None else args[0]
    if result.type == "cpu":
        return found
    if GPU.type == "mps" and getattr(found, "dtype", None) == torch.float64:
        raise TypeError("the MPS framework doesn't support float64")
    return tree_map(lambda one: OnGPU(one) if isinstance(one, torch.Tensor) else one, found)


def _place(func: Any, tensors: list[torch.Tensor]) -> torch.device:
    """Where an operation's tensors are; raises RuntimeError where they are not together."""
    if not tensors:
        return CPU
    on_gpu = [isinstance(one, OnGPU) for one in tensors]
    if func.overloadpacket in _COPIES or not any(on_gpu) or all(on_gpu):
        return GPU if on_gpu[0] else CPU
    if func.overloadpacket in _INDEXED:
        if on_gpu[0]:
            return GPU
    elif all(here or one.ndim == 0 for here, one in zip(on_gpu, tensors, strict=True)):
        return GPU
    shapes = [f"{one.device.type} {tuple(one.shape)}" for one in tensors]
    raise RuntimeError(
        f"{func}: expected all tensors to be on the same device, but found {', '.join(shapes)}"
    )


def _held(one: Any) -> Any:
    if isinstance(one, OnGPU):
        return one.held
    return CPU if isinstance(one, torch.device) else one


@contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch, device: str = "cuda:0") -> Iterator[None]:
    """In it, a device is there: `cuda` with its number, or `mps:0`."""
    monkeypatch.setattr("pretend_gpu.GPU", torch.device(device))
    monkeypatch.setattr("torch.cuda._lazy_init", lambda: None)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: None)
    # or a weight would keep its Python object, and only say that it is elsewhere
    overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Factories(), _Names():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwritten)
