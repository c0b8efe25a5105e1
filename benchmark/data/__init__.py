"""Where shards come from, and whether they are what they should be."""
