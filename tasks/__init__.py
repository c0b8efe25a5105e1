"""What is measured on: one declarative file per task."""

if __name__ != "earmark.tasks":
    raise ImportError(
        "Earmark's import name is `earmark`: write `from earmark.tasks import read_task`, ..."
    )


from earmark.tasks.catalogue import builtin_tasks, select_tasks
from earmark.tasks.reader import read_task
from earmark.tasks.spec import (
    DOMAINS,
    TIMED_KINDS,
    KnownClips,
    LabelRule,
    ProbeSettings,
    SourceRule,
    TaskError,
    TaskSpec,
    plain_name,
)

__all__ = [
    "DOMAINS", "TIMED_KINDS", "KnownClips", "LabelRule", "ProbeSettings", "SourceRule", "TaskError",
    "TaskSpec", "builtin_tasks", "plain_name", "read_task", "select_tasks",
]  # fmt: skip
