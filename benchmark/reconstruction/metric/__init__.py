"""What is measured between a clip and its reconstruction."""
