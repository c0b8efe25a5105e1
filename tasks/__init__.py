"""What is measured on: one declarative file per task."""

if __name__ != "earmark.tasks":
    raise ImportError(
        "Earmark's import name is `earmark`: write `from earmark.tasks import read_task`, ..."
    )


from earmark.tasks.catalogue import builtin_tasks, select_tasks
from earmark.tasks.kinds import LABEL_KINDS, LabelKind
from earmark.tasks.reader import read_task
from earmark.tasks.spec import (
    DOMAINS,
    KnownClips,
    LabelRule,
    ProbeSettings,
    SourceRule,
    TaskError,
    TaskSpec,
    plain_name,
)

__all__ = [
    "DOMAINS", "LABEL_KINDS", "KnownClips", "LabelKind", "LabelRule", "ProbeSettings",
    "SourceRule", "TaskError", "TaskSpec", "builtin_tasks", "plain_name", "read_task",
    "select_tasks",
]  # fmt: skip
