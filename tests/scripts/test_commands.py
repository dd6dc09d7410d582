"""Every command as a program, whatever the folder: --help, a smallest run, exit codes; and the table of commands."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import typing
import venv
from pathlib import Path
from typing import Any

import pytest

from baselines.agents.training import ALGORITHMS
from baselines.commands import accept_shapes, benchmark_envs, benchmark_recorded, method_table, train_agent
from baselines.commands.program import (
    BAD_INPUT,
    BROKEN_PIPE,
    INTERRUPTED,
    TERMINATED,
    find_command,
    run_command,
    semrob,
)
from baselines.commands.shared.options import Networks, ShapeOptions
from baselines.commands.shared.reading import count, counts, grid_counts, names, numbers, reals
from baselines.commands.table import COMMANDS, NAMES
from baselines.commands.work import srvr_table as srvr_table_work
from baselines.commands.work.benchmark_envs import KINDS
from baselines.commands.work.benchmark_recorded import DIRECTIONS
from semrob_env.errors import InvalidParameterError, OutputError, SemrobError
from semrob_env.files import write_whole
from semrob_env.recorded import save_maps
from semrob_env.scene.acceptance import GRID, THRESHOLD
from semrob_env.scene.classifiers.score_kinds import SCORE_RANGES
from semrob_env.scene.sources import COLORS
from tests.recorded_maker import wavy_maps

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchvision", "scipy", "gymnasium", "numba", "matplotlib", "openvino", "trimesh"}

SMALLEST = {
    "evaluate": ["cup:0", "--dry-run"],
    "srvr_table": ["--functions", "recorded", "--maps", "maps.npz", "--methods", "naive,grid", "--judge-points", "4"],
    "compare_networks": ["efficientnet_lite0", "efficientnet_lite1", "--shapes", "cup:0", "--dry-run"],
    "natural_accuracy": ["--networks", "efficientnet_lite0"],
    "grow_regions": ["cup:0", "--dry-run"],
    "failures": ["cup:0", "--dry-run"],
    "semantic_map": ["--function", "synthetic:hill?n=2&seed=0", "--dry-run"],
    "store_table": ["nowhere.sqlite"],
    "accept_shapes": ["cup:0", "--dry-run"],
    "shape_gallery": ["cup:0", "--no-scores"],
    "robust_training": ["--quick", "--workers", "1"],
    "dataset": ["cup:0", "cup:1", "--views", "2", "--image-size", "16"],
    "compare_methods": [
        "--suite",
        "synthetic",
        "--parameters",
        "1",
        "--methods",
        "naive",
        "--budgets",
        "20",
        "--dry-run",
    ],
    "method_table": ["--methods", "naive", "--parameters", "1", "--steps", "3"],
    "sensitivity": ["--suite", "synthetic", "--methods", "naive", "--dry-run"],
    "gradient_study": ["cup:0", "--dry-run"],
    "train_agent": ["--function", "nothing"],
    "challenge": ["--score", "nowhere.csv"],
    "pixel_attacks": ["cup:0", "--dry-run"],
    "train_examiner": ["--function", "synthetic:hill?n=2&seed=0", "--test-members", "7"],
    "import_recorded": ["nowhere"],
    "recorded_report": ["--maps", "nowhere.npz"],
    "benchmark_speed": ["--overhead", "--repeats", "0"],
    "benchmark_networks": ["--repeats", "0"],
    "benchmark_envs": ["--function", "synthetic:hill?n=1&seed=0", "--num-envs", "1", "--steps", "3", "--repeats", "1"],
    "benchmark_recorded": ["--maps", "nowhere.npz"],
    "check_rasterizer": ["cup:0", "--size", "32", "--views", "1", "--repeats", "1"],
}
"""Arguments of a quick run; of what takes long, of one that is refused once everything is imported."""

REFUSED = {
    "train_agent",
    "train_examiner",
    "challenge",
    "import_recorded",
    "recorded_report",
    "benchmark_speed",
    "benchmark_networks",
} | {
    "benchmark_recorded",
    "store_table",
}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def program(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment())


def test_the_table_the_scripts_and_the_modules_are_of_the_same_commands() -> None:
    for folder in ("scripts", "baselines/commands", "baselines/commands/work"):
        found = {path.stem for path in (ROOT / folder).glob("*.py")} - {
            "__init__",
            "__main__",
            "program",
            "start",
            "table",
        }
        assert found == set(NAMES), folder
    for path in (ROOT / "scripts").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 15
        assert "scripts" not in text.split('"""', 2)[2].replace("baselines.commands.start", "")
    assert SMALLEST.keys() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_helps_from_another_folder(name: str, tmp_path: Path) -> None:
    ended = program(tmp_path, sys.executable, str(ROOT / "scripts" / f"{name}.py"), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(str(importlib.import_module(f"baselines.commands.{name}").__doc__)[:40])
    for part in ("Examples:", f"  semrob {name}", f"Usage: semrob {name}", "[default: "):
        assert part in ended.stdout
    assert all(len(line) <= 120 for line in ended.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_smallest_run_from_another_folder(name: str, tmp_path: Path) -> None:
    save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "maps.npz")
    ended = program(tmp_path, sys.executable, str(ROOT / "scripts" / f"{name}.py"), *SMALLEST[name])
    assert ended.returncode == (BAD_INPUT if name in REFUSED else 0), ended.stderr
    assert ended.stderr.count("\n") == (name in REFUSED)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom baselines.commands.program import semrob\nfrom baselines.commands.table import NAMES\n"
        "assert [semrob([name, '--help']) for name in NAMES] == [0] * len(NAMES) and semrob([]) == 0\n"
        f"print('loaded:', sorted({HEAVY!r} & sys.modules.keys()))"
    )
    ended = program(ROOT, sys.executable, "-c", code)
    assert ended.stdout.endswith("loaded: []\n"), ended.stderr


