"""Evaluations: rates, regions and failures beside independent counts, the bill, resuming, gates, rows, the document."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import evaluate
from baselines.experiments.evaluation import Evaluation
from baselines.experiments.evaluation.values import GATES
from semrob_env import read_goal, render
from semrob_env.errors import InvalidParameterError, MissingExtraError, NameClashError, UnknownNameError
from semrob_env.files import csv_text
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from tests.baselines.evaluation_maker import HOSTILE, SMALL, Counted, network, plate, small


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return small("plate", HOSTILE)


def right(theta: np.ndarray[Any, Any], height: float = 0.05) -> np.ndarray[Any, Any]:
    """Which views are right, by pictures of our own and the plain formula."""
    return np.asarray(Counted()(render(plate(height=height), theta, size=24)).argmax(axis=1) == 1)


def test_rates_are_those_of_the_network_itself_and_intervals_hold_the_truth(found: Evaluation) -> None:
    own = found.shapes[0]
    assert own.looks.is_right.tolist() == right(own.looks.theta).tolist()
    truth = right(found.space.sample(3000, np.random.default_rng(5))).mean()
    low, high = own.looks.rate.interval()
    assert low < truth < high
    assert own.looks.probability == pytest.approx(
        network().probabilities(render(plate(), own.looks.theta, size=24))[:, 1]
    )
    assert found.rate.right == sum(shape.looks.rate.right for shape in found.shapes)


def test_certified_regions_hold_what_they_say_and_failing_ones_fail(found: Evaluation) -> None:
    for height, own in zip((0.05, 0.1), found.shapes, strict=True):
        for one in (*own.regions, *own.failing_regions):
            assert one.certified is not None
            assert one.found.contains(one.start)[0]
            views = one.certified.region.sample(1500, [np.random.default_rng(3)])[0]
            good = right(views, height).mean() if one.kind == "robust" else 1 - right(views, height).mean()
            assert good >= 0.95
            assert good >= one.certified.bound
            assert one.certified_share == pytest.approx(one.certified.region.share()[0])
            assert one.certified_share < one.share
    robust, failing = found.shapes[0].largest, found.shapes[0].largest_failing
    assert robust is not None
    assert failing is not None
    assert robust.words()[0].startswith("right in at least 9")
    assert failing.words()[0].startswith("wrong in at least 9")
    assert "elevation is what ends it first" in robust.words()[1]


def test_failures_are_wrong_unlike_each_other_and_say_what_was_predicted(found: Evaluation) -> None:
    failures = found.failures()
    assert 2 <= len(failures) <= 2 * SMALL.failures
    for one in failures:
        assert one.top[0].name == "line"
        assert not right(np.array([one.theta]))[0] or one.shape == HOSTILE
        assert one.top[0].probability > one.probability
    own = found.shapes[0].failures
    assert [one.rank for one in own] == list(range(1, len(own) + 1))
    assert own[0].score == found.shapes[0].looks.scores.min()
    looks = found.shapes[0].looks
    best = looks.theta[looks.best[0]]
    assert found.shapes[0].best.theta == tuple(best)
    turned = np.abs(looks.theta - best) / found.space.width
    turned[:, 0] = np.minimum(turned[:, 0], 1 - turned[:, 0])  # azimuth, the short way round
    own, *nearest = np.argsort(turned.max(axis=1))[:9]
    assert looks.around[own] == pytest.approx((looks.scores[own] + looks.scores[nearest].mean()) / 2)
    assert looks.around[looks.best[0]] == looks.around.max()


def test_the_bill_is_what_the_network_was_asked_and_the_same_call_asks_nothing_again(tmp_path: Path) -> None:
    told = Counted()
    first = evaluate(network(told), plate(), class_name="plate", settings=SMALL, folder=tmp_path)
    probe = 1
    assert sum(first.bill.values()) + probe == told.pictures
    assert set(first.bill) == set(SMALL.most_queries(first.space))
    assert all(first.bill[name] <= most for name, most in SMALL.most_queries(first.space).items())
    again = Counted()
    second = evaluate(network(again), plate(), class_name="plate", settings=SMALL, folder=tmp_path)
    assert again.pictures == probe
    assert {**second.to_json(), "created": ""} == {**first.to_json(), "created": ""}


def test_other_settings_ask_only_what_is_new(tmp_path: Path) -> None:
    evaluate(network(), plate(), class_name="plate", settings=SMALL, folder=tmp_path)
    told = Counted()
    more = replace(SMALL, starts=2)
    found = evaluate(network(told), plate(), class_name="plate", settings=more, folder=tmp_path)
    assert len(found.shapes[0].regions) == 2
    assert told.pictures - 1 == sum(found.shapes[0].regions[1].bill.values())


def test_figures_are_lower_ends_and_shares_of_all_and_of_the_worst(found: Evaluation) -> None:
    lows = [own.looks.rate.interval()[0] for own in found.shapes]
    shares = [own.certified_share for own in found.shapes]
    assert found.figure("certified_worst_top1") == min(lows)
    assert min(lows) < found.figure("certified_top1") < found.rate.share
    assert found.figure("certified_region") == pytest.approx(sum(shares) / 2)
    assert found.figure("certified_worst_region") == min(shares)
    with pytest.raises(UnknownNameError, match="certified_top1, "):
        found.figure("top1")


def test_the_document_is_of_the_schema_and_rows_are_csv(found: Evaluation) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = files("baselines.experiments.evaluation").joinpath("report.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["shapes"][1]["name"] == HOSTILE
    assert set(document["figures"]) == set(GATES)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**document, "schema": 2})
    assert len(found.rows("regions")) == len(found.regions) == 4
    assert csv_text(found.rows("failures")).startswith(
        "shape,class,rank,picture,azimuth,elevation,score,probability,predicted_1"
    )
    assert [row["top1"] for row in found.rows()] == [own.looks.rate.share for own in found.shapes]


def test_a_data_frame_needs_pandas_and_says_so(found: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *others: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return usual(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        found.to_pandas()
    monkeypatch.undo()
    pytest.importorskip("pandas")
    assert list(found.to_pandas("failures")["rank"]) == [one.rank for one in found.failures()]


def test_pictures_can_be_drawn(found: Evaluation) -> None:
    for figure in (found.plot_rates(), found.plot_failures(), found.plot_regions()):
        assert figure.axes


def test_a_network_that_is_always_right_has_no_failing_region() -> None:
    found = evaluate(network(), plate(), "azimuth,elevation[60:90]", class_name="plate", settings=SMALL)
    own = found.shapes[0]
    assert (own.failures, own.failing_regions, own.instead) == ((), (), ())
    assert own.certified_share == pytest.approx(0.9)
    assert "no failing view among 96" in own.words()
    assert found.failures() == ()
    assert found.rows("failures") == []


def test_a_softmax_from_python_is_asked_for_its_margin_so_that_right_means_one_thing(found: Evaluation) -> None:
    plain = BlackBoxClassifier(Counted(), labels=3, size=24, name="by area", categories=("line", "plate", "edge"))
    own = evaluate(plain, plate(), class_name="plate", settings=SMALL).shapes[0]
    assert own.looks.scores == pytest.approx(found.shapes[0].looks.scores)
    assert ((own.looks.scores >= 0.5) == own.looks.is_right).all()
    kept = evaluate(plain, plate(), class_name="plate", settings=SMALL, score="softmax")
    assert kept.shapes[0].looks.scores == pytest.approx(kept.shapes[0].looks.probability)
    assert kept.words()[-1].startswith(
        "a certified robust region (softmax score at least 0.5 in 95 % of the views) on "
    )


def test_a_shape_without_a_certificate_says_why_and_is_drawn() -> None:
    goal = read_goal("reliability=0.99")
    whole = evaluate(network(), plate(), class_name="plate", goal=goal, settings=replace(SMALL, certificate_points=408))
    own = whole.shapes[0]
    told = own.words()
    assert own.largest is not None
    assert any(line.startswith("robust: nothing is certified at 95 %: 408 points in each") for line in told) == (
        own.largest.certified is None
    )
    assert len(own.largest.words()) == 2
    labels = [text.get_text() for text in whole.plot_regions().legends[0].get_texts()]
    assert ("plate (not certified)" in labels) == (own.largest.certified is None)


def test_other_numbers_of_parameters_and_goals() -> None:
    line = small("plate", space="elevation").shapes[0]
    assert line.maps[0].axes == (0,)
    assert line.effect_words() == []
    many = small("plate", space="azimuth,elevation,distance").shapes[0]
    assert [one.axes for one in many.maps] == [(0, 1), (0, 2), (1, 2)]
    first = many.maps[1].looks.theta
    assert (first[:, 1] == many.best.theta[1]).all()
    mean = evaluate(network(), plate(), class_name="plate", goal=read_goal("mean=0.6"), settings=SMALL).shapes[0]
    assert mean.regions[0].words()[0].startswith("mean score at least 0.")
    assert mean.failing_regions[0].words()[0].startswith("wrong in at least ")


def test_what_cannot_be_evaluated_is_said() -> None:
    with pytest.raises(InvalidParameterError, match="its name tells no class"):
        evaluate(network(), plate())
    with pytest.raises(InvalidParameterError, match="network type: give a name, TorchClassifier"):
        evaluate(Counted, plate(), class_name="plate")  # type: ignore[arg-type]
    with pytest.raises(NameClashError, match="two shapes are called 'plate'"):
        evaluate(network(), [plate(), plate()], class_name="plate")
    with pytest.raises(InvalidParameterError, match="starts 0: give at least 1"):
        replace(SMALL, starts=0)
