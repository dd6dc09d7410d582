"""Score functions: ids, families, complement, stack, and what an answer must look like."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, final

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidParameterError,
    NameClashError,
    NoGradientError,
    OutOfSpaceError,
    ScoreRangeError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import (
    SCHEMES,
    CallableFunction,
    Complement,
    Frozen,
    ScoreFunction,
    Stack,
    make_function,
    register_scheme,
    split_options,
)
from semrob_env.parameters import SemanticSpace
from semrob_env.types import FloatArray, IntArray

BOTH = SemanticSpace.of("azimuth,elevation")
SYNTHETIC = [
    "synthetic:plateau?n=2&seed=0",
    "complement(synthetic:plateau?n=2&seed=0)",
    "complement(complement(synthetic:plateau?n=2&seed=0))",
    "synthetic:plateau?n=2&seed=0 + synthetic:plateau?n=2&seed=1",
    "complement(synthetic:plateau?n=2&seed=0) + synthetic:plateau?n=2&seed=1",
]


@final
class Family(ScoreFunction):
    """Member k scores (k + 1) / 10 plus a slope of 0.001 a degree of elevation."""

    def __init__(self, names: tuple[str, ...] = ("test:0", "test:1", "test:2"), **facts: Any) -> None:
        super().__init__(BOTH, names, **{"has_gradient": True, **facts})

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        return np.asarray((member[:, None] + 1) / 10 + 0.001 * theta[:, :, 1])

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        return self._values(theta, member), np.broadcast_to([0.0, 0.001], theta.shape).copy()


@final
class Answering(ScoreFunction):
    """Answers whatever it is told to."""

    def __init__(self, answer: Callable[[FloatArray], Any], has_gradient: bool = False) -> None:
        super().__init__(BOTH, ("test:answering",), has_gradient=has_gradient)
        self.answer = answer

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        return np.asarray(self.answer(theta))


@pytest.fixture
def scheme_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme `test:` for one test."""
    monkeypatch.setitem(SCHEMES, "test", lambda function_id: Family((function_id,)))


def points(*shape: int, seed: int = 0) -> FloatArray:
    return BOTH.from_unit(np.random.default_rng(seed).random((*shape, 2)))


@pytest.mark.parametrize("function_id", SYNTHETIC)
def test_an_id_makes_the_function_that_has_this_id(function_id: str) -> None:
    function = make_function(function_id)
    assert function.id == function_id
    assert make_function(function.id).id == function_id
    theta = function.space.sample(12, np.random.default_rng(0)).reshape(function.members, -1, function.space.n)
    member = np.arange(function.members)
    again = make_function(function.id)
    assert again.values(theta, member).tobytes() == function.values(theta, member).tobytes()


@pytest.mark.usefixtures("scheme_test")
def test_each_member_of_a_family_has_an_id_of_its_own() -> None:
    stack = make_function("test:a + complement(test:b) + test:c")
    assert stack.member_ids == ("test:a", "complement(test:b)", "test:c")
    theta = points(3, 4)
    for k, member_id in enumerate(stack.member_ids):
        alone = make_function(member_id).values(theta[k : k + 1])
        assert alone.tobytes() == stack.values(theta, [0, 1, 2])[k : k + 1].tobytes()


@pytest.mark.parametrize("function_id", ["", "plateau", "nothing:here", "complement()", "complement(x", "a + b", ":x"])
def test_an_unknown_id_is_an_error_that_lists_what_there_is(function_id: str) -> None:
    with pytest.raises(UnknownNameError, match="ids begin with synthetic:"):
        make_function(function_id)


@pytest.mark.usefixtures("scheme_test")
def test_a_scheme_can_be_registered_once() -> None:
    assert make_function("test:x?y=1").id == "test:x?y=1"
    for taken in ("test", "synthetic", "scene"):
        with pytest.raises(NameClashError, match="registered already"):
            register_scheme(taken, make_function)


def test_options_are_read_from_behind_the_question_mark() -> None:
    assert split_options("s:a/b?n=4&seed=0") == ("a/b", {"n": "4", "seed": "0"})
    assert split_options("s:a") == ("a", {})
    assert split_options("s:a?") == ("a", {})
    assert split_options("s:c:/b?x=a=b") == ("c:/b", {"x": "a=b"})
    for wrong in ("s:a?n", "s:a?n=1&n=2", "s:a?n=1&m"):
        with pytest.raises(InvalidParameterError, match="cannot read option"):
            split_options(wrong)


