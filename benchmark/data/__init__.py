"""The tasks' shards: fetched from their Zenodo records or prepared, kept, verified."""
