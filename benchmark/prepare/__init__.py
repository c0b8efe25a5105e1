"""`prepare`: a data set as its authors publish it -> shards."""
