"""How it is measured: audio -> embeddings -> probes -> scores -> tables."""
