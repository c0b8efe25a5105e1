"""Stage 8: results -> tables in every format."""
