"""Weights of networks: torchvision and timm by name, caches, files that do not fit, are cut off, or hold code."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import urllib.error
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semrob_env.errors import (
    InvalidParameterError,
    MissingExtraError,
    MissingFileError,
    NameClashError,
    RefusedFileError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.scene.classifiers.accuracy import published_accuracy
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.names import NETWORK_FAMILIES, PAPER_NETWORKS, paper_network, split_subject
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.registry import (
    NETWORKS,
    canonical_network,
    forget_networks,
    load_network,
    register_network,
)
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.classifiers.torchvision_networks import (
    _renamed,
    torchvision_module,
    torchvision_names,
    torchvision_weights,
)
from semrob_env.scene.classifiers.weights import load_weights, read_state_dict, weights_file

SMALLEST = "squeezenet1_1"
"""The torchvision network with the fewest weights: 5 MB."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    def refuse(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    forget_networks()
    yield
    forget_networks()


SMALL = Preprocessing(16)


def small(classes: int = 5) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, classes))


def make_small(classes: int | None) -> torch.nn.Module:
    return small(classes or 5)


def squeezenet_file(path: Path, classes: int = 1000) -> Path:
    torch.manual_seed(0)
    torch.save(torchvision_module(SMALLEST, classes).state_dict(), path)
    return path


class Evil:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_the_papers_spellings_and_families_have_one_name_each() -> None:
    spellings = {
        "torchvision/alexnet": ("AlexNet", "alexnet"),
        "torchvision/vgg11_bn": ("VGG", "VGG-11-BN", "vgg11_bn", "VGG11-bn"),
        "torchvision/resnet50": ("ResNet50", "ResNet-50", "resnet50"),
        "torchvision/inception_v3": ("Inceptionv3", "InceptionV3", "Inception-v3", "inception_v3"),
    }
    for name, own in spellings.items():
        assert {canonical_network(text) for text in (*own, name)} == {name}
    assert canonical_network("timm/resnet50.a1_in1k") == "timm/resnet50.a1_in1k"
    assert paper_network("vgg11") is None  # without batch norm: another network
    for wrong in ("lenet", "torchvision/", "keras/resnet50", "/resnet50"):
        with pytest.raises(UnknownNameError, match="known are efficientnet_lite0"):
            canonical_network(wrong)


def test_ids_split_where_a_family_has_its_slash() -> None:
    assert split_subject("torchvision/resnet50/cup/file:a/b.obj") == ("torchvision/resnet50", "cup", "file:a/b.obj")
    assert split_subject("net/cup/procedural:0") == ("net", "cup", "procedural:0")
    assert split_subject("torchvision/resnet50/cup") is None
    assert split_subject("net/cup") is None
    assert split_subject("complement-timm/r50/cup/0") == ("complement-timm/r50", "cup", "0")
    assert split_subject("timm//cup/0") is None
    assert split_subject("net/cup/") is None


def test_offline_without_weights_one_line_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    for name, file in (("AlexNet", "alexnet-owt-7be5be79.pth"), ("ResNet-50", "resnet50-0676ba61.pth")):
        with pytest.raises(MissingFileError) as caught:
            load_network(name)
        text = str(caught.value)
        assert "\n" not in text
        assert f"fetch https://download.pytorch.org/models/{file} (" in text
        assert f"put it at {tmp_path / 'hub' / 'checkpoints' / file}, or give --weights FILE" in text
    with pytest.raises(MissingFileError, match=r"resnet50-11ad3fa6.pth"):
        load_network("torchvision/resnet50.IMAGENET1K_V2")


def test_unknown_architectures_and_weights_list_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="unknown network 'torchvision/resnet51'; torchvision has resnet101"):
        load_network("torchvision/resnet51")
    with pytest.raises(UnknownNameError, match="unknown weights 'V9' of torchvision/resnet50; it has IMAGENET1K_V1"):
        load_network("torchvision/resnet50.V9")
    assert len(torchvision_names()) > 70
    for name in torchvision_names():
        _, weights = torchvision_weights(name)
        assert len(weights.meta["categories"]) == 1000
        assert weights.transforms().crop_size[0] >= 224