def test_values_go_to_the_member_of_their_row() -> None:
    theta = np.zeros((4, 3, 2))
    assert Family().values(theta, [2, 0, 1, 2]) == pytest.approx(np.array([[0.3] * 3, [0.1] * 3, [0.2] * 3, [0.3] * 3]))
    assert Family().values(theta) == pytest.approx(np.full((4, 3), 0.1))
    assert Family().values(np.zeros((0, 3, 2))).shape == (0, 3)
    assert Family().values(np.zeros((2, 0, 2))).shape == (2, 0)


@pytest.mark.parametrize(
    ("theta", "member", "error"),
    [
        (np.zeros(2), None, ShapeMismatchError),
        (np.zeros((3, 2)), None, ShapeMismatchError),
        (np.zeros((1, 3, 3)), None, ShapeMismatchError),
        (np.zeros((1, 1, 1, 2)), None, ShapeMismatchError),
        (np.zeros((2, 1, 2)), [0], ShapeMismatchError),
        (np.zeros((2, 1, 2)), 0, ShapeMismatchError),
        (np.zeros((2, 1, 2)), [0, 3], UnknownNameError),
        (np.zeros((2, 1, 2)), [-1, 0], UnknownNameError),
        (np.full((1, 1, 2), 91.0), None, OutOfSpaceError),
        (np.array([[[360.0, 0.0]]]), None, OutOfSpaceError),
        (np.full((1, 1, 2), math.nan), None, OutOfSpaceError),
    ],
)
def test_input_that_makes_no_sense_is_refused_before_the_function_is_asked(
    theta: FloatArray, member: Any, error: type[SemrobError]
) -> None:
    for ask in (Family().values, Family().values_and_gradients):
        with pytest.raises(error):
            ask(theta, member)


@pytest.mark.parametrize(
    "answer",
    [
        lambda theta: np.zeros(theta.shape[0]),
        lambda theta: np.zeros((theta.shape[1], theta.shape[0])),
        lambda theta: np.zeros(theta.shape),
        lambda theta: 0.5,
    ],
)
def test_an_answer_of_another_shape_is_an_error(answer: Callable[[FloatArray], Any]) -> None:
    with pytest.raises(ShapeMismatchError, match="answered shape"):
        Answering(answer).values(points(2, 3))


@pytest.mark.parametrize("wrong", [-1e-300, 1.0000000000000002, -math.inf, math.inf, 7.0])
def test_a_score_outside_the_range_is_an_error_even_beside_nan(wrong: float) -> None:
    def answer(theta: FloatArray) -> FloatArray:
        values = np.full(theta.shape[:2], math.nan)
        values[-1, -1] = wrong
        return values

    with pytest.raises(ScoreRangeError, match="outside its score range"):
        Answering(answer).values(points(2, 3))


def test_nan_passes_through_functions_complements_and_stacks() -> None:
    function = Answering(lambda theta: np.full(theta.shape[:2], math.nan))
    for each in (function, Complement(function), Stack([function, function])):
        assert np.isnan(each.values(points(2, 3))).all()


def test_a_function_without_gradient_says_so() -> None:
    with pytest.raises(NoGradientError, match="FiniteDifferences"):
        Answering(lambda theta: theta[:, :, 0] * 0).values_and_gradients(points(1, 1))
    with pytest.raises(NoGradientError, match="implements no"):
        Answering(lambda theta: theta[:, :, 0] * 0, has_gradient=True).values_and_gradients(points(1, 1))


def test_gradients_of_another_shape_are_an_error() -> None:
    function = CallableFunction(BOTH, lambda t: t[:, 0] * 0, gradients=lambda t: t[:, :1])
    with pytest.raises((ShapeMismatchError, ValueError)):
        function.values_and_gradients(points(1, 3))


