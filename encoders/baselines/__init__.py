"""Published encoders and codecs to compare with, through `transformers` and `snac`."""
