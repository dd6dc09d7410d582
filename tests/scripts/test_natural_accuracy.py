"""natural_accuracy on folders that are made here: layouts and their traps, what is kept, SRVR beside it, refusals."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from torchvision.models import ResNet18_Weights
from torchvision.transforms.functional import center_crop, resize

from baselines.commands import natural_accuracy as command
from baselines.commands import srvr_table
from baselines.commands.program import BAD_INPUT, run_command
from baselines.experiments import natural as experiment
from baselines.experiments.answers import KeptAnswers
from baselines.experiments.natural import photo_answers
from semrob_env.errors import InvalidParameterError, MissingExtraError
from semrob_env.recorded import save_maps
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.names import PAPER_NETWORKS
from semrob_env.scene.classifiers.natural_accuracy import networks_with_natural_accuracy, published_natural_accuracy
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.scene.natural import PhotoSet, listed_classes, wordnet_indices
from semrob_env.scene.photo import plain_image
from semrob_env.scene.pictures import read_picture
from semrob_env.tables.natural import read_srvr
from semrob_env.types import Float32Array
from tests.recorded_maker import wavy_maps

pytest.importorskip("timm")

STINGRAY, GOLDFINCH = "n01498041", "n01531178"  # 6 and 11, the first two classes of ImageNet-A
GOLDFISH = "n01443537"  # 1, in ImageNet-R and not in ImageNet-A
SIZE, HIGH = 16, 0.9


class Reader:
    """A network that reads the class out of a gray photograph, its shade in steps of 1/100, and counts its photos."""

    def __init__(self) -> None:
        self.photos = 0

    def __call__(self, images: Float32Array) -> Float32Array:
        self.photos += len(images)
        shade = np.rint(100 * images.mean(axis=(1, 2, 3), dtype=np.float64)).astype(int)
        found = np.full((len(images), 1000), 1e-6, dtype=np.float32)
        found[np.arange(len(images)), shade] = HIGH - 0.004 * shade
        found[:, 999] = 0.05
        return found


@pytest.fixture
def reader() -> Iterator[Reader]:
    own = Reader()
    register_network("reader", lambda unnormalized, size: BlackBoxClassifier(own, size=size or SIZE, name="reader"))
    forget_networks()
    yield own
    del NETWORKS["reader"]
    forget_networks()


def photos(folder: Path, classes: dict[str, list[int]]) -> str:
    """A folder a class, with gray photographs that the network reads as these classes."""
    for name, shades in classes.items():
        (folder / name).mkdir(parents=True)
        for place, shade in enumerate(shades):
            gray = round(2.55 * shade)
            Image.new("RGB", (24 + place, 20), (gray, gray, gray)).save(folder / name / f"{place}.png")
    return str(folder)


def run(*arguments: str, out: Path) -> int:
    return run_command(command.main, [*arguments, "--networks", "reader", "--out", str(out)])


def rows_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "natural.csv").read_text().splitlines()))


def test_the_lists_are_those_of_the_benchmarks() -> None:
    adversarial, renditions = listed_classes("imagenet_a"), listed_classes("imagenet_r")
    assert len(adversarial) == len(renditions) == 200
    indices = wordnet_indices()
    assert (indices["n01440764"], indices[STINGRAY], indices["n15075141"]) == (0, 6, 999)
    assert {indices[STINGRAY], indices[GOLDFINCH]} <= set(adversarial)
    assert indices[GOLDFISH] in set(renditions) - set(adversarial)


def test_imagenet_a_is_answered_among_its_200_classes_alone(reader: Reader, tmp_path: Path) -> None:
    # 7 and 12 are outside of the 200: masked, the answer is then the first of them, 6.
    folder = photos(tmp_path / "imagenet-a", {STINGRAY: [6, 7, 12], GOLDFINCH: [11, 7]})
    assert run(folder, out=tmp_path / "out") == 0
    (row,) = rows_of(tmp_path / "out")
    assert (row["benchmark"], row["ways"], row["photos"], row["right"]) == ("a", "200", "5", "4")
    assert float(row["estimate"]) == pytest.approx(0.8)
    assert float(row["low"]) < 0.8 < float(row["high"])
    assert run(f"val={folder}", out=tmp_path / "all") == 0
    (row,) = rows_of(tmp_path / "all")
    assert (row["benchmark"], row["ways"], row["right"]) == ("val", "1000", "2")


def test_numeric_folders_are_numbers_and_not_places_in_a_sorted_list(reader: Reader, tmp_path: Path) -> None:
    folder = photos(tmp_path / "imagenetv2-matched-frequency-format-val", {str(own): [own] for own in range(12)})
    assert PhotoSet.read(folder).labels == (0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)
    assert run(folder, out=tmp_path / "out") == 0
    (row,) = rows_of(tmp_path / "out")
    assert (row["benchmark"], row["ways"], row["right"]) == ("v2", "1000", "12")


def test_imagenet_v_has_folders_by_names_of_classes(tmp_path: Path) -> None:
    folder = photos(tmp_path / "ImageNet-V", {"airliner": [1], "n02119789_kit_fox": [1], "cup": [1]})
    found = PhotoSet.read(folder)
    assert (found.benchmark.name, sorted(found.labels)) == ("v", [278, 404, 968])


def test_imagenet_o_is_an_aupr_beside_known_classes_alone(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = photos(tmp_path / "imagenet-o", {STINGRAY: [60, 70, 20]})
    usual = photos(tmp_path / "val", {STINGRAY: [6, 40], GOLDFISH: [90, 95, 99]})  # goldfish: another class
    assert run(strange, "--in-distribution", usual, out=tmp_path / "out") == 0
    (row,) = rows_of(tmp_path / "out")
    assert (row["figure"], row["photos"], row["ways"]) == ("aupr", "5", "")
    # by doubt: 70 and 60 strange, 40 usual, 20 strange, 6 usual
    assert float(row["estimate"]) == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert "by chance 60.0 %" in capsys.readouterr().out
    assert run(strange, out=tmp_path / "out") == BAD_INPUT
    assert "give --in-distribution FOLDER" in capsys.readouterr().err


def test_a_second_run_asks_only_what_is_new_and_labels_are_read_anew(reader: Reader, tmp_path: Path) -> None:
    folder = Path(photos(tmp_path / "val", {STINGRAY: [6, 8], GOLDFINCH: [11]}))
    assert run(str(folder), out=tmp_path / "out") == 0
    first, asked = (tmp_path / "out" / "natural.csv").read_bytes(), reader.photos
    assert run(str(folder), out=tmp_path / "out") == 0
    assert (reader.photos, (tmp_path / "out" / "natural.csv").read_bytes()) == (asked, first)
    photos(folder / "more", {GOLDFISH: [1]})
    (folder / "more" / GOLDFISH).rename(folder / GOLDFISH)
    (folder / STINGRAY).rename(folder / "n01440764")  # now tenches, and wrong
    (folder / "more").rmdir()
    assert run(str(folder), out=tmp_path / "out") == 0
    assert reader.photos == asked + 1
    assert rows_of(tmp_path / "out")[0]["right"] == "2"


def test_what_was_answered_before_an_end_is_not_asked_again(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "BATCH", 2)
    folder = photos(tmp_path / "val", {STINGRAY: [6, 7, 8, 9, 10]})
    whole = photo_answers(BlackBoxClassifier(Reader(), size=SIZE, name="reader"), PhotoSet.read(folder))
    kept = KeptAnswers(tmp_path / "answers.sqlite")

    def end(count: int) -> None:
        if reader.photos >= 4:
            raise KeyboardInterrupt

    own = BlackBoxClassifier(reader, size=SIZE, name="reader")
    with pytest.raises(KeyboardInterrupt):
        photo_answers(own, PhotoSet.read(folder), kept, end)
    again = photo_answers(own, PhotoSet.read(folder), kept)
    assert (again.asked, reader.photos) == (1, 5)
    np.testing.assert_array_equal(again.first, whole.first)
    np.testing.assert_array_equal(again.confidence, whole.confidence)


def test_a_photograph_that_cannot_be_read_is_left_out_and_told(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos(tmp_path / "val", {STINGRAY: [6, 7]})
    Path(folder, STINGRAY, "broken.jpg").write_bytes(b"no picture")
    assert run(folder, out=tmp_path / "out") == 0
    (row,) = rows_of(tmp_path / "out")
    assert (row["photos"], row["right"]) == ("2", "1")
    assert "1 of 3 photographs cannot be read and are left out; the first: " in capsys.readouterr().out


def test_photographs_are_prepared_as_torchvision_does_for_its_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (301, 411, 3), dtype=np.uint8))
    image.save(tmp_path / "photo.png")
    weights = ResNet18_Weights.IMAGENET1K_V1.transforms()
    wanted = center_crop(resize(image, weights.resize_size, weights.interpolation), weights.crop_size)
    found = plain_image(read_picture(tmp_path / "photo.png"), Preprocessing(224))
    np.testing.assert_allclose(found, np.asarray(wanted).transpose(2, 0, 1) / 255, atol=1e-6)


def srvr_csv(path: Path, shares: dict[str, float]) -> str:
    lines = ["network,class_name,method,estimate,low,high,feasible_estimate,feasible_low,feasible_high"]
    for network, share in shares.items():
        lines += [f"{network},cup,naive,0.9,0,1,0.9,0,1", f"{network},all,naive,0.9,0,1,0.9,0,1"]
        lines += [f"{network},all,box_quadrature,{share},nan,nan,{share},{share / 2},{min(1, 2 * share)}"]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_without_photographs_published_figures_stand_beside_srvr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = networks_with_natural_accuracy()
    table = srvr_csv(tmp_path / "srvr.csv", {name: (place + 1) / 40 for place, name in enumerate(known)})
    assert run_command(command.main, ["--srvr", table, "--out", str(tmp_path / "out")]) == 0
    rows = rows_of(tmp_path / "out")
    assert {row["benchmark"] for row in rows} == {"val", "v2", "a", "r"}
    own = next(row for row in rows if (row["network"], row["benchmark"]) == ("efficientnet_lite0", "a"))
    assert float(own["estimate"]) == pytest.approx(0.0305)
    assert float(own["srvr"]) == pytest.approx(1 / 40)
    assert "tf_efficientnet_lite0.in1k" in own["source"]
    assert not [row for row in rows if (row["network"], row["benchmark"]) == ("torchvision/resnet50", "a")]
    said = capsys.readouterr().out
    newer = [row for row in rows if row["benchmark"] == "v2"]
    tau = stats.kendalltau(*([float(row[name]) for row in newer] for name in ("srvr", "estimate"))).statistic
    assert f"ImageNetV2: Kendall's tau {tau:+.2f} over {len(known)} networks" in said
    with Image.open(tmp_path / "out" / "natural.png") as image:
        assert min(image.size) > 300


def test_measured_figures_take_the_place_of_published_ones(reader: Reader, tmp_path: Path) -> None:
    folder = photos(tmp_path / "imagenet-a", {STINGRAY: [6]})
    table = srvr_csv(tmp_path / "srvr.csv", {"reader": 0.2, "other": 0.1})
    assert run(folder, "--srvr", table, "--method", "naive", out=tmp_path / "out") == 0
    (row,) = rows_of(tmp_path / "out")
    assert (row["source"], row["srvr"], row["estimate"]) == ("measured", "0.9", "1.0")


def test_a_run_store_tells_srvr_as_its_table_does_and_unlike_questions_are_refused(tmp_path: Path) -> None:
    save_maps(wavy_maps(["ResNet50/cup/0", "Inceptionv3/cup/0"]), tmp_path / "maps.npz")
    given = [
        "--functions",
        "recorded",
        "--maps",
        str(tmp_path / "maps.npz"),
        "--methods",
        "naive",
        "--judge-points",
        "4",
    ]
    out = str(tmp_path / "srvr")
    assert run_command(srvr_table.main, [*given, "--budget", "20", "--out", out]) == 0
    stored, tabled = (read_srvr(str(tmp_path / "srvr" / name), kind="every") for name in ("runs.sqlite", "srvr.csv"))
    assert stored.by_network.keys() == tabled.by_network.keys() == {"ResNet50", "Inceptionv3"}
    for name, ends in stored.by_network.items():
        assert ends[0] == pytest.approx(tabled.by_network[name][0])
    assert run_command(srvr_table.main, [*given, "--budget", "30", "--out", out]) == 0
    with pytest.raises(InvalidParameterError, match="runs of 2 questions"):
        read_srvr(str(tmp_path / "srvr" / "runs.sqlite"))


def test_networks_that_were_asked_otherwise_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "srvr.csv").write_text(
        "network,class_name,method,runs,estimate,low,high\nfirst,all,naive,8,0.5,0,1\nother,all,naive,4,0.4,0,1\n"
    )
    assert "WARNING" in read_srvr(str(tmp_path / "srvr.csv"), kind="every").words
    with pytest.raises(InvalidParameterError, match="column feasible_estimate"):
        read_srvr(str(tmp_path / "srvr.csv"))


def test_every_spelling_of_the_paper_has_its_published_figures() -> None:
    found = {name: published_natural_accuracy(name) for name in (*PAPER_NETWORKS, "torchvision/resnet50.IMAGENET1K_V1")}
    assert [name for name, own in found.items() if own is None] == ["AlexNet"]
    assert found["torchvision/resnet50.IMAGENET1K_V1"] == found["ResNet50"]


def test_what_cannot_be_counted_is_refused_in_a_line(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tmp_path / "r1" / "imagenet-r"
    loose.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(loose / "photo.png")
    table = tmp_path / "srvr.csv"
    table.write_text("network,method\n")
    plain = photos(tmp_path / "holidays", {"0": [1]})
    for arguments, message in (
        ([plain], "its name tells no benchmark; write BENCHMARK=FOLDER with one of val, v2, a, r, o, v"),
        ([f"a={plain}"], "folder '0' is class 0, none of the 200 of ImageNet-A"),
        ([photos(tmp_path / "x" / "val", {"n99999999": [1]})], "folder 'n99999999' is no class of ImageNet-1k"),
        ([photos(tmp_path / "y" / "val", {"holiday": [1]})], "folders are named by WordNet id"),
        ([str(loose)], "photo.png lies in no folder of a class"),
        ([str(tmp_path / "imagenet-a")], "no such folder"),
        ([f"v2={plain}", f"v2={plain}"], "ImageNetV2 is given twice"),
        ([f"v2={plain}", "--in-distribution", plain], "--in-distribution is for ImageNet-O"),
        (["--srvr", str(table)], "no lines of networks over all classes"),
        (["--srvr", str(tmp_path / "nowhere.csv")], "nowhere.csv"),
        ([f"v2={plain}", "--scene", "ground=shadow"], "--scene is for rendered scenes"),
    ):
        assert run(*arguments, out=tmp_path / "out") == BAD_INPUT, arguments
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out" / "natural.csv").exists()
    assert reader.photos == 0


def test_without_timm_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wordnet_indices.cache_clear()
    monkeypatch.setattr("semrob_env.scene.natural.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install \"semrob\[networks\]\""):
        PhotoSet.read(photos(tmp_path / "imagenet-a", {STINGRAY: [1]}))
    assert PhotoSet.read(photos(tmp_path / "imagenetv2", {"7": [1]})).labels == (7,)
    wordnet_indices.cache_clear()


def test_a_dry_run_writes_nothing_and_tells_the_time(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos(tmp_path / "val", {STINGRAY: [6, 7]})
    assert run(folder, "--dry-run", out=tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "ImageNet: 2 photographs (published: 50,000) of 1 classes, 1000-way accuracy" in said
    assert "estimated time" in said
    assert not (tmp_path / "out").exists()
