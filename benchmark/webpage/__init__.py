"""`report`: one self-contained page of result files."""