def test_a_published_accuracy_is_that_of_the_weights_in_use() -> None:
    resnet = published_accuracy("ResNet50")
    assert resnet is not None
    assert (resnet.top1, resnet.top5) == (76.13, 92.862)
    assert "ResNet50_Weights.IMAGENET1K_V1" in resnet.source
    second = published_accuracy("torchvision/resnet50.IMAGENET1K_V2")
    assert second is not None
    assert second.top1 == 80.858
    top1 = [own.top1 for own in map(published_accuracy, PAPER_NETWORKS) if own]
    assert top1 == sorted(top1)  # AlexNet, VGG, ResNet50, Inceptionv3
    lite = [published_accuracy(f"efficientnet_lite{variant}") for variant in (0, 1, 2)]
    assert [own and (own.top1, own.top5) for own in lite] == [(75.1, None), (76.7, None), (77.6, None)]
    for unknown in ("tiny", "timm/resnet50", "torchvision/resnet51", "resnet50;feed=unnormalized"):
        assert published_accuracy(unknown) is None


@pytest.mark.slow
def test_weights_are_found_in_the_cache_or_a_file_and_answer_as_torchvision_does(tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    cached.parent.mkdir(parents=True)
    squeezenet_file(cached)
    classifier = load_network(f"torchvision/{SMALLEST}")
    assert isinstance(classifier, TorchClassifier)
    assert classifier.preprocessing == Preprocessing(224)
    given = load_network(f"torchvision/{SMALLEST}", options=NetworkOptions(str(squeezenet_file(tmp_path / "own.pth"))))
    assert given.fingerprint["classifier"] == classifier.fingerprint["classifier"]
    shown = np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32)
    torch.manual_seed(0)
    module = torchvision_module(SMALLEST).eval()
    _, weights = torchvision_weights(SMALLEST)
    with torch.no_grad():
        # Pictures of the input size pass torchvision's own pipeline but for its resizing and cutting.
        pipeline = weights.transforms(resize_size=224)
        expected = torch.softmax(module(pipeline(torch.from_numpy(shown))), dim=1).numpy()
    for index in (0, 968):
        found = classifier.scores(shown, np.full(2, index))
        np.testing.assert_allclose(found, expected[:, index], atol=1e-6)
        np.testing.assert_array_equal(given.scores(shown, np.full(2, index)), found)


@pytest.mark.slow
def test_a_file_of_ten_classes_has_no_imagenet_names_until_it_gets_its_own(tmp_path: Path) -> None:
    path = squeezenet_file(tmp_path / "ten.pth", classes=10)
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["mug", "chair", *(f"thing {index}" for index in range(8))]))
    name = f"scene:torchvision/{SMALLEST}/chair/procedural:0?params=azimuth,elevation"
    with pytest.raises(UnknownNameError, match=r"class 'chair': torchvision/squeezenet1_1 has 10 classes and no names"):
        make_function(f"{name}&weights={path}")
    by_index = make_function(f"{name}&weights={path}&label=1")
    by_name = make_function(f"{name}&weights={path}&labels={labels}")
    assert by_name.id == f"{name}&weights={path}&labels={labels}"
    assert by_index.id == f"{name}&weights={path}&label=1"
    theta = by_name.space.sample(2, np.random.default_rng(0))[None]
    np.testing.assert_array_equal(by_name.values(theta), by_index.values(theta))
    with pytest.raises(InvalidParameterError, match="10 labels for torchvision/squeezenet1_1, which has 1000 classes"):
        load_network(
            f"torchvision/{SMALLEST}",
            options=NetworkOptions(str(squeezenet_file(tmp_path / "all.pth")), str(labels)),
        )


def test_weights_of_another_architecture_are_one_line() -> None:
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8, 5))
    with pytest.raises(RefusedFileError, match=r"another architecture than net: .* of another shape \(first 0.weight"):
        load_weights(make_small, other.state_dict(), "net")
    with pytest.raises(
        RefusedFileError, match=r"2 names missing \(first 2.weight\), 1 unknown \(first head\)"
    ) as caught:
        load_weights(make_small, {**small()[0:1].state_dict(), "head": torch.zeros(1)}, "net")
    assert "\n" not in str(caught.value)


