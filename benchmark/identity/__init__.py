"""Which encoder this is: its fingerprint, and whether it behaves as it did."""
