"""Print what the linear probe of clips is held to: speed, memory, and the choice of its strength.

    python tests/perf/probe.py [--part NAME ...] [--data DIR] [--threads N]

Parts: `digits` (spoken digits beside scikit-learn), `commands` and `speakers` (made-up embeddings
of 1280 dimensions in the numbers of Speech Commands and of a slice of VoxCeleb1, beside what the
machine's own matrix products take), `choice` (spoken digits and ESC-10, five encoders: the chosen
strength beside
the best by test), `ranks` (--before, --after: folders of results; how linear probe and kNN agree on
the order of encoders). Not a test: times depend on the machine. Ratios are of one run.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from figures import items_of
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from earmark.benchmark.probe import linear
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.knn import knn_predict
from earmark.benchmark.probe.linear import fit_linear
from earmark.benchmark.probe.logistic import STRENGTHS, Problem
from earmark.benchmark.probe.logistic import Path as StrengthPath
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.files import read_results
from earmark.encoders import load_encoder
from earmark.tasks import read_task

REPOSITORY = Path(__file__).parents[2]
ENCODERS = ("logmel", "mfcc", "dasheng-tiny", "dasheng-tiny:acoustic", "dasheng-tiny:semantic")
TASKS = {
    "fsdd": REPOSITORY / "tests" / "data" / "fsdd.yaml",
    "esc50": REPOSITORY / "tasks" / "esc50.yaml",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS)[:4])
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for part in arguments.part:
        PARTS[part](arguments)


def digits(arguments: argparse.Namespace) -> None:
    """All 15 strengths of every fold and the refit; scikit-learn's over the same, one fold."""
    items, splits = embeddings_of("fsdd", "logmel", arguments.data)
    linear._PATIENCE, patience = 10**9, linear._PATIENCE
    whole = seconds(lambda: fit_all(items, splits))
    linear._PATIENCE = patience
    as_run = seconds(lambda: fit_all(items, splits))
    split = splits[0]
    x = StandardScaler().fit_transform(items.embeddings[split.train]).astype(np.float32)
    y = np.asarray(items.labels[split.train])
    ours: list[float] = []

    def path() -> None:
        found = StrengthPath(Problem(torch.from_numpy(x), torch.from_numpy(y), 10))
        ours.extend(found.solve(strength).objective for strength in STRENGTHS)

    mine = seconds(path)
    theirs_s = sum(
        by_lbfgs(x, y, strength, objective)
        for strength, objective in zip(STRENGTHS, ours, strict=True)
    )
    print(
        f"fsdd, {len(items)} x {x.shape[1]}, 5 folds x 15 strengths + refit: {whole:.1f} s, as run "
        f"(paths end early) {as_run:.1f} s (to reach: 6 s)\n"
        f"  one fold, 15 strengths: {mine:.2f} s; scikit-learn's lbfgs, at the loosest tolerance "
        f"that gets within 1e-5 of our objective, {theirs_s:.1f} s, {theirs_s / mine:.0f} times "
        "as long (to reach: 20)"
    )


def by_lbfgs(x: np.ndarray, y: np.ndarray, strength: float, objective: float) -> float:
    """Seconds of scikit-learn's solver to the same objective."""
    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9):
        started = time.perf_counter()
        other = LogisticRegression(C=1 / (strength * len(x)), tol=tolerance, max_iter=50_000)
        other.fit(x, y)
        spent = time.perf_counter() - started
        logits = x @ other.coef_.T + other.intercept_
        loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y]
        theirs = loss.mean() + strength / 2 * np.square(other.coef_).sum()
        if theirs <= objective * (1 + 1e-5):
            break
    return spent


def commands(arguments: argparse.Namespace) -> None:
    size("Speech Commands", 51_000, 1280, 30, STRENGTHS[:8], 0.5)


def speakers(arguments: argparse.Namespace) -> None:
    size("a slice of VoxCeleb1", 16_000, 1280, 1251, STRENGTHS[2:8:2], 0.6)