def test_a_last_layer_of_another_number_of_classes_is_made_to_fit() -> None:
    given = small(3)
    loaded = load_weights(make_small, given.state_dict(), "net")
    assert loaded.state_dict()["2.weight"].shape == (3, 4)
    torch.testing.assert_close(loaded.state_dict(), given.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_prefixes_of_wrappers_are_taken_off_with_a_notice(tmp_path: Path, prefix: str) -> None:
    own = small().state_dict()
    path = tmp_path / "w.pth"
    torch.save({"epoch": 3, "state_dict": {f"{prefix}{name}": value for name, value in own.items()}}, path)
    with pytest.warns(UserWarning, match=f"took the prefix '{prefix}' off its 4 names"):
        found = read_state_dict(path)
    torch.testing.assert_close(dict(found), dict(own))


def broken_files(folder: Path) -> dict[str, bytes]:
    torch.save(small().state_dict(), folder / "whole")
    torch.save({"weight": Evil(folder / "owned")}, folder / "evil")
    torch.save([1, 2], folder / "list")
    whole, evil = (folder / "whole").read_bytes(), (folder / "evil").read_bytes()
    return {
        "cut off": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "noise": np.random.default_rng(1).bytes(4000),
        "evil": evil,
        "evil plain": pickle.dumps({"weight": Evil(folder / "owned")}, protocol=2),
        "list": (folder / "list").read_bytes(),
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut off", "is no file of weights, or is cut off; fetch or save it again"),
        ("empty", "is no file of weights, or is cut off"),
        ("text", "is no file of weights, or is cut off"),
        ("noise", "is no file of weights, or is cut off"),
        ("evil", "holds more than tensors, which could run code when loaded, so it is not read"),
        ("evil plain", "holds more than tensors, which could run code when loaded, so it is not read"),
        ("list", "holds no state dict"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_bad_file_is_one_line_and_runs_nothing(tmp_path: Path, kind: str, message: str, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors", reason="comes with timm")
        message = "is no safetensors file, or is cut off"
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(broken_files(tmp_path)[kind])
    with pytest.raises(RefusedFileError, match=message) as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


class Response:
    """What a server answers: bytes, and the length it promised."""

    def __init__(self, data: bytes, promised: int) -> None:
        self.headers = {"Content-Length": str(promised)}
        self._data = data

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *arguments: object) -> None: ...

    def read(self, size: int = -1) -> bytes:
        taken, self._data = (self._data, b"") if size < 0 else (self._data[:size], self._data[size:])
        return taken

    def readable(self) -> bool:
        return True

    def close(self) -> None: ...


def test_a_download_is_kept_whole_and_checked_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, digest = b"weights", "9a129038"
    assert hashlib.sha256(data).hexdigest().startswith(digest)
    folder = tmp_path / "hub" / "checkpoints"

    def fetched(name: str, answer: Response) -> Path:
        monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: answer)
        return weights_file("", "net", f"https://host/{name}", name)

    with pytest.raises(MissingFileError, match="the connection ended after 7 of 9 bytes"):
        fetched(f"net-{digest}.pth", Response(data, 9))
    with pytest.raises(MissingFileError, match="another file than its name says"):
        fetched(f"net-{digest}.pth", Response(b"WEIGHTS", 7))
    assert not folder.exists()
    assert fetched(f"net-{digest}.pth", Response(data, 7)).read_bytes() == data
    assert [path.name for path in folder.iterdir()] == [f"net-{digest}.pth"]
    assert fetched(f"net-{digest}.pth", Response(b"", 0)).read_bytes() == data  # from the cache


def test_old_names_in_densenet_files_are_read() -> None:
    old = {"features.denseblock1.denselayer1.norm.1.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)}
    assert list(_renamed(old)) == ["features.denseblock1.denselayer1.norm1.weight", "classifier.weight"]


def test_timm_by_name_needs_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'need timm; pip install "semrob\[networks\]"'):
        load_network("timm/resnet18")


@pytest.mark.slow
def test_a_network_of_timm_loads_with_its_own_preprocessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm", reason="an extra")
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *arguments: None)
    fetch = "https://huggingface.co/timm/mobilenetv3_small_050.lamb_in1k/resolve/main/model.safetensors"
    with pytest.raises(MissingFileError, match=f"no weights for timm/mobilenetv3_small_050.*fetch {fetch}"):
        load_network("timm/mobilenetv3_small_050")
    with pytest.raises(UnknownNameError, match=r"unknown network 'timm/mobilenetv3_small_51'; near: "):
        load_network("timm/mobilenetv3_small_51")
    torch.manual_seed(0)
    module = timm.create_model("mobilenetv3_small_050")
    path = tmp_path / "timm.pth"
    torch.save(module.state_dict(), path)
    classifier = load_network("timm/mobilenetv3_small_050", options=NetworkOptions(str(path)))
    configuration = timm.get_pretrained_cfg("mobilenetv3_small_050")
    assert classifier.preprocessing.size == configuration.input_size[1]
    assert classifier.preprocessing.mean == configuration.mean
    assert classifier.labels == 1000
    assert classifier.classes.index("cup") == 968


def test_a_registered_network_is_told_only_options_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))

    def plain(unnormalized: bool, size: int | None) -> TorchClassifier:
        return TorchClassifier(module, Preprocessing(size or 16), name="plain")

    def with_score(unnormalized: bool, size: int | None, score: Any = "softmax") -> TorchClassifier:
        return TorchClassifier(module, Preprocessing(size or 16), name="scored", score=score)

    monkeypatch.setitem(NETWORKS, "plain", plain)
    monkeypatch.setitem(NETWORKS, "scored", with_score)
    assert load_network("scored", options=NetworkOptions(score="margin")).score == "margin"
    with pytest.raises(InvalidParameterError, match="network 'plain' takes no score: leave that away"):
        load_network("plain", options=NetworkOptions(score="margin"))
    with pytest.raises(InvalidParameterError, match=r"only those of a family have a slash"):
        register_network("my/net", plain)
    for taken in ("file", "timm"):
        with pytest.raises(NameClashError, match="has another meaning in ids"):
            register_network(taken, plain)


