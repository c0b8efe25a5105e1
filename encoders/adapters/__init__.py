"""Many models at once: of transformers (`hf:`), of HEAR's interface (`hear:`), of torchaudio."""
