"""Ids of score functions of pictures, whatever makes them: of rendered scenes and of photos."""

from __future__ import annotations

from typing import Any, Final

from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.function import SceneId
from semrob_env.scene.image_function import ImageId
from semrob_env.scene.photo import PhotoId
from semrob_env.scene.sources import ShapeInfo

IMAGE_IDS: Final[dict[str, type[ImageId]]] = {own.scheme: own for own in (SceneId, PhotoId)}
"""By scheme."""


def read_image_id(function_id: str) -> ImageId | None:
    """The parts of an id; None where its scheme is none of pictures.

    Raises:
        InvalidParameterError: It is, and cannot be read.
    """
    made_of = IMAGE_IDS.get(function_id.partition(":")[0])
    return None if made_of is None else made_of.parse(function_id)


def image_id_of(
    shape: ShapeInfo, network: NetworkSpec, *, params: str = "", feed: str = "normalized", **looks: Any
) -> ImageId:
    """The id of a shape or photo as a network sees it; looks: fields of a `SceneId`; no params: the usual ones.

    Raises:
        InvalidParameterError: As `ImageId.of`.
    """
    said = {"params": params} if params else {}
    said |= looks if shape.scheme == SceneId.scheme else {}
    return IMAGE_IDS[shape.scheme].of(shape, network, feed=feed, **said)
