"""The loss of connectionist temporal classification and its gradient, many sequences at once.

Graves et al. 2006 ("Connectionist temporal classification: labelling unsegmented sequence data
with recurrent neural networks"), eqs. 5-16, over probabilities instead of their logarithms: a step
of time is a handful of products and sums over the states of all sequences.

A transcript of L letters has slots j = 0..L. Slot j holds blank j and, after it, letter j (slot L
holds the last blank and a letter that never is). With r = p(letter) / p(blank) at a time, the
product of all p(blank) taken out, and skip = 1 where letter j differs from letter j - 1,

    b'[j] = b[j] + tilt u[j-1]
    u'[j] = (u[j] + b[j] + tilt skip[j] u[j-1]) r[j]

are the forward variables of blanks and letters. Every alignment goes through L - 1 letters to the
last one, so `tilt` takes the same factor tilt ** L out of all of them: it changes no result, but
makes the forward mass go at the pace at which the sequence has to be gone through. Without it,
forward and backward mass part (early in training, when all outputs look blank, by hundreds of
orders of magnitude) and their product is lost.

Every few steps a sequence's states are scaled by a power of two (which rounds nothing), and states
from which the end cannot be reached any more are emptied. What underflows is bounded, see
`_trusted`; the few sequences where it could matter are left to torch's ctc_loss, over logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLANK = 0  # the symbol that is not a letter
_SLOTS = 10_000  # together: bounds memory, 80 kB a step of the longest sequence
_STEPS = 8  # between scalings
_TILT_BITS = 20.0  # tilt is 2 ** -20 to 2 ** 20
_GROWTH_BITS = 400.0  # states that start at 1 may grow to 2 ** 400 between scalings, not further
_EMPTY_BITS = 900  # states below 2 ** -900 are emptied: arithmetic with denormals is slow
_SPARE_BITS = 120.0  # what is lost is below 2 ** -120 of p, times states, steps (2 ** 20), tilt


def ctc(
    logits: NDArray[Any], lengths: Sequence[int], targets: Sequence[Sequence[int]]
) -> tuple[Floats, Floats]:
    """-log p(target) of each sequence, (B,), and its gradient by the logits, (T, B, K).

    logits: (T, B, K); symbol 0 is the blank. lengths: how many steps of each sequence count.
    targets: each sequence's symbols, none of them the blank. A sequence too short for its target
    has loss and gradient 0. A sequence's result depends on no other.
    """
    loss, gradient = np.zeros(len(lengths)), np.zeros(logits.shape)
    for start, stop in _groups([len(target) + 1 for target in targets]):
        own = slice(start, stop)
        loss[own], gradient[:, own] = _ctc(logits[:, own], lengths[own], targets[own])
    return loss, gradient


def _groups(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sequences start..stop that are computed together: so many slots as memory may hold."""
    start = held = 0
    for i, own in enumerate(slots):
        if held and held + own > _SLOTS:
            yield start, i
            start, held = i, 0
        held += own
    if held:
        yield start, len(slots)


def _ctc(
    logits: NDArray[Any], lengths: Sequence[int], targets: Sequence[Sequence[int]]
) -> tuple[Floats, Floats]:
    """As `ctc`, all at once."""
    lengths = [int(length) for length in lengths]
    loss, gradient = np.zeros(len(lengths)), np.zeros(logits.shape)
    feasible = [i for i, length in enumerate(lengths) if length >= max(1, steps_needed(targets[i]))]
    # longest first: those still under way at a time are the first ones
    order = sorted(feasible, key=lambda i: -lengths[i])
    if not order:
        return loss, gradient
    steps = lengths[order[0]]
    columns = np.array(order)
    # as they come, where they come in this order: views are cheaper than copies
    every = columns if len(order) < len(lengths) or np.any(np.diff(columns) != 1) else slice(None)
    values = logits[:steps, every].astype(np.float64)
    times = np.array([lengths[i] for i in order])
    over = np.arange(steps)[:, None] >= times  # (T, B): past a sequence's end
    values[over] = 0.0
    symbols = _Symbols([targets[i] for i in order])
    with np.errstate(all="ignore"):  # what is not finite is noticed, and left to torch
        ratios, softmax, log_blank = _ratios(values)
        softmax[over], log_blank[over] = 0.0, 0.0
        tilt = _tilt(softmax, times, symbols)
        growth = _growth(ratios, tilt)
        calm = np.flatnonzero(growth.max(axis=0) <= _GROWTH_BITS)
        right = np.zeros(len(order), bool)
        if len(calm) == len(order):
            lattice = _Lattice(ratios, times, symbols, tilt)
        elif len(calm):
            columns = columns[calm]
            every, symbols = columns, _Symbols([targets[i] for i in columns])
            own = slice(0, int(times[calm[0]]))
            ratios, softmax, over = ratios[own, calm], softmax[own, calm], over[own, calm]
            log_blank, tilt = log_blank[:, calm], tilt[calm]
            lattice = _Lattice(ratios, times[calm], symbols, tilt)
        if len(calm):
            log2_mass, right[calm] = lattice.run(growth[:, calm])
            log_p = log_blank.sum(axis=0) + np.log(2) * log2_mass
            occupancy = lattice.occupancy
            occupancy[:, :, BLANK] = 1 - occupancy.sum(axis=2)
            softmax -= occupancy
            softmax[over] = 0.0
            loss[columns] = symbols.sizes * np.log(tilt) - log_p
            gradient[: len(softmax), every] = softmax
    for i in np.array(order)[~right].tolist():
        own = slice(0, lengths[i])
        loss[i], gradient[own, i] = by_logarithms(logits[own, i], targets[i])
    return loss, gradient