@pytest.mark.parametrize("score_range", [(0.0, 1.0), (-3.0, 0.1)])
def test_the_complement_mirrors_the_range_and_twice_gives_f_again(score_range: tuple[float, float]) -> None:
    low, high = score_range
    function = CallableFunction(
        BOTH,
        lambda t: np.clip(low + (high - low) * t[:, 0] / 359, low, high),
        gradients=lambda t: np.tile([(high - low) / 359, 0.0], (len(t), 1)),
        score_range=score_range,
    )
    theta = np.concatenate([points(1, 500), [[[0.0, 0.0], [359.5, 0.0]]]], axis=1)
    once, twice = Complement(function), Complement(Complement(function))
    assert once.values(theta) == pytest.approx(low + high - function.values(theta), abs=1e-15)
    assert twice.values(theta) == pytest.approx(function.values(theta), abs=1e-15)
    assert (once.values(theta)[0, -2:]).tolist() == [high, low]
    assert once.values_and_gradients(theta)[1].tolist() == (-function.values_and_gradients(theta)[1]).tolist()
    assert twice.values_and_gradients(theta)[1].tolist() == function.values_and_gradients(theta)[1].tolist()
    assert once.values_and_gradients(theta)[0].tolist() == once.values(theta).tolist()


def test_a_stack_asks_each_function_for_its_own_rows_only() -> None:
    one, two = Family(("test:0", "test:1")), Complement(Family(("test:2",)))
    stack = Stack([one, two, one])
    assert stack.member_ids == ("test:0", "test:1", "complement(test:2)", "test:0", "test:1")
    theta = points(6, 4)
    member = np.array([2, 4, 0, 2, 3, 1])
    values, gradients = stack.values_and_gradients(theta, member)
    assert values.tobytes() == stack.values(theta, member).tobytes()
    for row, (function, local) in enumerate([(two, 0), (one, 1), (one, 0), (two, 0), (one, 0), (one, 1)]):
        alone = function.values_and_gradients(theta[row : row + 1], [local])
        assert (alone[0][0].tolist(), alone[1][0].tolist()) == (values[row].tolist(), gradients[row].tolist())
    assert stack.values(np.zeros((0, 1, 2)), np.zeros(0, dtype=np.int64)).shape == (0, 1)


@pytest.mark.parametrize(
    "other",
    [
        Family(score_range=(0.0, 2.0)),
        Family(has_gradient=False),
        CallableFunction(SemanticSpace.of("azimuth"), lambda t: t[:, 0] * 0, gradients=lambda t: t * 0),
    ],
)
def test_functions_that_do_not_belong_together_make_no_stack(other: ScoreFunction) -> None:
    with pytest.raises(InvalidParameterError, match="one space, one score range"):
        Stack([Family(), other])
    with pytest.raises(InvalidParameterError):
        Stack([])


def test_fingerprints_follow_their_members() -> None:
    prints = [{"mesh": "a"}, {"mesh": "b"}, {"mesh": "c"}]
    family = Family(fingerprints=prints)
    prints[0]["mesh"] = "changed"
    assert [dict(p) for p in Stack([Complement(family), Family()]).fingerprints] == [
        {"mesh": "a"},
        {"mesh": "b"},
        {"mesh": "c"},
        {},
        {},
        {},
    ]
    with pytest.raises(InvalidParameterError, match="1 fingerprints for 3 members"):
        Family(fingerprints=[{}])


@pytest.mark.parametrize(
    ("names", "score_range"), [((), (0.0, 1.0)), (("a",), (1.0, 1.0)), (("a",), (1.0, 0.0)), (("a",), (0.0, math.nan))]
)
def test_a_function_needs_a_member_and_a_range(names: tuple[str, ...], score_range: tuple[float, float]) -> None:
    with pytest.raises(InvalidParameterError, match=r"give (at least 1|a finite low < high)"):
        Family(names, score_range=score_range)


def test_a_plain_callable_is_asked_for_flat_points() -> None:
    seen: list[tuple[int, ...]] = []

    def scores(theta: FloatArray) -> FloatArray:
        seen.append(theta.shape)
        return np.asarray(theta[:, 0] / 360)

    theta = points(3, 5)
    assert CallableFunction(BOTH, scores).values(theta).tolist() == (theta[:, :, 0] / 360).tolist()
    assert seen == [(15, 2)]
    with pytest.raises(ShapeMismatchError, match="to 15 points"):
        CallableFunction(BOTH, lambda t: t).values(theta)
    assert CallableFunction(BOTH, lambda t: [0.5] * len(t), name="mine").id == "mine"