def test_the_help_of_semrob_names_every_command_with_its_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert semrob(["--help"]) == 0
    shown = capsys.readouterr().out
    for question, commands in COMMANDS.items():
        assert question in shown
        assert all(f"  {name}" in shown and text in shown for name, text in commands.items())
    assert shown.count("\n  semrob ") == 4
    assert all(len(line) <= 120 for line in shown.splitlines())


def test_misspelt_commands_and_options_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["srvr_tabel"], "unknown command 'srvr_tabel'; did you mean srvr_table; semrob --help"),
        (["srvr-table", "--budgte", "3"], "Unknown option: --budgte. Did you mean --budget; --help tells what"),
        (["grow_regions", "cup:0", "--form", "odd"], "--form"),
        (["grow_regions", "cup:0", "--goal", "median=1"], "unknown goal 'median=1'"),
        (["benchmark_envs", "word"], "word"),
        (["method_table", "--steps"], "--steps requires an argument"),
    ):
        assert semrob(arguments) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1


def test_from_python_bad_input_is_an_error_of_the_house_and_the_last_value_counts() -> None:
    with pytest.raises(InvalidParameterError, match="Unknown option"):
        find_command("method_table")(["--nothing"])
    options = accept_shapes.main.read(["a", "--grid", "3x4", "b", "--grid", "5x6", "--networks", "x,y"])
    assert options is not None
    assert (options.sources, options.grid, options.networks) == (("a", "b"), (5, 6), ("x", "y"))


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "baselines.commands", "srvr_table", "--help"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == BROKEN_PIPE


def test_ctrl_c_is_one_line_while_a_command_is_imported_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", interrupted)
        assert semrob(["srvr_table", "--dry-run"]) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted: nothing half-written is left\n"
    monkeypatch.setattr(srvr_table_work, "run", lambda options, console: interrupted(""))
    assert semrob(["srvr_table", "--dry-run"]) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted: what was finished is kept; run the same command to go on\n"


def test_a_signal_before_the_work_ends_at_once_and_is_not_lost_in_an_import_of_the_work(tmp_path: Path) -> None:
    for name in ("SIGINT", "SIGTERM"):
        (tmp_path / f"swallows_{name}.py").write_text(
            "import os, signal, time\n"
            f"try:\n    os.kill(os.getpid(), signal.{name})\n    time.sleep(0.1)\n"
            "except BaseException:\n    pass\n"
        )
    code = (
        "import sys, time\nfrom baselines.commands import start\nstart.interrupts.watch()\n{before}\n"
        "from baselines.commands import program\nfrom baselines.commands.work import method_table\n"
        "def run(options, console):\n    import {during}\n    time.sleep(5)\n    print('went on')\n"
        "method_table.run = run\nsys.exit(program.code_of(['method_table']))"
    )
    for name, before, code_of_exit, word in (
        ("SIGINT", "import swallows_SIGINT", INTERRUPTED, "interrupted"),
        ("SIGINT", "", INTERRUPTED, "interrupted"),
        ("SIGTERM", "", TERMINATED, "terminated"),
    ):
        ended = program(tmp_path, sys.executable, "-c", code.format(before=before, during=f"swallows_{name}"))
        assert (ended.returncode, ended.stdout) == (code_of_exit, "")
        assert ended.stderr == f"{word}: nothing half-written is left\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_is_full_or_narrow_or_closed_loses_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> tuple[int, str]:
        code = semrob(["method_table", *SMALLEST["method_table"], "--out", str(tmp_path / "methods")])
        assert (tmp_path / "methods" / "methods.md").exists()
        shutil.rmtree(tmp_path / "methods")
        return code, capsys.readouterr().err

    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        code, error = run()
    assert code == BAD_INPUT
    assert error.startswith("error: the work is done, but what it says could not be written")
    assert error.count("\n") == 1
    with open(tmp_path / "told.txt", "w", encoding="ascii") as narrow, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", narrow)
        assert run() == (0, "")
    monkeypatch.setattr(sys, "stdout", None)
    assert run() == (0, "")