def size(
    name: str, count: int, width: int, classes: int, strengths: tuple[float, ...], goal: float
) -> None:
    """Share of the rate of a float32 matrix product of 2048 x 2048, taken before and after."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    centres = rng.standard_normal((classes, width)).astype(np.float32)
    x = rng.standard_normal((count, width), dtype=np.float32) + 0.25 * centres[labels]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rates = [product_rate()]
    problem = Problem(torch.from_numpy(x), torch.from_numpy(labels), classes)
    path, passes = StrengthPath(problem), 0
    started = time.perf_counter()
    for strength in strengths:
        passes += path.solve(strength).passes
    spent = time.perf_counter() - started
    rates.append(product_rate())
    share = 4 * count * width * classes * passes / spent / np.mean(rates)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    print(
        f"{name}, {count} x {width} x {classes}: {len(strengths)} strengths, {passes} passes, "
        f"{spent:.0f} s; {share:.2f} of the matrix product rate (to reach: {goal}); "
        f"{more:.2f} GB beyond the features (to reach: 2 GB)"
    )


def product_rate() -> float:
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    a @ b
    return 8 * 2 * 2048**3 / seconds(lambda: [a @ b for _ in range(8)])


def choice(arguments: argparse.Namespace) -> None:
    """Accuracy with the chosen strength of each fold, and with the one best by test."""
    print("task   encoder                 chosen  best by test  scikit-learn at that  kNN")
    for task in TASKS:
        lost = []
        for encoder in ENCODERS:
            items, splits = embeddings_of(task, encoder, arguments.data)
            chosen = accuracy_of(items, splits, fit_all(items, splits))
            by_strength = [accuracy_at(items, splits, strength) for strength in STRENGTHS[:12]]
            best = int(np.argmax(by_strength))
            other = by_scikit_learn(items, splits, STRENGTHS[best])
            lost.append(by_strength[best] - chosen)
            print(
                f"{task:<7}{encoder:<24}{chosen:.3f}   {by_strength[best]:.3f} at "
                f"{STRENGTHS[best]:<8.1e} {other:<20.3f} {knn_accuracy(items, splits):.3f}",
                flush=True,
            )
        goal = {"fsdd": 0.003, "esc50": 0.015}[task]
        print(f"{task}: chosen below best by {np.mean(lost):.4f} on average (to reach: {goal})")


def ranks(arguments: argparse.Namespace) -> None:
    """Kendall's tau of the encoders' order by linear probe and by kNN, mean over the tasks."""
    for name in ("before", "after"):
        folder = getattr(arguments, name)
        if folder is None:
            raise SystemExit("ranks needs --before DIR --after DIR, folders of results")
        scores: dict[str, list[tuple[float, float]]] = {}
        for result in read_results(folder)[0]:
            if "knn" in result.scores:
                both = result.scores["linear"].value, result.scores["knn"].value
                scores.setdefault(result.task.name, []).append(both)
        taus = [kendalltau(*np.array(found).T).statistic for found in scores.values()]
        above = np.mean([linear > knn for found in scores.values() for linear, knn in found])
        print(
            f"{name}: tau {np.nanmean(taus):+.2f}, mean of {len(taus)} tasks; the linear probe is "
            f"above kNN in {above:.0%} of the cells"
        )


def fit_all(items: Items, splits: list[Split]) -> list[np.ndarray]:
    """Each split's test scores, by the whole recipe."""
    return [
        fit_linear(
            items.embeddings, items.labels, train=split.train, valid=split.valid,
            every=split.given_train, classes=int(items.labels.max()) + 1,
        )[0].scores(items.embeddings[split.test])
        for split in splits
    ]  # fmt: skip


def accuracy_of(items: Items, splits: list[Split], scores: list[np.ndarray]) -> float:
    right = [
        found.argmax(axis=1) == items.labels[split.test]
        for split, found in zip(splits, scores, strict=True)
    ]
    return float(np.concatenate(right).mean())


def accuracy_at(items: Items, splits: list[Split], strength: float) -> float:
    """With one strength for all folds, fitted to all training items."""
    scores = []
    for split in splits:
        scaler = StandardScaler().fit(items.embeddings[split.given_train])
        x = scaler.transform(items.embeddings[split.given_train]).astype(np.float32)
        known, y = np.unique(items.labels[split.given_train], return_inverse=True)
        problem = Problem(torch.from_numpy(x), torch.from_numpy(y), len(known))
        found = StrengthPath(problem).solve(strength)
        logits = scaler.transform(items.embeddings[split.test]) @ found.weight.numpy().T
        every = np.full((len(split.test), int(items.labels.max()) + 1), -np.inf)
        every[:, known] = logits + found.bias.numpy()
        scores.append(every)
    return accuracy_of(items, splits, scores)


def by_scikit_learn(items: Items, splits: list[Split], strength: float) -> float:
    right = []
    for split in splits:
        scaler = StandardScaler().fit(items.embeddings[split.given_train])
        x = scaler.transform(items.embeddings[split.given_train])
        model = LogisticRegression(C=1 / (strength * len(x)), tol=1e-6, max_iter=5000)
        model.fit(x, items.labels[split.given_train])
        found = model.predict(scaler.transform(items.embeddings[split.test]))
        right.append(found == items.labels[split.test])
    return float(np.concatenate(right).mean())


def knn_accuracy(items: Items, splits: list[Split]) -> float:
    labels = np.asarray(items.labels, np.int64)
    right = []
    for split in splits:
        found = knn_predict(
            items.embeddings[split.given_train], labels[split.given_train],
            items.embeddings[split.test], num_classes=int(labels.max()) + 1,
            neighbours=STRICT.knn_neighbours, temperature=STRICT.knn_temperature,
        )  # fmt: skip
        right.append(found == labels[split.test])
    return float(np.concatenate(right).mean())


def embeddings_of(task: str, encoder: str, data: Path) -> tuple[Items, list[Split]]:
    spec = read_task(TASKS[task])
    items = items_of(spec, data, load_encoder(encoder))
    return items, make_splits(items, spec, STRICT)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "digits": digits, "commands": commands, "speakers": speakers, "choice": choice, "ranks": ranks,
}  # fmt: skip

if __name__ == "__main__":
    main()
