"""`compare`: differences between encoders, task by task, on the same items."""
