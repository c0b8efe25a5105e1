"""`download`: the shards of tasks from their records on Zenodo."""
