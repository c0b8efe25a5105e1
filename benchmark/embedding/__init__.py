"""Stage 3: encoders at work, from batches of audio to what the store keeps."""
