"""How it is measured: audio -> embeddings -> probes -> scores -> tables."""

if __name__ != "earmark.benchmark":
    raise ImportError(
        "Earmark's import name is `earmark`: write `from earmark import evaluate`, ..."
    )
