"""Maps as a value, a file and a score function: exactness against plain formulas, and what damaged files get."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from semrob_env.errors import InvalidMapsError, MissingFileError, UnknownNameError
from semrob_env.functions import make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps, held_out_error, load_maps, save_maps
from semrob_env.recorded.file import VERSION, write_arrays
from semrob_env.recorded.function import FILE_VARIABLE
from semrob_env.recorded.release import Release
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
SIZE = Parameter("size", "", 0.0, 1.0, None, 0.5, "grows")
SHIFTED = Parameter("phase", "deg", -90.0, 270.0, 360.0, 0.0, "turns")


def lines(first: float, end: float, step: float) -> FloatArray:
    """Grid lines from first to before end."""
    return np.arange(first, end, step, dtype=np.float64)


def some_maps(count: int = 3, seed: int = 0) -> ScoreMaps:
    """Random maps over azimuth and elevation whose elevation lines end inside the range at both ends."""
    axes = (lines(0.0, 360.0, 30.0), lines(-7.0, 83.0, 15.0))
    scores = np.random.default_rng(seed).random((count, 12, 6)).astype(np.float32)
    names = tuple(f"net{i % 2}/cup/{i}" for i in range(count))
    return ScoreMaps(SPACE, axes, scores, names, tuple({"shape": str(i)} for i in range(count)))


def other_maps() -> dict[str, ScoreMaps]:
    """Maps of one and three parameters, and of a periodic one whose first line lies inside the range."""
    rng = np.random.default_rng(1)
    one = ScoreMaps(
        SemanticSpace((AZIMUTH,)),
        (lines(15.0, 360.0, 30.0),),
        rng.random((2, 12), dtype=np.float32),
        ("a/b/0", "a/b/1"),
    )
    three_space = SemanticSpace((SIZE, SHIFTED, ELEVATION))
    three_axes = (np.linspace(0.2, 0.9, 4), lines(-80.0, 280.0, 60.0), np.linspace(-10.0, 90.0, 5))
    three = ScoreMaps(three_space, three_axes, rng.random((2, 4, 6, 5), dtype=np.float32), ("a/b/0", "a/b/1"))
    return {"n=1": one, "n=2": some_maps(), "n=3": three}


def plain_value(maps: ScoreMaps, member: int, theta: FloatArray) -> float:
    """The interpolant at one point, written as a sum over all grid lines of products of hat functions."""
    total, weights = 0.0, []
    for at, axis, parameter in zip(theta, maps.axes, maps.space.parameters, strict=True):
        step = axis[1] - axis[0]
        away = np.abs(np.clip(at, axis[0], axis[-1]) - axis) if parameter.period is None else np.abs(at - axis)
        if parameter.period is not None:
            away = np.minimum(away, parameter.period - away)
        weights.append(np.maximum(0.0, 1 - away / step))
    for cell in product(*(range(len(axis)) for axis in maps.axes)):
        total += float(maps.scores[member][cell]) * float(np.prod([w[i] for w, i in zip(weights, cell, strict=True)]))
    return total


@pytest.mark.parametrize("name", other_maps())
def test_values_are_those_of_hat_functions(name: str) -> None:
    maps = other_maps()[name]
    function, rng = RecordedMaps(maps), np.random.default_rng(2)
    theta = maps.space.sample(60, rng).reshape(20, 3, -1)
    member = rng.integers(0, len(maps), 20)
    values = function.values(theta, member)
    expected = [[plain_value(maps, member[i], theta[i, j]) for j in range(3)] for i in range(20)]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", other_maps())
def test_values_at_grid_points_are_the_scores_themselves(name: str) -> None:
    maps = other_maps()[name]
    points = np.stack(np.meshgrid(*maps.axes, indexing="ij"), axis=-1).reshape(1, -1, maps.space.n)
    np.testing.assert_allclose(RecordedMaps(maps).values(points, [1])[0], maps.scores[1].ravel(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", other_maps())
def test_gradients_are_the_slopes_of_the_interpolant(name: str) -> None:
    maps = other_maps()[name]
    function, space = RecordedMaps(maps), maps.space
    theta = space.sample(300, np.random.default_rng(3))[:, None, :]
    values, gradients = function.values_and_gradients(theta, np.arange(300) % 2)
    np.testing.assert_array_equal(values, function.values(theta, np.arange(300) % 2))
    for k in range(space.n):
        step = np.zeros(space.n)
        step[k] = 1e-6 * space.width[k]
        ends = [function.values(space.project(theta + side * step), np.arange(300) % 2) for side in (1, -1)]
        slopes = (ends[0] - ends[1])[:, 0] / (2 * step[k])
        # Differences that straddle a grid line or an end of the space mean nothing: there are few.
        assert np.mean(np.abs(slopes - gradients[:, 0, k]) > 1e-6 / space.width[k]) < 0.02


@pytest.mark.parametrize("name", other_maps())
def test_an_answer_has_the_same_bits_alone_in_a_batch_and_in_any_layout(name: str) -> None:
    maps = other_maps()[name]
    function, rng = RecordedMaps(maps), np.random.default_rng(4)
    theta, member = maps.space.sample(4000, rng).reshape(2000, 2, -1), rng.integers(0, len(maps), 2000)
    together, slopes = function.values_and_gradients(theta, member)
    across = np.asfortranarray(theta)
    np.testing.assert_array_equal(function.values(across, member), together)
    np.testing.assert_array_equal(function.values_and_gradients(across, member)[1], slopes)
    alone = [[function.values(theta[i, j][None, None], [member[i]]).item() for j in range(2)] for i in range(100)]
    np.testing.assert_array_equal(together[:100], alone)
    half = function.values_and_gradients(theta[1000:], member[1000:])
    np.testing.assert_array_equal(half[0], together[1000:])
    np.testing.assert_array_equal(half[1], slopes[1000:])


def test_azimuth_joins_at_the_seam_and_elevation_is_held_beyond_its_last_line() -> None:
    maps = some_maps(1)
    function, scores = RecordedMaps(maps), maps.scores[0].astype(np.float64)
    assert function.values([[[345.0, -7.0]]]).item() == pytest.approx((scores[11, 0] + scores[0, 0]) / 2)
    assert function.values([[[60.0, 90.0]]]).item() == pytest.approx(scores[2, 5])
    assert function.values([[[60.0, -10.0]]]).item() == pytest.approx(scores[2, 0])
    almost = function.values([[[np.nextafter(360.0, 0.0), -7.0]]]).item()
    assert almost == pytest.approx(scores[0, 0])


def test_the_oracle_charges_maps_like_any_function() -> None:
    function = RecordedMaps(some_maps())
    oracle = QueryOracle(function, trajectories=2, budget=10)
    active = np.array([[True, True], [True, False]])
    answers = oracle.query(Queries(np.full((2, 2, 2), 5.0), np.array([0, 2]), active, wants_gradient=True))
    assert oracle.forward_queries.tolist() == [2, 1]
    assert oracle.gradient_queries.tolist() == [2, 1]
    assert answers.gradients is not None
    assert answers.values[1, 1] == 0.0
    assert not answers.gradients[1, 1].any()
    assert answers.gradients[1, 0].any()


def test_a_file_of_maps_comes_back_the_same_and_has_the_same_bytes(tmp_path: Path) -> None:
    for name, maps in other_maps().items():
        first = save_maps(maps, tmp_path / f"{name}.npz").read_bytes()
        again = load_maps(tmp_path / f"{name}.npz")
        assert (again.space, again.names, again.facts) == (maps.space, maps.names, maps.facts)
        np.testing.assert_array_equal(again.scores, maps.scores)
        assert again.digests == maps.digests
        assert save_maps(again, tmp_path / "again.npz").read_bytes() == first


def test_a_changed_score_changes_the_digest_of_its_map_only() -> None:
    maps = some_maps()
    scores = maps.scores.copy()
    scores[1, 3, 2] = 0.125
    other = ScoreMaps(SPACE, maps.axes, scores, maps.names)
    assert [a == b for a, b in zip(maps.digests, other.digests, strict=True)] == [True, False, True]


def rewritten(path: Path, target: Path, **changes: bytes) -> Path:
    """A copy of an archive with some entries replaced."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as made:
        for entry in source.namelist():
            made.writestr(entry, changes.get(entry.removesuffix(".npy"), source.read(entry)))
    return target


