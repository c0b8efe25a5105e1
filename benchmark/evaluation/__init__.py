"""The thread through the stages: one encoder on one task."""
