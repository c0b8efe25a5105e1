"""`check`: results held against reference results or published values."""