def test_a_pipe_that_breaks_elsewhere_is_not_taken_for_a_reader_that_went_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(options: object, console: object) -> None:
        raise BrokenPipeError("a worker is gone")

    monkeypatch.setattr(srvr_table_work, "run", broken)
    with pytest.raises(BrokenPipeError, match="a worker is gone"):
        semrob(["srvr_table", "--dry-run"])


def test_values_are_read_or_refused() -> None:
    assert names(" a,b,,a ") == ("a", "b")
    assert numbers("0-2,7,1") == (0, 1, 2, 7)
    assert counts("1-3") == (1, 2, 3)
    assert reals("0.5,2") == (0.5, 2.0)
    assert (count("12"), grid_counts("12x7")) == (12, (12, 7))
    for read, texts in (
        (names, [",", ""]),
        (numbers, ["3-1", "-1", "a", "1-", "0-999999", "9" * 99]),
        (counts, ["0", "0-3"]),
        (reals, ["a", "1;2"]),
        (count, ["0", "-1", "nan", "1.5", "9" * 20, "²"]),
        (grid_counts, ["12", "1x7", "2000x2", "axb"]),
    ):
        for text in texts:
            with pytest.raises(SemrobError):
                read(text)


def test_commands_compute_with_one_thread_of_blas() -> None:
    code = "import baselines.commands.program, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    for given, found in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        clean = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}
        command = [sys.executable, "-c", code]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={**clean, **given})
        assert ended.stdout.strip() == found


def test_what_light_options_repeat_of_heavy_rooms_is_the_same() -> None:
    assert (accept_shapes.AcceptShapesOptions().grid, accept_shapes.AcceptShapesOptions().threshold) == (
        GRID,
        THRESHOLD,
    )
    assert tuple(DIRECTIONS) == benchmark_recorded.KNOWN
    assert benchmark_envs.BenchmarkEnvsOptions().environments == tuple(KINDS)
    assert tuple(train_agent.STEPS) == tuple(ALGORITHMS)
    hints = typing.get_type_hints(Networks)
    assert typing.get_args(hints["score"]) == tuple(SCORE_RANGES)
    assert typing.get_args(typing.get_type_hints(accept_shapes.AcceptShapesOptions)["colors"]) == COLORS
    assert ShapeOptions().numbers == tuple(range(10))


@pytest.mark.slow
def test_commands_run_from_an_installed_wheel(tmp_path: Path) -> None:
    source, place, folder = (tmp_path / name for name in ("source", "environment", "elsewhere"))
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "tests", "build", "results", "*.egg-info"))
    folder.mkdir()
    venv.create(place, with_pip=False)
    python = str(place / "bin" / "python")
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=clean)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", str(source))
    assert str(place) in run(python, "-c", "import baselines; print(baselines.__file__)")
    code = f"from baselines.commands.program import semrob; print([semrob([name, '--help']) for name in {NAMES}])"
    helped = run(python, "-c", code)  # in one process: starting one for each takes long
    assert all(f"Usage: semrob {name}" in helped for name in NAMES)
    assert helped.endswith(f"{[0] * len(NAMES)}\n")
    run(str(place / "bin" / "semrob"), "method_table", *SMALLEST["method_table"])
    assert (folder / "results/methods/methods.md").exists()


TABLE = ["--methods", "naive", "--parameters", "1"]


@pytest.mark.skipif(os.name != "posix", reason="takes a folder by flock")
def test_two_commands_in_one_folder_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    code = f"from baselines.commands.shared.terminal import own_folder as own; own({out!r}); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{code}; input()"], stdin=-1, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert run_command(method_table.main, [*TABLE, "--out", out]) == 2
        assert "error: another command is at work in" in capsys.readouterr().err
        other.kill()
    for _ in range(2):
        assert run_command(method_table.main, [*TABLE, "--out", out]) == 0


def test_a_terminated_command_ends_like_an_interrupted_one() -> None:
    """In a process of its own: engines that other tests of this process used have handlers of theirs."""
    code = (
        "import signal, sys; from baselines.commands.program import guarded; "
        "work = lambda: (signal.raise_signal(signal.SIGTERM), print('it went on')); "
        "code = guarded(work, 'all is kept'); "
        "sys.exit(code if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else 1)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", "terminated: all is kept\n")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_a_terminated_command_ends_though_a_library_swallows_the_interrupt_and_tidies_up_undisturbed() -> None:
    code = """
import contextlib, signal, sys, time
from baselines.commands.program import guarded
def work():
    try:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        time.sleep(20)
        print("it went on")
    finally:
        time.sleep(0.3)
        print("tidied up")
sys.exit(guarded(work, "all is kept"))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "tidied up\n", "terminated: all is kept\n")


def test_a_file_that_cannot_be_written_is_told_by_its_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "x.json", tmp_path / ("x" * 300), tmp_path, Path(os.devnull)):
        with pytest.raises(OutputError, match="cannot write"):
            write_whole(target, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
