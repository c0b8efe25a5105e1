"""What a codec loses: encode, decode, and measure clip by clip.

    clips -> codec -> pairs -> metrics -> record -> result -> table

inputs, presets, twins   where clips come from
spectral, waveform, perceptual   metrics, pure functions of two signals
alignment   to the metric's rate and the reference's length; how late the output is
pair        one clip and what was decoded of it: every metric
workers, worker   processes that measure while the codec works
journal     what has been measured already
measure     the thread that runs through them
result, board, shown   result files, the leaderboard made from them, its forms
"""
