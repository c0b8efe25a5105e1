"""LoSATok: a continuous latent of 128 dimensions at 25 Hz that holds meaning and sound."""
