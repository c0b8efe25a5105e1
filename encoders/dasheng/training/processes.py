"""One process, or several started by torchrun: who does which part of a batch."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from earmark.encoders.dasheng.training.config import TrainingError

Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True)
class Processes:
    """rank: this one's number. count: how many there are. device: what it computes on."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def part(self, whole: int) -> range:
        """This process' contexts of a step's. Raises TrainingError where they cannot be shared."""
        if whole % self.count:
            raise TrainingError(
                f"{whole} contexts in a batch cannot be shared among {self.count} processes; "
                "choose batch so that batch / crops_per_context is a multiple of that"
            )
        own = whole // self.count
        return range(self.rank * own, (self.rank + 1) * own)

    def shared(self, network: torch.nn.Module) -> torch.nn.Module:
        """The network with gradients averaged over all processes."""
        if self.count == 1:
            return network
        places = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=places, broadcast_buffers=False)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over all processes."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
            values /= self.count
        return values

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()


def is_first() -> bool:
    """Whether this process, of those that torchrun started, writes files and speaks."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the others, if torchrun started any. device: `cpu`, `cuda`, `mps`, or a GPU's number
    as in `cuda:1`, which is for one process alone. Raises TrainingError."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    where = torch.device(device)
    if count > 1 and where.type not in ("cpu", "cuda"):
        raise TrainingError(f"device {device}: torchrun's processes meet on cpu or cuda alone")
    if count > 1 and where.index is not None:
        raise TrainingError(f"device {device}: torchrun gives each process its GPU; say cuda")
    if where.type == "cuda":
        where = torch.device("cuda", where.index or int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(where)
    if count == 1:
        yield Processes(0, 1, where)
        return
    if not dist.is_initialized():
        # once for all trainings of a process: made anew under torchrun's same store, gloo may meet
        # the addresses of the group before and wait for ever
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    yield Processes(rank, count, where)