def npy(array: object) -> bytes:
    """An array as the bytes of an .npy file; objects are pickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def test_damaged_files_are_refused_with_one_line(tmp_path: Path) -> None:
    good = save_maps(some_maps(), tmp_path / "good.npz")
    scores = some_maps().scores.copy()
    scores[0, 0, 0] = 0.5
    not_a_number = scores.copy()
    not_a_number[0] = np.nan
    lying = npy(scores).replace(b"(3, 12, 6)", b"(9, 99, 9)")
    broken = {
        "checksum": rewritten(good, tmp_path / "a.npz", scores=npy(scores)),
        "objects": rewritten(good, tmp_path / "b.npz", scores=npy([{"a": 1}, None])),
        "lying shape": rewritten(good, tmp_path / "c.npz", scores=lying),
        "header": rewritten(good, tmp_path / "d.npz", header=npy(np.frombuffer(b"[1, 2", dtype=np.uint8))),
        "list header": rewritten(good, tmp_path / "e.npz", header=npy(np.frombuffer(b"[1, 2]", dtype=np.uint8))),
        "no numbers": rewritten(good, tmp_path / "f.npz", scores=npy(not_a_number)),
        "axis": rewritten(good, tmp_path / "g.npz", axis_0=npy(np.arange(5.0))),
    }
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:700])
    (tmp_path / "text.npz").write_text("azimuth,elevation\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    for path in (*broken.values(), tmp_path / "cut.npz", tmp_path / "text.npz", tmp_path / "empty.npz"):
        with pytest.raises(InvalidMapsError) as raised:
            load_maps(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = write_arrays(
        tmp_path / "new.npz", {"format": "semrob maps", "version": VERSION + 1}, {"scores": np.zeros(1)}
    )
    with pytest.raises(InvalidMapsError, match=f"format version {VERSION + 1}"):
        load_maps(path)


def test_a_file_that_would_unpack_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_maps(some_maps(), tmp_path / "maps.npz")
    monkeypatch.setattr("semrob_env.recorded.file.MOST_BYTES", 500)
    with pytest.raises(InvalidMapsError, match=r"holds too much|are more than the 500 allowed"):
        load_maps(path)


def test_a_rewritten_file_is_read_again(tmp_path: Path) -> None:
    path = save_maps(some_maps(2), tmp_path / "maps.npz")
    assert len(load_maps(path)) == 2
    save_maps(some_maps(3), path)
    assert len(load_maps(path)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": (lines(0.0, 330.0, 30.0), lines(-7.0, 83.0, 15.0))}, "must be one turn"),
        ({"axes": (lines(0.0, 360.0, 30.0), np.array([-7.0, 8.0, 24.0, 38.0, 53.0, 68.0]))}, "equal steps"),
        ({"axes": (lines(0.0, 360.0, 30.0), lines(17.0, 107.0, 15.0))}, "reaches out"),
        ({"axes": (lines(0.0, 360.0, 30.0),)}, "1 axes for 2"),
        ({"scores": np.zeros((3, 12, 5))}, "scores have shape"),
        ({"scores": np.full((3, 12, 6), 2.0)}, "score range"),
        ({"scores": np.full((3, 12, 6), np.nan)}, "score range"),
        ({"names": ("a/b/0", "a/b/1", "a/b/1")}, "different names"),
        ({"names": ("a/b/0", "a/b/1", "cup 2")}, "write NETWORK/CLASS/SHAPE"),
        ({"names": ("a/b/0", "a/b/1", "a/b/*")}, "write NETWORK/CLASS/SHAPE"),
        ({"names": ("a/b/0", "a/b/1", "timm/r50/cup")}, "write NETWORK/CLASS/SHAPE"),
    ],
)
def test_maps_that_do_not_fit_say_why(change: dict[str, object], message: str) -> None:
    maps = some_maps()
    parts = {"space": SPACE, "axes": maps.axes, "scores": maps.scores, "names": maps.names} | change
    with pytest.raises(InvalidMapsError, match=message):
        ScoreMaps(**parts)  # type: ignore[arg-type]


def test_ids_name_maps_and_families_and_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = some_maps(4)
    path = save_maps(maps, tmp_path / "my maps.npz")
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    single = make_function("recorded:net1/cup/3")
    assert single.id == "recorded:net1/cup/3"
    assert single.fingerprints[0]["map"] == maps.digests[3]
    family = make_function("recorded:net0/*")
    assert family.member_ids == ("recorded:net0/cup/0", "recorded:net0/cup/2")
    assert make_function(family.id).member_ids == family.member_ids
    assert make_function(f"complement({family.id})").member_ids[1] == "complement(recorded:net0/cup/2)"
    with pytest.raises(UnknownNameError, match="unknown map 'net0/cup/1'"):
        make_function("recorded:net0/cup/1")
    with pytest.raises(UnknownNameError, match="no map fits"):
        make_function("recorded:net7/*")
    with pytest.raises(UnknownNameError, match="unknown option 'seed'"):
        make_function("recorded:net0/cup/0?seed=1")
    monkeypatch.delenv(FILE_VARIABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match="import_recorded"):
        make_function("recorded:net0/cup/0")
    named = make_function("recorded:net0/*?file=my%20maps.npz")
    assert named.member_ids[0] == "recorded:net0/cup/0?file=my%20maps.npz"
    assert make_function(named.id).id == named.id
    point = [[[130.0, 30.0]]]
    assert make_function(named.member_ids[1]).values(point) == named.values(point, [1])


def test_the_held_out_error_is_none_on_linear_maps_and_counts_what_it_holds_out() -> None:
    elevation = lines(-10.0, 90.0, 10.0)
    linear = np.tile((elevation + 10) / 200, (1, 12, 1)).astype(np.float32)
    maps = ScoreMaps(SPACE, (lines(0.0, 360.0, 30.0), elevation), linear, ("a/b/0",))
    error = held_out_error(maps)
    # 10 elevations: the last is left out, 5 of 9 are kept; of 12 azimuths 6 are kept: 12 * 9 - 6 * 5.
    assert error.points == 78
    assert error.mean_absolute < 1e-7
    assert error.flips == 0
    turned = np.zeros((1, 12, 10), dtype=np.float32)
    turned[:, ::2] = 1.0  # every held-out azimuth is 0 between neighbors of 1
    error = held_out_error(ScoreMaps(SPACE, maps.axes, turned, ("a/b/0",)))
    assert error.mean_absolute == pytest.approx(6 * 9 / 78)
    assert error.flips == pytest.approx(6 * 9 / 78)


def test_the_released_maps_are_as_exact_as_stated(release: Release) -> None:
    assert release.maps is not None
    error = held_out_error(release.maps)
    assert error.mean_absolute < 0.03
    assert error.flips < 0.03


def test_the_header_of_a_file_is_readable_text(tmp_path: Path) -> None:
    with np.load(save_maps(some_maps(), tmp_path / "maps.npz"), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
    assert (header["format"], header["version"], header["names"][0]) == ("semrob maps", 1, "net0/cup/0")
    assert header["space"][0]["name"] == "azimuth"