def test_a_network_that_is_replaced_or_written_again_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def factory(seed: int) -> Callable[[bool, int | None], TorchClassifier]:
        def make(unnormalized: bool, size: int | None) -> TorchClassifier:
            torch.manual_seed(seed)
            return TorchClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(3)), SMALL, name="own")

        return make

    monkeypatch.setitem(NETWORKS, "own", factory(0))
    old = load_network("own")
    assert load_network("own") is old
    with pytest.raises(NameClashError, match="give replace=True"):
        register_network("own", factory(1))
    register_network("own", factory(1), replace=True)
    assert load_network("own").fingerprint != old.fingerprint
    options = NetworkOptions(str(squeezenet_file(tmp_path / "weights.pth", 1000)))
    before = load_network(f"torchvision/{SMALLEST}", options=options)
    assert load_network(f"torchvision/{SMALLEST}", options=options) is before
    squeezenet_file(tmp_path / "weights.pth", 4)
    assert load_network(f"torchvision/{SMALLEST}", options=options).labels == 4


def test_a_family_of_ones_own_has_networks_with_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(name: str, *, unnormalized: bool, size: int | None, options: NetworkOptions) -> TorchClassifier:
        network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, int(name)))
        return TorchClassifier(network, SMALL, name=f"zoo/{name}", score=options.score)

    monkeypatch.setitem(NETWORK_FAMILIES, "zoo", make)
    assert canonical_network("zoo/7") == "zoo/7"
    assert split_subject("zoo/7/cup/procedural:0") == ("zoo/7", "cup", "procedural:0")
    made = load_network("zoo/7", options=NetworkOptions(score="margin"))
    assert (made.labels, made.score) == (7, "margin")


def test_a_device_that_is_not_there_is_one_line() -> None:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))
    missing = ["tpu"] if torch.cuda.is_available() else ["cuda", "cuda:7", "tpu"]
    for device in missing:
        with pytest.raises(InvalidParameterError, match=f"device '{device}' cannot be used .* leave it away") as caught:
            TorchClassifier(module, Preprocessing(16), name="small", device=device)
        assert "\n" not in str(caught.value)
    with pytest.raises(InvalidParameterError, match="OpenVINO runs on the CPU here"):
        TorchClassifier(module, Preprocessing(16), name="small", device="meta", backend="openvino")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_answers_as_the_cpu_does_whatever_the_batch() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(9))
    shown = np.random.default_rng(0).random((40, 3, 24, 24), dtype=np.float32)
    classes = np.arange(40) % 9
    by_cpu = TorchClassifier(module, Preprocessing(24), name="small", backend="torch").scores(shown, classes)
    cuda = TorchClassifier(module, Preprocessing(24), name="small", device="cuda")
    values, _ = cuda.scores_and_gradients(shown, classes)
    np.testing.assert_allclose(values, by_cpu, atol=1e-5)
    assert cuda.scores(shown[7:9], classes[7:9]).tobytes() == cuda.scores(shown, classes)[7:9].tobytes()
    assert cuda.fingerprint["backend"] == "torch-cuda"


def test_weights_that_unpack_to_far_more_than_they_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(small().state_dict(), tmp_path / "plain.pth")
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name) + bytes(2**20) * name.endswith("data.pkl"))
    monkeypatch.setattr("semrob_env.scene.classifiers.weights.SMALL_BYTES", 2**16)
    with pytest.raises(RefusedFileError, match=r"bomb.pth: unpacks to \d+ bytes, 8 times its size or more"):
        read_state_dict(bomb)
    assert len(read_state_dict(tmp_path / "plain.pth")) == 4
