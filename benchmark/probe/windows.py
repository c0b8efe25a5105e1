"""Frames with their neighbours: a window of +-k frames side by side, for heads on frames.

A linear head sees one frame; what is told by how sound changes it cannot see. Stacked frames are
the oldest remedy (context windows of frames in hybrid speech recognition: Bourlard and Morgan,
Connectionist Speech Recognition, 1994).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Windowed:
    """A clip's frames (F, D) seen as windows (F, (2 k + 1) D), made as they are read.

    Row j holds frames j - k, ..., j + k. Before the clip's first frame and after its last these are
    repeated: no frame of another clip is seen, and no padding. Nothing is kept, so that frames may
    stay on the disk. It has what is asked of an array: shape, size, dtype, len, slices of rows.
    """

    ndim = 2

    def __init__(self, frames: NDArray[Any], reach: int) -> None:
        self.frames, self.reach = frames, reach

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.frames), (2 * self.reach + 1) * self.frames.shape[1]

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.frames.dtype

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("rows of windows follow each other")
        if stop <= start:
            return np.zeros((0, self.shape[1]), self.dtype)
        first = max(0, start - self.reach)
        own = np.asarray(self.frames[first : min(len(self), stop + self.reach)])
        around = np.arange(-self.reach, self.reach + 1)
        wanted = np.arange(start, stop)[:, None] + around
        found: NDArray[Any] = own[np.clip(wanted, 0, len(self) - 1) - first]
        return found.reshape(stop - start, self.shape[1])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)
