"""Stage 1: tars of clips -> samples, labels, sources."""
