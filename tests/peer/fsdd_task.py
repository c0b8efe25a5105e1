"""The Free Spoken Digit Dataset as a task of X-ARES, as `tests/data/fsdd.yaml` declares it."""

from xares.task import TaskConfig


def fsdd_config(encoder) -> TaskConfig:
    config = TaskConfig(
        name="fsdd",
        formal_name="FSDD",
        encoder=encoder,
        eval_weight=3000,
        k_fold_splits=list(range(5)),
        label_processor=lambda clip: clip["digit"],
        output_dim=10,
    )
    config.audio_tar_name_of_split = {k: f"fsdd_fold_{k}_*.tar" for k in config.k_fold_splits}
    config.encoded_tar_name_of_split = {k: f"fsdd-encoded-{k}-*.tar" for k in config.k_fold_splits}
    return config