@pytest.mark.parametrize("function_id", SYNTHETIC)
def test_the_answer_to_a_point_does_not_depend_on_the_batch_around_it(function_id: str) -> None:
    function = make_function(function_id)
    theta = function.space.sample(60, np.random.default_rng(1)).reshape(6, 10, -1)
    member = np.arange(6) % function.members
    values = function.values(theta, member)
    for row, column in itertools.product(range(6), range(0, 10, 3)):
        alone = function.values(theta[row : row + 1, column : column + 1], member[row : row + 1])
        assert alone[0, 0] == values[row, column]


FROZEN = "frozen(elevation=30.0, synthetic:plateau?n=2&seed=0)"


def test_a_frozen_function_is_the_function_at_that_value() -> None:
    whole = make_function("synthetic:hill?n=3&seed=1")
    for at, value in enumerate((200.0, 12.5, 0.25)):
        frozen = Frozen(whole, whole.space.names[at], value)
        assert frozen.space.parameters == whole.space.parameters[:at] + whole.space.parameters[at + 1 :]
        theta = frozen.space.from_unit(np.random.default_rng(at).random((4, 3, 2)))
        full = np.stack(
            [*np.moveaxis(theta[..., :at], -1, 0), np.full((4, 3), value), *np.moveaxis(theta[..., at:], -1, 0)],
            axis=-1,
        )
        assert np.array_equal(frozen.values(theta), whole.values(full))
        values, gradients = frozen.values_and_gradients(theta)
        expected = whole.values_and_gradients(full)
        assert np.array_equal(values, expected[0])
        assert np.array_equal(gradients, np.delete(expected[1], at, axis=-1))


@pytest.mark.parametrize(
    "function_id",
    [
        FROZEN,
        f"complement({FROZEN})",
        f"{FROZEN} + frozen(elevation=-2.5, synthetic:plateau?n=2&seed=1)",
        "frozen(azimuth=10.0, frozen(x2=0.5, synthetic:plateau?n=3&seed=0))",
        "frozen(azimuth=10.0, complement(synthetic:plateau?n=2&seed=0))",
        "frozen(azimuth=10.0, synthetic:plateau?n=2&seed=0 + synthetic:plateau?n=2&seed=1)",
    ],
)
def test_the_id_of_a_frozen_function_makes_it_again(function_id: str) -> None:
    function = make_function(function_id)
    assert function.id == function_id
    theta = function.space.from_unit(np.full((1, 4, function.space.n), np.linspace(0.1, 0.9, 4)[:, None]))
    for member, name in enumerate(function.member_ids):
        assert np.array_equal(make_function(name).values(theta), function.values(theta, [member]))


def test_shorter_ids_of_frozen_functions_are_written_out() -> None:
    assert make_function("frozen(elevation=30,synthetic:plateau)").id == FROZEN


@pytest.mark.parametrize(
    ("function_id", "error"),
    [
        ("frozen(elevation=high, synthetic:plateau)", InvalidParameterError),
        ("frozen(elevation, synthetic:plateau)", InvalidParameterError),
        ("frozen(elevation=30)", UnknownNameError),
        ("frozen(distance=2, synthetic:plateau)", UnknownNameError),
        ("frozen(elevation=91, synthetic:plateau)", OutOfSpaceError),
        ("frozen(azimuth=360, synthetic:plateau)", OutOfSpaceError),
        ("frozen(elevation=nan, synthetic:plateau)", OutOfSpaceError),
        ("frozen(azimuth=10, synthetic:plateau?n=1)", InvalidParameterError),
    ],
)
def test_what_cannot_be_frozen_is_refused(function_id: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        make_function(function_id)


def test_a_frozen_family_keeps_its_members_and_facts() -> None:
    family = Family(score_range=(0.0, 2.0), fingerprints=[{"hash": name} for name in "abc"])
    frozen = Frozen(family, "azimuth", 90.0)
    assert frozen.member_ids == tuple(f"frozen(azimuth=90.0, test:{k})" for k in range(3))
    assert (frozen.score_range, frozen.has_gradient) == ((0.0, 2.0), True)
    assert frozen.fingerprints == family.fingerprints
    assert frozen.values([[[10.0]]], [2]) == pytest.approx(0.31)
