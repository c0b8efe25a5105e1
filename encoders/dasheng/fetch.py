"""Where checkpoints come from when the user has not said."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub import constants, hf_hub_url

from earmark.encoders.dasheng.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from earmark.encoders.encoder import EncoderError

REPOSITORY = "mispeech/dashengtokenizer"
# TODO: the hash of a commit, once somebody with access to the hub has looked it up. Until then a
# new release would be fetched by who has none yet; fingerprints tell the two apart.
REVISION = "main"
PROBE_SECONDS = 3.0  # for connecting and for an answer each: an error comes within 10 s

ZENODO_FILES = "https://zenodo.org/records/11511780/files"


def fetch_tokenizer() -> Path:
    """The folder with DashengTokenizer's files: from the hub's cache, else downloaded.

    Only `config.json` and `model.safetensors` are fetched, no code and no credentials are sent.
    Raises EncoderError, in one line and within 10 s, where neither is possible.
    """
    try:
        return _folder(local_files_only=True)
    except (OSError, ValueError):  # what the hub raises for files that are not in its cache
        pass
    try:
        address = hf_hub_url(REPOSITORY, CONFIG_FILE, revision=REVISION)
        # the hub's own download tries again and again; this asks once
        answer = huggingface_hub.get_session().head(
            address, timeout=PROBE_SECONDS, follow_redirects=True
        )
        answer.raise_for_status()
        return _folder(local_files_only=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise EncoderError(
            f"encoder 'dasheng': {CONFIG_FILE} and {WEIGHTS_FILE} of {REPOSITORY} (revision "
            f"{REVISION}) are not in the cache and cannot be fetched from {constants.ENDPOINT} "
            f"({reason}); put both into a folder and give it by --weights DIR"
        ) from error


def refuse_zenodo(name: str, file: str) -> EncoderError:
    """Why a Dasheng encoder is not downloaded, and how to get its file by hand.

    A download would be an unchecked one: the files' checksums are not known here.
    """
    return EncoderError(
        f"encoder {name!r}: {file} is not downloaded, as its checksum is not known here; get it by "
        f"`curl -LO {ZENODO_FILES}/{file}` and give it by --weights {file}"
    )


def _folder(*, local_files_only: bool) -> Path:
    paths = [
        huggingface_hub.hf_hub_download(
            REPOSITORY, file, revision=REVISION, local_files_only=local_files_only,
            etag_timeout=PROBE_SECONDS, token=False,
        )
        for file in (CONFIG_FILE, WEIGHTS_FILE)
    ]  # fmt: skip
    return Path(paths[0]).parent
