"""Stage 2: bytes of a file -> mono samples at the rate an encoder wants."""
