"""Stage 7: what a result file holds, and how it is read and written."""
