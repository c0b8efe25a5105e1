"""`audit`: clips of one split that are in another, by their decoded audio."""
