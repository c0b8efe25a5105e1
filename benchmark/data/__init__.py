"""The tasks' shards: fetched from their Zenodo records, kept, checked."""
