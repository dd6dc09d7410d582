"""Networks of a command line: labels, weights, options, and the rows that they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from semrob_env.errors import InvalidParameterError, MissingFileError, NameClashError, SemrobError, UnknownNameError
from semrob_env.scene.classifiers.network_spec import NetworkSpec, network_specs
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.function import SceneId
from semrob_env.tables.srvr import Subject

LITE = "efficientnet_lite0"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (LITE, NetworkSpec(LITE, LITE)),
        ("ResNet-50", NetworkSpec("torchvision/resnet50", "torchvision/resnet50")),
        (f"before={LITE}@runs/a=1.pth", NetworkSpec("before", LITE, NetworkOptions("runs/a=1.pth"))),
        ("file:my model.onnx", NetworkSpec("file", "file", NetworkOptions("my model.onnx"))),
        ("mine=file:C:/a@b.onnx", NetworkSpec("mine", "file", NetworkOptions("C:/a@b.onnx"))),
        (
            "b=timm/resnet18.a1_in1k@x%2Cy%3F%25.pth?labels=l%26m.txt&score=margin&device=cuda:1",
            NetworkSpec("b", "timm/resnet18.a1_in1k", NetworkOptions("x,y?%.pth", "l&m.txt", "margin", "cuda:1")),
        ),
    ],
)
def test_a_spec_is_a_value_with_one_text(text: str, spec: NetworkSpec) -> None:
    assert NetworkSpec.parse(text) == spec
    assert NetworkSpec.parse(str(spec)) == spec
    assert str(spec) == text.replace("ResNet-50", "torchvision/resnet50")


def test_what_holds_for_all_networks_yields_to_what_one_says() -> None:
    common = NetworkOptions(score="margin", device="cuda")
    assert NetworkSpec.parse(f"{LITE}?score=top1", common).options == NetworkOptions(score="top1", device="cuda")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("lenet", UnknownNameError, "unknown network 'lenet'"),
        ("", InvalidParameterError, "no network is named"),
        (f"={LITE}", InvalidParameterError, "cannot read network '=efficientnet_lite0'; write NETWORK, LABEL=NETWORK@"),
        (f"{LITE}@", InvalidParameterError, "cannot read network"),
        ("file:", InvalidParameterError, "cannot read network"),
        (f"a&b={LITE}", InvalidParameterError, "label 'a&b' of a network: use letters"),
        (f"{LITE}?colour=red", InvalidParameterError, "cannot read option 'colour=red'"),
        (
            f"{LITE}?score=top1&score=margin",
            InvalidParameterError,
            "write each of labels, score, device, output, size, .*factory once",
        ),
        (f"{LITE}?score=best", InvalidParameterError, "score 'best': choose softmax"),
        ("a=file:no.onnx", MissingFileError, "network a=file:no.onnx: there is no file no.onnx"),
        (
            f"a={LITE},a=ResNet-50",
            NameClashError,
            "two networks are called 'a': a=efficientnet_lite0 and a=torchvision",
        ),
    ],
)
def test_a_wrong_one_is_one_clear_line(text: str, error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        network_specs([text])
    assert "\n" not in str(caught.value)


def test_two_checkpoints_of_one_network_are_two_rows(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    texts = [f"before=file:{tmp_path}/a.onnx,{LITE}", f"after=file:{tmp_path}/b.onnx", LITE]
    specs = network_specs(texts)
    assert [spec.label for spec in specs] == ["before", LITE, "after"]
    ids = [SceneId(spec.network, "cup", "procedural:0", **spec.in_ids()) for spec in specs]
    assert [SceneId.parse(str(own)) for own in ids] == ids
    assert [own.network for own in ids] == ["file", LITE, "file"]
    assert [Subject.of(str(own)).network for own in ids] == ["before", LITE, "after"]
    assert str(ids[0]).endswith("a.onnx&alias=before")
    with pytest.raises(NameClashError, match=r"two networks are called 'file': .*name each, as in before=file"):
        network_specs([f"file:{tmp_path}/a.onnx,file:{tmp_path}/b.onnx"])
    with pytest.raises(InvalidParameterError, match="label 'a b' of a network"):
        SceneId("file", "cup", "procedural:0", alias="a b")
