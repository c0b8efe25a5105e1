"""Every command of every README runs: on stand-ins for the data, in small."""

from __future__ import annotations

import argparse
import json
import re
import runpy
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import REPOSITORY
from inwheel_packages import PACKAGES
from readme_files import READMES, Command, block, commands, make_workplace, without_blocks
from zenodo import serving

from earmark import evaluate
from earmark.benchmark.cli.main import main
from earmark.encoders import group_names
from earmark.encoders.logmel import LogMel
from earmark.tasks import builtin_tasks, select_tasks

MAIN = (REPOSITORY / "README.md").read_text(encoding="utf-8")
TASKS = (REPOSITORY / "tasks" / "README.md").read_text(encoding="utf-8")
# What is only parsed, with its names looked up: part of the command ($: its end) -> why.
PARSED = {
    "--encoder hubert-large": "weights",
    "--encoder encodec": "weights",
    "--encoder whisper-base": "weights",
    "--encoder hf:facebook": "weights",
    "--encoder torchaudio:HUBERT_BASE": "weights",
    "--encoder dasheng dasheng:acoustic": "weights",
    "--encoder mimi": "weights",
    "--encoder injected:out/mine": "weights",
    "--encoder their_encoder.py": "not our file",
    "ablation": "trains for hours",
    "--data ../shared/data/librispeech ../shared/data/esc50": "as the one on synthetic data",
    "--encoder NAME": "placeholders",
    "datasets --verify NAME": "placeholders",
    "--published DIR": "placeholders",
}
# Exit statuses other than 0: part of the command -> what it says.
STATUS = {
    "conv.py:Conv": 1,  # a breach is what it shows
    "mfcc=logmel": 1,  # a breach is what it shows
    "datasets --verify": 1,  # stand-ins are fewer than known
    "--against published": 3,  # stand-ins are not the data of the published values
    "--tasks all --dry-run": 3,  # data that nobody can fetch here
    "--tasks esc50 music": 3,
    "--tasks speech": 3,
    "--tasks sound": 3,
    "--tasks path/to/my_task.yaml": 3,
    "run_bench.py datasets$": 3,
    "run_bench.py audit$": 3,
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with results of `logmel` and `mfcc`, and a server with ESC-50."""
    encoder, table = block(MAIN, "# my_encoder.py"), block(TASKS, "path,label")
    here, record = make_workplace(tmp_path, encoder, table)
    monkeypatch.chdir(here)
    with serving() as server:
        server.add(str(builtin_tasks()["esc50"].zenodo_record), record)
        monkeypatch.setenv("EARMARK_ZENODO", server.address)
        run = ["--encoder", "logmel", "mfcc", "--data", "../shared/data"]
        assert main([*run, "--tasks", "esc50", "tests/data/fsdd.yaml"]) == 0
        published = LogMel()
        published.name = "whisper-base"
        evaluate(published, "esc50", data="../shared/data", protocol="xares-0.1.3")
        for folder in ("old_runs", "other/runs", "results/contributed"):
            shutil.copytree("results/runs", folder)
        yield here


def smaller(words: list[str]) -> list[str]:
    """The same command, with less to do."""
    if words[0] == "--encoder":
        small = "../shared/data" in words and "--shots" not in words
        return [*words, "--limit", "6", "--device", "cpu"] if small else [*words, "--dry-run"]
    if words[0] == "train":
        return [*words, "--dry-run"]
    if words[0] == "reconstruct":
        return [*words, "--limit", "1", "--workers", "1"]
    if words[0] == "validate":
        return [*words, "--quick"]
    if words[0] == "prepare":  # into a folder that was fetched it packs nothing
        shutil.rmtree(Path("data", words[1]), ignore_errors=True)
    return words


def run_parsed(words: list[str], *, names: bool) -> int:
    """Parse a command and look up the names in it. Returns the exit status."""

    def look_up(arguments: argparse.Namespace) -> int:
        if names and "weights" in arguments:
            group_names(arguments.encoder, arguments.weights)
        if names and getattr(arguments, "tasks", None):
            select_tasks(arguments.tasks)
        ours = [word for word in words if word.startswith(("../shared/", "encoders/", "tests/"))]
        assert all(Path(word).exists() for word in ours)
        return 0

    parse = argparse.ArgumentParser.parse_args
    with pytest.MonkeyPatch.context() as patch:

        def parsed(parser: argparse.ArgumentParser, given: list[str]) -> argparse.Namespace:
            arguments = parse(parser, given)
            arguments.function = look_up
            return arguments

        patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
        return main(words)


def check_earmark(command: Command, words: list[str]) -> None:
    shown = f"{command}$"
    why = [reason for part, reason in PARSED.items() if part in shown]
    wanted = 0 if why else max((code for part, code in STATUS.items() if part in shown), default=0)
    try:
        if why:
            names = not {"placeholders", "not our file"} & set(why)
            status = run_parsed(words, names=names)
        else:
            status = main(smaller(words))
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == wanted


def check_pip(words: list[str]) -> None:
    if "--no-deps" in words:  # packages that weights are read from, not installed here anew
        assert words[:2] == ["install", "--no-deps"] and set(words[2:]) <= set(PACKAGES)
        return
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert words[:2] == ["install", "-e"]
    extra = re.fullmatch(r"\.(?:\[(\w+)\])?", words[2])
    assert extra is not None and len(words) == 3
    assert extra.group(1) is None or extra.group(1) in project["optional-dependencies"]


def check_script(path: str, options: list[str]) -> None:
    """A script of the tests, which measures for minutes: that it is there and knows its options."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    assert all(f'"{option}"' in text for option in options)


def check(command: Command) -> None:
    program, *words = command.words
    if program == "torchrun":  # one process, here
        program, words = "python", words[2:]
    if program == "pip":
        check_pip(words)
    elif program == "pytest":
        assert all((REPOSITORY / word).exists() for word in words)
    elif program == "python" and words[0] == "run_bench.py":
        check_earmark(command, words[1:])
    elif program == "python" and words[0].startswith("tests/"):
        check_script(words[0], words[1:])
    else:
        raise AssertionError("not a command that is known here")


def test_every_command_runs(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = []
    for command in commands():
        try:
            check(command)
        except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
            said = capsys.readouterr().err.strip().splitlines()[-1:]
            faults.append(f"{command.readme}: {command}\n  {error!r} {said}")
    assert not faults, "\n".join(faults)


def test_commands_stand_in_blocks_of_their_language() -> None:
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            if language != "bash":
                assert not re.search(r"^(python|pip|pytest|torchrun) ", body, re.MULTILINE), path
        assert "```" not in without_blocks(text), f"{path}: a block that is not closed"


def test_no_reason_is_left_over() -> None:
    shown = [f"{command}$" for command in commands()]
    for part in [*PARSED, *STATUS]:
        assert any(part in one for one in shown), part


def test_what_golden_commands_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Both examples over results that come along are what is printed now."""
    monkeypatch.chdir(REPOSITORY)
    text = (REPOSITORY / "results" / "README.md").read_text(encoding="utf-8")
    for command, start in (
        ("leaderboard --results results/golden", "linear probe: SYNTHETIC"),
        ("check --results results/golden --against results/golden --encoder mfcc=logmel "
         "--tasks fsc", "encoder     task "),
    ):  # fmt: skip
        assert f"python run_bench.py {command}\n" in text
        main(command.split())
        printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        shown = block(text, start).splitlines()
        assert printed[: len(shown)] == shown


def test_what_the_published_package_scored(capsys: pytest.CaptureFixture[str]) -> None:
    text = (REPOSITORY / "benchmark" / "README.md").read_text(encoding="utf-8")
    measured = json.loads((REPOSITORY / "tests" / "peer" / "measured.json").read_text())
    runpy.run_path(str(REPOSITORY / "tests" / "peer" / "measure.py"))["show"](measured)
    assert capsys.readouterr().out == block(text, "task              probe")