class _Symbols:
    """The letters of B transcripts in a row, and after each transcript's a blank: N in all.

    flat: (N,) symbols. sizes: (B,) letters of each. first: (B + 1,) where each begins, and N.
    owner: (N,) whose each is.
    """

    def __init__(self, targets: Sequence[Sequence[int]]) -> None:
        self.sizes = np.array([len(target) for target in targets])
        self.first = np.append(0, np.cumsum(self.sizes + 1))
        rows = ((*target, BLANK) for target in targets)
        self.flat = np.fromiter(chain.from_iterable(rows), np.int64, self.first[-1])
        self.owner = np.repeat(np.arange(len(self.sizes)), self.sizes + 1)


def by_logarithms(logits: NDArray[Any], target: Sequence[int]) -> tuple[float, Floats]:
    """The same of one sequence (T, K), by torch: slow, but nothing underflows."""
    leaf = torch.from_numpy(logits.astype(np.float64)).requires_grad_()
    with torch.enable_grad():
        loss = torch.nn.functional.ctc_loss(
            leaf.log_softmax(dim=-1)[:, None],
            torch.tensor([list(target)], dtype=torch.long),
            torch.tensor([len(logits)]),
            torch.tensor([len(target)]),
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        (slope,) = torch.autograd.grad(loss, leaf)
    return float(loss.detach()), slope.numpy()


def steps_needed(target: Sequence[int]) -> int:
    """Steps that a target takes: one a letter, and a blank between equal ones."""
    return len(target) + sum(a == b for a, b in pairwise(target))


def _ratios(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Letters' p / p(blank) (T, B, K), 0 for the blank; softmax (T, B, K); log p(blank) (T, B)."""
    ratios = values - values[:, :, BLANK : BLANK + 1]
    np.exp(ratios, out=ratios)
    total = ratios.sum(axis=2)
    softmax = ratios / total[:, :, None]
    ratios[:, :, BLANK] = 0.0
    return ratios, softmax, -np.log(total)


def _tilt(softmax: Floats, times: Integers, symbols: _Symbols) -> Floats:
    """The factor (B,) a letter that makes forward mass go through L letters in T steps.

    If letters were r times as likely as the blank at any time, mass would grow by the larger
    eigenvalue g of one step's matrix [[1, tilt r], [1, r + tilt r]] (from blank or letter, to
    them), hence tilt = (g - 1) (g - r) / (r g). Its pace in letters a step is d log g / d log tilt.
    Set to L / T, this is (q - 1) g^2 - q (1 + r) g + (1 + q) r = 0 for q = T / L.
    """
    mean = softmax.sum(axis=0) / times[:, None]
    sizes = symbols.sizes
    each = np.where(symbols.flat == BLANK, 0.0, mean[symbols.owner, symbols.flat])
    letters = np.add.reduceat(each, symbols.first[:-1]) / np.maximum(sizes, 1)
    r = np.where(sizes > 0, letters, 1.0) / mean[:, BLANK]
    q = np.maximum(times / np.maximum(sizes, 1), 1.01)
    half = q * (1 + r)
    g = (half + np.sqrt(half**2 - 4 * (q**2 - 1) * r)) / (2 * (q - 1))
    bits = np.log2((g - 1) * (g - r) / (r * g))
    wild = ~np.isfinite(bits) | (sizes == 0)
    return np.asarray(np.exp2(np.clip(np.where(wild, 0.0, bits), -_TILT_BITS, _TILT_BITS)))


def _growth(ratios: Floats, tilt: Floats) -> Floats:
    """log2 of how much the largest state can grow at most in each block of steps (blocks, B)."""
    each = np.log2(np.maximum(ratios.max(axis=2), 1.0)) + np.log2(2 + 2 * tilt)
    return np.add.reduceat(each, np.arange(0, len(each), _STEPS), axis=0)


def _trusted(overlap: Floats, growth: Floats) -> NDArray[np.bool_]:
    """Whether what underflowed is too little to matter: (blocks, B) -> (B,).

    overlap: log2 of p by the scales of the forward and backward states. Of either, less than
    2 ** -900 a state and step is lost at that scale, where the other is at most 2 ** growth: lost
    is less than 2 ** (growth - 900 - overlap) of p.
    """
    right: NDArray[np.bool_] = np.all(overlap >= growth + _SPARE_BITS - _EMPTY_BITS, axis=0)
    return right


class _Lattice:
    """The slots of all sequences in a row, N together, the longest sequence's first.

    ratios: (T, B, K). times, tilt: (B,), and their symbols. T is the longest's time, N the slots of
    all.
    occupancy: (T, B, K), after `run`, how probable it is to be at each letter at each time; 0 for
    the blank.
    """

    def __init__(self, ratios: Floats, times: Integers, symbols: _Symbols, tilt: Floats) -> None:
        self.times, self.tilt = times, tilt
        steps, count, kinds = ratios.shape
        self.ratios = ratios.reshape(steps, -1)
        self.first, self.owner = symbols.first, symbols.owner  # each sequence's slot 0, and N
        self.last = self.first[1:] - 1  # each sequence's slot L
        # where r is in a row of `ratios`; a slot L takes the blank's, which is 0
        symbol = symbols.flat
        self.index = self.owner * kinds + symbol
        # weights of the steps u[j-1] -> b[j] and u[j-1] -> u[j], none into a slot 0
        self.to_blank = self.tilt[self.owner]
        self.to_blank[self.first[:-1]] = 0.0
        repeats = np.append(False, symbol[1:] == symbol[:-1])
        repeats[self.first[:-1]] = repeats[self.last] = False
        self.to_letter = np.where(repeats, 0.0, self.to_blank)
        self.to_letter[self.last] = 0.0
        # steps that it takes at least to come from the beginning to letter j, less the one there
        # (to blank j it is no fewer); and to go from letter j to the end (from blank j: one more)
        taken = np.cumsum(1 + repeats) - 1
        self.before = taken - taken[self.first[:-1]][self.owner]
        self.after = self.before[self.last][self.owner] - 1 - self.before
        self.occupancy = np.zeros((steps, count, kinds))

    def run(self, growth: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """log2 of each sequence's mass (B,), and whether it is right. Fills `occupancy`."""
        letters, scale, mass = self._forward()
        log2_mass = np.log2(mass) + scale[(self.times - 1) // _STEPS, np.arange(len(mass))]
        overlap = log2_mass - scale - self._backward(letters, scale, log2_mass)
        starts = np.arange(0, len(letters), _STEPS)
        overlap[starts[:, None] >= self.times] = np.inf
        return log2_mass, _trusted(overlap, growth[: len(overlap)])

    def _active(self, start: int) -> tuple[int, int]:
        """How many sequences go on at a time, and how many slots they have."""
        count = int(np.count_nonzero(self.times > start))
        return count, int(self.first[count])

    def _scale(
        self, letters: Floats, blanks: Floats, count: int, possible: NDArray[np.bool_]
    ) -> Integers:
        """Scale states by 2 ** -exponent so that each sequence's largest is 1/2 to 1; return it.

        States that are not possible, or tiny, are emptied.
        """
        letters *= possible
        blanks *= possible
        first = self.first[:count]
        largest = np.maximum.reduceat(np.maximum(letters, blanks), first)
        exponent = np.maximum(np.frexp(largest)[1].astype(np.int64), -1000)  # a finite factor
        factor = np.ldexp(1.0, -exponent)[self.owner[: len(letters)]]
        tiny = np.ldexp(1.0, -_EMPTY_BITS)
        for states in (letters, blanks):
            states *= factor
            states *= states >= tiny
        return exponent

    def _forward(self) -> tuple[Floats, Floats, Floats]:
        """Letters' forward variables (T, 1 + N), column 0 empty; scales (blocks, B); mass (B,).

        True variables are those of a block times 2 ** its scale; `mass` is by the last block's.
        """
        steps, slots = len(self.ratios), int(self.first[-1])
        letters = np.empty((steps, 1 + slots))
        letters[:, 0] = 0.0
        scale = np.zeros((-(-steps // _STEPS), len(self.times)))
        mass = np.zeros(len(self.times))
        ends = _by_time(self.times - 1)
        blanks, sums, product = np.zeros(slots), np.empty(slots), np.empty(slots)
        # before the first step all is at a blank 0 from which one must go (b' = b) or leave it
        before = np.zeros(1 + slots)
        blanks[self.first[:-1]] = 1.0
        for block, start in enumerate(range(0, steps, _STEPS)):
            count, n = self._active(start)
            left = self.times[self.owner[:n]] - start
            exponent = self._scale(before[1 : 1 + n], blanks[:n], count, self.after[:n] <= left)
            scale[block:, :count] += exponent
            b, s, p = blanks[:n], sums[:n], product[:n]
            to_letter, to_blank, index = self.to_letter[:n], self.to_blank[:n], self.index[:n]
            shifted, own = before[:n], before[1 : 1 + n]
            for time in range(start, min(start + _STEPS, steps)):
                np.multiply(shifted, to_letter, out=s)
                np.add(s, b, out=s)
                np.add(s, own, out=s)
                np.multiply(shifted, to_blank, out=p)
                np.add(b, p, out=b)
                self.ratios[time].take(index, out=p, mode="clip")
                shifted, own = letters[time, :n], letters[time, 1 : 1 + n]
                np.multiply(s, p, out=own)
                for i in ends.get(time, ()):
                    last = self.last[i]
                    # letter L - 1 is in column L of a row that begins with an empty one
                    letter = own[last - 1] if last > self.first[i] else 0.0
                    mass[i] = self.tilt[i] * letter + b[last]
            before[1 : 1 + n] = own
        return letters, scale, mass

    def _backward(self, letters: Floats, forward: Floats, log2_mass: Floats) -> Floats:
        """Fill `occupancy`; return the backward variables' scales (blocks, B).

        v[j] and c[j] of letters and blanks hold the mass of what follows a time; with x = r v,

            c'[j] = c[j] + x[j]
            v'[j] = x[j] + tilt c[j+1] + tilt skip[j+1] x[j+1]

        and a letter's share of all mass at a time is u v.
        """
        steps, slots = len(letters), int(self.first[-1])
        scale = np.zeros((-(-steps // _STEPS), len(self.times)))
        ends = _by_time(self.times - 1)
        from_letter = np.append(self.to_letter[1:], 0.0)
        from_blank = np.append(self.to_blank[1:], 0.0)
        after, product = np.zeros(slots), np.empty(slots)
        blanks, onward = np.zeros(slots + 1), np.zeros(slots + 1)  # last column empty
        for block in reversed(range(len(scale))):
            start, stop = block * _STEPS, min((block + 1) * _STEPS, steps)
            count, n = self._active(start)
            exponent = self._scale(after[:n], blanks[:n], count, self.before[:n] <= stop)
            scale[: block + 1, :count] += exponent
            v, p, index = after[:n], product[:n], self.index[:n]
            c, next_c, x, next_x = blanks[:n], blanks[1 : n + 1], onward[:n], onward[1 : n + 1]
            to_next, to_blank = from_letter[:n], from_blank[:n]
            rows = self.occupancy[start:stop, :count]
            for time in range(stop - 1, start - 1, -1):
                for i in ends.get(time, ()):
                    last = self.last[i]
                    c[last] = 1.0
                    if last > self.first[i]:
                        v[last - 1] = self.tilt[i]
                np.multiply(letters[time, 1 : 1 + n], v, out=p)
                found = np.bincount(index, p, count * rows.shape[2])
                rows[time - start] = found.reshape(count, -1)
                self.ratios[time].take(index, out=p, mode="clip")
                np.multiply(v, p, out=x)
                np.multiply(next_x, to_next, out=v)
                np.multiply(next_c, to_blank, out=p)
                np.add(v, p, out=v)
                np.add(v, x, out=v)
                np.add(c, x, out=c)
            share = forward[block, :count] + scale[block, :count] - log2_mass[:count]
            rows *= np.exp2(share)[:, None]
        return scale


def _by_time(times: Integers) -> dict[int, list[int]]:
    """Which sequences have each time."""
    found: dict[int, list[int]] = {}
    for i, time in enumerate(times.tolist()):
        found.setdefault(time, []).append(i)
    return found
