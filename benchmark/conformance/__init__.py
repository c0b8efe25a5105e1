"""`validate`: whether an encoder does what its attributes claim."""
