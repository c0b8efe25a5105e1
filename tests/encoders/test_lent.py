"""A caller's own encoder comes back as it was, whatever was done to it and however that ended."""

from __future__ import annotations

import pytest
import torch

from earmark.encoders.lent import left_as_found


def network() -> torch.nn.Sequential:
    made = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Dropout())
    made[1].eval()  # as some freeze a part in training
    made(torch.ones(3, 2)).sum().backward()
    return made


@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_tensors_are_those_of_before(fails: bool) -> None:
    mine = network()
    tensors = dict((*mine.named_parameters(), *mine.named_buffers()))
    values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    gradients = [parameter.grad for parameter in mine.parameters()]
    try:
        with left_as_found(mine):
            mine.eval().to("meta")  # a device without values: nothing could be copied back
            assert {tensor.device.type for tensor in mine.parameters()} == {"meta"}
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert [module.training for module in mine] == [True, False, True]
    assert mine.training
    now = dict((*mine.named_parameters(), *mine.named_buffers()))
    assert all(now[name] is tensor for name, tensor in tensors.items())
    assert all(torch.equal(now[name], value) for name, value in values.items())
    assert all(
        parameter.grad is grad for parameter, grad in zip(mine.parameters(), gradients, strict=True)
    )
    assert {grad.device.type for grad in gradients if grad is not None} == {"cpu"}
