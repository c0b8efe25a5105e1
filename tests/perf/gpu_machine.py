"""The machine as it is found: names, versions, clocks; how fast bare products and copies are."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_record import Facts, Figure, Measured, Settings

from earmark.benchmark.result.provenance import processor, versions

_ASKED = (
    "name", "driver_version", "pstate", "clocks.sm", "clocks.mem", "clocks.max.sm",
    "clocks.max.mem", "power.draw", "power.limit", "temperature.gpu", "memory.used",
    "memory.total", "utilization.gpu",
)  # fmt: skip


def measure(settings: Settings) -> Measured:
    """Clocks, matrix product rates and copy bandwidth."""
    if settings.device == "cuda":
        yield Facts({"clocks_at_first": clocks()})
    size = 256 if settings.tiny else 8192
    for dtype in (torch.bfloat16, torch.float32):
        rate = product_rate(settings.device, dtype, size)
        name = str(dtype).removeprefix("torch.")
        yield Figure(f"matrix product {size} x {size} x {size}, {name}", rate / 1e12, "TFLOP/s")
    yield Figure("copy on the device, read and written", copy_rate(settings) / 1e12, "TB/s")
    if settings.device == "cuda":
        yield Facts({"clocks_after_products": clocks()})


def facts(device: str) -> dict[str, Any]:
    """What the machine is called and what runs on it."""
    found: dict[str, Any] = {
        "device": f"CPU {processor()}",
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "device": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "gpu_memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32_as_found": {
                "matmul": torch.backends.cuda.matmul.allow_tf32,
                "cudnn": torch.backends.cudnn.allow_tf32,
            },
        }
    return found


def clocks() -> dict[str, str]:
    """What nvidia-smi says of the first GPU; nothing is set. Empty where it cannot be asked."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    command = [tool, "-i", "0", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": str(error)[:200]}
    values = [value.strip() for value in told.stdout.strip().split(",")]
    return dict(zip(_ASKED, values, strict=False))


def product_rate(device: str, dtype: torch.dtype, size: int, seconds: float = 0.5) -> float:
    """Operations a second of a square matrix product of random numbers."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * size**3 / repeated(lambda: torch.mm(a, b, out=out), device, seconds)


def copy_rate(settings: Settings, seconds: float = 0.5) -> float:
    """Bytes a second, those read and those written."""
    numbers = 1 << 20 if settings.tiny else 1 << 30
    a = torch.randn(numbers, device=settings.device)
    b = torch.empty_like(a)
    return 8 * numbers / repeated(lambda: b.copy_(a), settings.device, seconds)


def repeated(work: Callable[[], object], device: str, seconds: float) -> float:
    """Mean seconds of one call among as many as fit; the first ones are not counted."""
    for _ in range(3):
        work()
    once = timed(work, device)
    count = max(1, min(1000, int(seconds / max(once, 1e-6))))

    def many() -> None:
        for _ in range(count):
            work()

    return timed(many, device) / count


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of one call, with what it left the device to do."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peaks(device: str) -> list[Figure]:
    """Largest memory of this process so far."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = [Figure("peak memory of the process", host / 1e9, "GB")]
    if device == "cuda":
        found.append(Figure("peak GPU memory", torch.cuda.max_memory_allocated() / 1e9, "GB"))
    return found
