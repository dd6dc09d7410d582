"""Pictures, text and windows of the environments: what they show, what they ask, and that nothing is left behind."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import weakref
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from matplotlib.colors import to_rgb

from semrob_env.envs.check_case import Watch
from semrob_env.envs.painting import METER, Painter
from semrob_env.envs.point_search import PointSearchEnv
from semrob_env.envs.region_grow import RegionGrowEnv
from semrob_env.envs.rendering import (
    FRAMES_PER_SECOND,
    HEIGHT,
    WIDTH,
    Frame,
    Moment,
    Window,
    as_text,
    images_of,
    render_modes,
)
from semrob_env.errors import MissingExtraError
from semrob_env.functions import CallableFunction, Complement, ScoreFunction, Stack, make_function
from semrob_env.parameters import AZIMUTH, SemanticSpace
from semrob_env.plotting.canvas import PALETTE
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

PLATEAU = "synthetic:plateau?n=2&seed=0"
SPACE = SemanticSpace.of("azimuth,elevation")
BACK, UP = np.array([350.0, 0.0]), np.array([180.0, 80.0])


class Colored(ScoreFunction):
    """Draws pictures of one grey, brighter the further round it looks; the second member is mirrored."""

    def __init__(self, space: SemanticSpace = SPACE) -> None:
        super().__init__(space, ("coloured:0", "coloured:1"), has_gradient=False)
        self.drawn = 0

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        gray = theta[..., 0] / 360
        return np.where(member[:, None] == 1, 1 - gray, gray)

    def images(self, theta: FloatArray, member: int = 0) -> Float32Array:
        self.drawn += len(theta)
        gray = self.values(theta[:, None], np.full(len(theta), member))[:, 0]
        return np.broadcast_to(gray[:, None, None, None], (len(theta), 3, 8, 8)).astype(np.float32)


def moment(
    function: ScoreFunction,
    *,
    member: int = 0,
    center: FloatArray | None = None,
    half: float = 0.1,
    spent: float = 50.0,
) -> Moment:
    """A region around a point, a quarter of a budget of 200 spent."""
    space = function.space
    at = space.from_unit(np.full(space.n, 0.5)) if center is None else center
    bounds = at - half * space.width, at + half * space.width
    return Moment(member, at, {"start": at}, bounds, spent, 200.0, {"objective": 0.25, "reward": -0.0})


def near(frame: Frame, color: str | tuple[float, float, float], tolerance: int = 12) -> BoolArray:
    """Pixels of a colour."""
    wanted = np.rint(np.array(to_rgb(color)) * 255)
    return np.asarray((np.abs(frame.astype(np.float64) - wanted) <= tolerance).all(axis=-1))


def on_map(painter: Painter, theta: FloatArray) -> tuple[int, int]:
    """Row and column of a point on the map."""
    across, upwards = painter._panels[0][0].transData.transform(theta)
    return HEIGHT - 1 - int(upwards), int(across)


FUNCTIONS = {
    **{f"{n} parameters": f"synthetic:plateau?n={n}&seed=0" for n in (1, 2, 3, 4, 5, 7)},
    "a complement": f"complement({PLATEAU})",
    "a family": f"{PLATEAU} + synthetic:plateau?n=2&seed=1",
}


@pytest.mark.parametrize("env_class", [RegionGrowEnv, PointSearchEnv])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_frame_has_one_shape_and_is_an_array_of_its_own(env_class: Any, name: str) -> None:
    more = {"corners": 4} if "7" in name and env_class is RegionGrowEnv else {}
    env = env_class(FUNCTIONS[name], render_mode="rgb_array", budget=600, **more)
    frames = []
    for seed in range(2):
        env.reset(seed=seed)
        frames.append(env.render())
        for _ in range(2):
            env.step(env.action_space.high * 0.7)
            frames.append(env.render())
    assert {(frame.shape, frame.dtype) for frame in frames} == {((HEIGHT, WIDTH, 3), np.dtype(np.uint8))}
    assert len({frame.tobytes() for frame in frames}) == len(frames)  # each shows another moment
    assert not any(np.shares_memory(one, other) for one, other in pairwise(frames))


def test_the_same_moment_gives_the_same_frame_whatever_was_drawn_before() -> None:
    function = make_function(FUNCTIONS["a family"])
    painter = Painter(function)
    first = painter.frame(moment(function))
    painter.frame(moment(function, member=1, half=0.4, spent=150.0))
    assert np.array_equal(painter.frame(moment(function)), first)
    assert np.array_equal(Painter(function).frame(moment(function)), first)


def test_the_map_is_asked_once_a_member_and_never_charged() -> None:
    env = RegionGrowEnv(FUNCTIONS["a family"], render_mode="rgb_array")
    with Watch(env.function) as watch:
        env.reset(seed=0, options={"member": 0})
        charged = env.oracle.forward_queries
        asked = [watch.asked]
        for member in (0, 0, 1, 0, 1):
            env.reset(seed=0, options={"member": member})
            before = watch.asked
            env.render()
            asked.append(watch.asked - before)
    assert asked[0] == charged[0]
    assert asked[1] == asked[3] > 1000
    assert asked[2] == asked[4] == asked[5] == 0
    assert env.oracle.forward_queries == charged


def test_the_map_lies_where_the_axes_say() -> None:
    function = make_function(PLATEAU)
    painter = Painter(function)
    frame = painter.frame(moment(function, center=BACK, half=0.01))
    plateau: Any = function
    box = plateau.plateau
    bright = frame[on_map(painter, box.center[0])]
    dark = frame[on_map(painter, np.array([20.0, 60.0]))]
    assert bright[0] > 200 > 100 > bright[2]  # yellow
    assert dark[2] > dark[0]  # blue


def test_scores_that_are_nan_are_drawn_as_the_worst() -> None:
    gap = CallableFunction(SPACE, lambda theta: np.where(theta[:, 1] > 40, np.nan, 1.0))
    painter = Painter(gap)
    frame = painter.frame(moment(gap, center=BACK, half=0.01))
    assert frame[on_map(painter, UP)].tolist() == frame[on_map(painter, np.array([220.0, 80.0]))].tolist()
    assert frame[on_map(painter, UP)][0] < 60
    assert frame[on_map(painter, np.array([180.0, 0.0]))][0] > 200


def test_a_region_across_the_seam_is_drawn_at_both_ends() -> None:
    function = make_function(PLATEAU)
    painter = Painter(function)
    low, high = np.array([330.0, -5.0]), np.array([390.0, 10.0])
    ink = near(painter.frame(Moment(0, BACK, {}, (low, high), 0.0, 200.0, {})), PALETTE[1])
    for azimuth, expected in ((330.0, True), (30.0, True), (370.0 - 360, False), (350.0, False)):
        row, column = on_map(painter, np.array([azimuth, 3.0]))
        assert ink[row - 2 : row + 3, column - 3 : column + 4].any() == expected
    row, column = on_map(painter, np.array([355.0, high[1]]))
    assert ink[row - 3 : row + 4, column].any()  # the upper side, on both pieces
    row, column = on_map(painter, np.array([10.0, high[1]]))
    assert ink[row - 3 : row + 4, column].any()


@pytest.mark.parametrize("spent", [0.0, 50.0, 200.0])
def test_the_meter_is_as_full_as_the_budget_is_spent(spent: float) -> None:
    function = make_function(PLATEAU)
    frame = Painter(function).frame(moment(function, spent=spent))
    blue = near(frame[HEIGHT - 22], PALETTE[0], 2)
    assert blue.sum() == pytest.approx(METER * spent / 200, abs=3)


def test_what_the_function_draws_stands_beside_the_map() -> None:
    function = Colored()
    stack = Stack([Complement(function), Complement(CallableFunction(SPACE, lambda theta: theta[:, 0] / 720))])
    painter = Painter(stack)
    for member, azimuth, gray in ((0, 90.0, 0.25), (0, 270.0, 0.75), (1, 90.0, 0.75), (2, 90.0, 0.85)):
        frame = painter.frame(moment(stack, member=member, center=np.array([azimuth, 0.0]), half=0.01))
        assert frame[HEIGHT // 2, 180] == pytest.approx(255 * gray, abs=2)
    drawn = function.drawn
    painter.frame(moment(stack))
    assert function.drawn == drawn + 1
    assert images_of(stack, 1) is not None
    assert images_of(stack, 2) is None


def test_a_live_scene_is_drawn_beside_its_map() -> None:
    env = RegionGrowEnv(live(), render_mode="rgb_array", budget=40)
    env.reset(seed=0)
    image = env.render()[50:360, 20:340]
    assert (image.max(axis=(0, 1)) > 120).all()  # the cup
    assert (image[:10] == 0).all()  # on black


def live() -> SceneFunction:
    """A cup by the brightness of its picture."""
    classifier = BlackBoxClassifier(
        lambda shown: np.repeat(shown.mean(axis=(1, 2, 3))[:, None], 2, axis=1), labels=2, size=48, name="brightness"
    )
    return SceneFunction(classifier, [make_shape("cup", 0)], [0], SPACE)


def test_text_shows_regions_points_and_the_meter() -> None:
    function = make_function(PLATEAU)
    seam = Moment(
        0,
        BACK,
        {"start": BACK},
        (np.array([330.0, -5.0]), np.array([390.0, 10.0])),
        50.0,
        200.0,
        {"objective": 0.25, "g": -0.0},
    )
    assert as_text(function, seam).splitlines() == [
        PLATEAU,
        "azimuth        0 |===----------------------------------=o=| 360    330 .. 390, start 350 deg",
        "elevation    -10 |--==o===--------------------------------| 90     -5 .. 10, start 0 deg",
        "objective 0.2500  g 0.0000",
        "queries        0 |##########..............................| 200    50 spent",
    ]
    points = Moment(0, UP, {"best": UP, "last": BACK}, None, 200.0, 200.0, {})
    assert "|--------------------*-----------------x-| 360    best 180, last 350 deg" in as_text(function, points)


def test_environments_tell_their_state_in_text() -> None:
    grow = RegionGrowEnv(PLATEAU, render_mode="ansi", start="azimuth=350,elevation=0")
    search = PointSearchEnv(PLATEAU, render_mode="ansi")
    env: Any
    for env, words in ((grow, ("mean", "variance", "region", "24 spent")), (search, ("best score", "last", "2 spent"))):
        env.reset(seed=0)
        env.step(env.action_space.high)
        text = env.render()
        assert all(word in text for word in (*words, "objective", "reward", "azimuth"))


def test_frames_are_collected_by_gymnasium() -> None:
    env: Any = gymnasium.make("semrob_env.envs:semrob/RegionGrow-v0", function=PLATEAU, render_mode="rgb_array_list")
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.high)
    frames: Any = env.render()
    assert [frame.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4
    assert env.metadata["render_fps"] == FRAMES_PER_SECOND


def test_videos_are_recorded_where_moviepy_is(tmp_path: Path) -> None:
    env: Any = RegionGrowEnv(PLATEAU, budget=40, render_mode="rgb_array")
    if importlib.util.find_spec("moviepy") is None:
        with pytest.raises(gymnasium.error.DependencyNotInstalled, match="moviepy"):
            wrappers.RecordVideo(env, str(tmp_path / "videos"))
        return
    env = wrappers.RecordVideo(env, str(tmp_path / "videos"), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    is_over = False
    while not is_over:
        is_over = env.step(env.action_space.high)[2]
    env.close()
    assert [file.suffix for file in (tmp_path / "videos").iterdir()] == [".mp4"]


def test_no_figure_outlives_its_environment() -> None:
    env: Any = RegionGrowEnv(PLATEAU, render_mode="rgb_array")
    env.reset(seed=0)
    env.render()
    alive = weakref.ref(env.function)
    assert alive() is not None
    del env
    gc.collect()
    assert alive() is None


def test_no_global_state_of_matplotlib_is_touched() -> None:
    code = (
        "import sys; from semrob_env.envs.region_grow import RegionGrowEnv\n"
        f"env = RegionGrowEnv({PLATEAU!r}, render_mode='ansi'); env.reset(); env.render()\n"
        "print('matplotlib' in sys.modules)\n"
        f"env = RegionGrowEnv({PLATEAU!r}, render_mode='rgb_array'); env.reset(); env.render()\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]


def test_a_window_without_pygame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingExtraError, match="pip install pygame"):
        Window()


def test_a_window_shows_frames_at_their_pace_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []

    def keep(name: str, answer: Any = None) -> Any:
        def called(*given: Any) -> Any:
            calls.append((name, given))
            return answer

        return called

    screen = SimpleNamespace(blit=keep("blit"))
    display = SimpleNamespace(
        init=keep("init"),
        set_mode=keep("set_mode", screen),
        set_caption=keep("set_caption"),
        flip=keep("flip"),
        quit=keep("quit"),
    )
    surfaces = SimpleNamespace(make_surface=lambda frame: frame.shape)
    clock = SimpleNamespace(tick=keep("tick"))
    pygame = SimpleNamespace(
        display=display,
        surfarray=surfaces,
        time=SimpleNamespace(Clock=lambda: clock),
        event=SimpleNamespace(pump=keep("pump")),
    )
    monkeypatch.setitem(sys.modules, "pygame", pygame)
    window = Window()
    window.show(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    window.close()
    assert ("set_mode", ((WIDTH, HEIGHT),)) in calls
    assert ("blit", ((WIDTH, HEIGHT, 3), (0, 0))) in calls
    assert ("tick", (FRAMES_PER_SECOND,)) in calls
    assert [name for name, _ in calls][-2:] == ["flip", "quit"]


def test_human_is_offered_only_where_pygame_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert render_modes() == ["rgb_array", "ansi"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: SimpleNamespace(name=name))
    assert render_modes() == ["rgb_array", "ansi", "human"]


def test_a_curve_is_drawn_for_one_parameter_and_its_region_is_a_band() -> None:
    function = CallableFunction(SemanticSpace((AZIMUTH,)), lambda theta: np.full(len(theta), 0.5))
    painter = Painter(function)
    frame = painter.frame(moment(function, half=0.25))
    row, column = on_map(painter, np.array([180.0, 0.75]))
    assert frame[row, column].tolist() != [255, 255, 255]
    assert frame[on_map(painter, np.array([20.0, 0.75]))].tolist() == [255, 255, 255]
    row, column = on_map(painter, np.array([20.0, 0.5]))
    assert (frame[row - 2 : row + 3, column] < 80).any()
