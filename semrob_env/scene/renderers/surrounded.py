"""A renderer around another one: a picture or panorama behind the object, a ground below, an occluder before it.

Layers are laid over one another: background, ground, object, occluder. How much of what is behind an object shows at a
pixel is exact: drawn once before black and once before white, its pictures differ by just that, for edges and any
blur too. So every derivative is the product rule of those of the layers, exact as theirs are.

- A picture stands still behind the object, whatever the camera does.
- A panorama (equirectangular, twice as wide as high) is infinitely far away: the camera turns before it, by azimuth,
  elevation, roll and lens; distance and shifts leave it alone.
- The ground is a gray disc below the lowest point of the mesh that fades out between 1.8 and 2.9 half sides from the
  middle, with a soft shadow as of a large light straight above; or that shadow alone. It has no light of its own: those
  of the scene leave it as it is. Seen from below it is not there.
- An occluder is a rectangle of one color, or a mesh seen from its upper front right and from far away, in the default
  light. It lies in the picture, not in the room: the camera leaves it where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, final
from weakref import WeakKeyDictionary

import numpy as np
from scipy import ndimage

from semrob_env.scene.camera import BACKGROUND_COLORS, Scenes, Views, acts_on_object
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers.base import SURROUNDINGS, Renderer
from semrob_env.scene.renderers.rasterizer import Rasterizer
from semrob_env.scene.warp import ZERO, look_around, warp
from semrob_env.types import Float32Array, FloatArray

VERSION: Final = 1
"""Goes up with every change of the pixels, so that stored runs are never mixed."""

GROUNDS: Final = ("none", "plane", "shadow")
"""No ground; a gray disc with the object's shadow on it; the shadow alone."""

_REACH, _TEXELS = 3.0, 256  # of the ground: half side, and pixels of a side
_GRAY, _SHADOW, _SOFTNESS = 0.65, 0.6, 0.08  # color, darkness of the shadow, its blur in half sides
_FADES = (1.8, 2.9)
_FAR = 1000.0  # from where the shadow is taken: as good as parallel light
_OCCLUDER = MappingProxyType({"azimuth": 30.0, "elevation": 20.0, "distance": 20.0})
_LEAST_SIZE = 1e-3  # below, an occluder is not drawn

_Layer = tuple[Float32Array, Float32Array]
"""A picture of one view and its derivatives in K parameters, one axis more in front."""


@final
@dataclass(frozen=True, eq=False)
class Backdrop:
    """What is behind an object.

    Attributes:
        pictures: (P, S, S, 3) bytes, of which `background_choice` shows one; or one panorama (1, H, W, 3).
        is_panorama: Whether it is that.
        digest: Hash of what it was made of.
    """

    pictures: np.typing.NDArray[np.uint8]
    is_panorama: bool
    digest: str


@final
@dataclass(frozen=True, eq=False)
class Occluder:
    """What is before an object.

    Attributes:
        color: Of a rectangle, RGB in [0, 1].
        aspect: Its width by its height; its longer side has the size that theta sets.
        mesh: Drawn in its place, in its own colors; None: the rectangle.
    """

    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    aspect: float = 1.0
    mesh: Mesh | None = None

    @property
    def identity(self) -> str:
        """Text that enters run keys."""
        return f"rectangle:{self.color}:{self.aspect}" if self.mesh is None else f"mesh:{self.mesh.digest}"


@final
class SurroundedRenderer(Renderer):
    """A renderer whose pictures have surroundings; see the module.

    Args:
        inner: Draws the object, without a blur of its own.
        backdrop: None: the scene's background color.
        ground: One of `GROUNDS`.
        occluder: None: nothing is in front.
        blur: As that of `Rasterizer`, of the whole picture.
    """

    def __init__(
        self,
        inner: Renderer,
        *,
        backdrop: Backdrop | None = None,
        ground: str = "none",
        occluder: Occluder | None = None,
        blur: float = 0.0,
    ) -> None:
        super().__init__(inner.size)
        self._inner, self._backdrop, self._ground, self._occluder = inner, backdrop, ground, occluder
        self._blur = blur
        self._front = Rasterizer(inner.size, inner.supersample)
        is_panorama = backdrop is not None and backdrop.is_panorama
        self._scale = np.float32(1 / 255)
        self._panorama = (backdrop.pictures[0] * self._scale) if backdrop is not None and is_panorama else None

    @property
    def identity(self) -> str:
        """That of the renderer inside, and what surrounds its object."""
        backdrop = "" if self._backdrop is None else self._backdrop.digest
        occluder = "" if self._occluder is None else self._occluder.identity
        return (
            f"{self._inner.identity}&surroundings={VERSION}&background={backdrop}&ground={self._ground}"
            f"&occluder={occluder}&whole_blur={self._blur:g}"
        )

    @property
    def idle(self) -> Mapping[str, str]:
        """As `Renderer`: less what these surroundings heed, and the color of a background that is a picture."""
        heeded: set[str] = set()
        if self._backdrop is not None:
            heeded |= {"background_azimuth"} if self._backdrop.is_panorama else {"background_choice"}
        if self._occluder is not None:
            heeded |= {"occluder_x", "occluder_y", "occluder_size"}
        idle = {name: need for name, need in SURROUNDINGS.items() if name not in heeded}
        colors = BACKGROUND_COLORS if self._backdrop is not None else ()
        return idle | dict.fromkeys(colors, "a background without a picture")

    def _draw(self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        count, names = len(scenes), list(parameters)
        images = np.empty((count, 3, self.size, self.size), dtype=np.float32)
        slopes = np.empty((count, len(names), *images.shape[1:]), dtype=np.float32)
        views = Views.of(scenes, names)
        is_plain = self._backdrop is None and self._ground == "none"
        own = [k for k, name in enumerate(names) if acts_on_object(name) or (is_plain and name in BACKGROUND_COLORS)]
        black, white = self._before_two(self._inner, mesh, scenes, [names[k] for k in own], is_plain)
        fronts = self._fronts(scenes, names)
        for view in range(count):
            image, slope = np.zeros_like(images[view]), np.zeros_like(slopes[view])
            slope[own] = black[1][view]
            image[...] = black[0][view]
            if not is_plain:
                behind = self._behind(mesh, scenes, views, names, view)
                clear = np.clip(white[0][view] - black[0][view], 0, 1)
                slope += clear * behind[1]
                slope[own] += (white[1][view] - black[1][view]) * behind[0]
                image += clear * behind[0]
            if fronts is not None:
                _cover(image, slope, fronts, view)
            if self._blur:
                image, slope = self._blurred(image), self._blurred(slope)
            images[view], slopes[view] = np.clip(image, 0, 1), slope
        return images, slopes

    @staticmethod
    def _before_two(
        renderer: Renderer, mesh: Mesh, scenes: Scenes, names: Sequence[str], is_plain: bool
    ) -> tuple[_Layer, _Layer]:
        """Pictures (B, 3, S, S) and derivatives (B, len(names), 3, S, S) before black and before white."""
        if is_plain:
            drawn = renderer.render_with_derivatives(mesh, scenes, names)
            return drawn, drawn
        black, white = (replace(scenes, background=np.full(3, shade)) for shade in (0.0, 1.0))
        return (
            renderer.render_with_derivatives(mesh, black, names),
            renderer.render_with_derivatives(mesh, white, names),
        )

    def _behind(self, mesh: Mesh, scenes: Scenes, views: Views, names: Sequence[str], view: int) -> _Layer:
        """What is behind the object: background and ground."""
        shape = (3, self.size, self.size)
        image, slope = np.empty(shape, np.float32), np.zeros((len(names), *shape), np.float32)
        if self._backdrop is None:
            image[...] = scenes.background[view][:, None, None]
            for channel, name in enumerate(BACKGROUND_COLORS):
                if name in names:
                    slope[names.index(name), channel] = 1.0
        elif self._panorama is None:
            pictures = self._backdrop.pictures
            chosen = min(int(scenes.background_choice[view] * len(pictures)), len(pictures) - 1)
            image[...] = pictures[chosen].transpose(2, 0, 1) * self._scale
        else:
            matrix, tangents = self._directions(scenes, views, names, view)
            look_around(self._panorama, matrix, tangents, image, slope)
        if self._ground != "none":
            self._lay_ground(mesh, views, view, image, slope)
        return image, slope

    def _rays(self) -> FloatArray:
        """From (x, y, 1) in pixels to (right, up, 1), [-1, 1] across the picture."""
        half = self.size / 2
        return np.array([[1 / half, 0.0, -1.0], [0.0, -1 / half, 1.0], [0.0, 0.0, 1.0]])

    def _directions(
        self, scenes: Scenes, views: Views, names: Sequence[str], view: int
    ) -> tuple[FloatArray, FloatArray]:
        """From pixels to directions (right, up, ahead) of the panorama, and the derivatives."""
        inverse = np.linalg.inv(views.projection[view, :, :3])
        to_panorama = np.diag([-1.0, 1.0, 1.0])  # its middle lies at +z, and its right, seen from the front, at -x
        turn = np.deg2rad(scenes.background_azimuth_deg[view])
        cosine, sine = np.cos(turn), np.sin(turn)
        turned = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
        rays = inverse @ self._rays()
        tangents = np.zeros((len(names), 3, 3))
        for k, name in enumerate(names):
            if name == "background_azimuth":
                change = np.deg2rad(np.array([[-sine, 0, -cosine], [0, 0, 0], [cosine, 0, -sine]]))
                tangents[k] = change @ to_panorama @ rays
            else:
                tangents[k] = -turned @ to_panorama @ inverse @ views.projection_tangents[view, k, :, :3] @ rays
        return turned @ to_panorama @ rays, tangents

    def _lay_ground(self, mesh: Mesh, views: Views, view: int, image: Float32Array, slope: Float32Array) -> None:
        height = float(mesh.vertices[:, 1].min())
        projection = views.projection[view]
        eye = -np.linalg.solve(projection[:, :3], projection[:, 3])
        if eye[1] <= height + 1e-6:
            return
        onto = np.array([[1, 0, 0], [0, 0, height], [0, 1, 0], [0, 0, 1.0]])  # (x, z, 1) to (x, height, z, 1)
        per_unit = _TEXELS / (2 * _REACH)
        texels = np.array([[per_unit, 0, _TEXELS / 2], [0, per_unit, _TEXELS / 2], [0, 0, 1]])
        inverse = np.linalg.inv(projection @ onto)
        rays = inverse @ self._rays()
        tangents = -texels @ inverse @ (views.projection_tangents[view] @ onto) @ rays
        layer = np.empty((2, self.size, self.size), np.float32)
        change = np.empty((len(slope), *layer.shape), np.float32)
        texture = _ground_texture(mesh, self._ground)
        warp(texture, texels @ rays, np.ascontiguousarray(tangents), ZERO, layer, change)
        kept = 1 - layer[0]
        slope *= kept
        slope += change[:, 1:] - change[:, :1] * image
        image *= kept
        image += layer[1]

    def _fronts(self, scenes: Scenes, names: Sequence[str]) -> tuple[_Layer, _Layer] | None:
        """Of the occluder, per view: what shows through (B, 3, S, S) and its own light, both with derivatives."""
        if self._occluder is None:
            return None
        if self._occluder.mesh is None:
            return self._rectangles(scenes, names, self._occluder)
        return self._mesh_fronts(self._occluder.mesh, scenes, names)

    def _rectangles(self, scenes: Scenes, names: Sequence[str], occluder: Occluder) -> tuple[_Layer, _Layer]:
        half, count = self.size / 2, len(scenes)
        wide, high = half * min(occluder.aspect, 1.0), half * min(1 / occluder.aspect, 1.0)
        across = _covered(half * (1 + scenes.occluder_x), wide * scenes.occluder_size, self.size)
        down = _covered(half * (1 - scenes.occluder_y), high * scenes.occluder_size, self.size)
        changes = {
            "occluder_x": (half * across[1], down[0]),
            "occluder_y": (across[0], -half * down[1]),
        }
        covered = down[0][:, :, None] * across[0][:, None, :]
        slopes = np.zeros((count, len(names), self.size, self.size), np.float32)
        for k, name in enumerate(names):
            if name in changes:
                slopes[:, k] = changes[name][1][:, :, None] * changes[name][0][:, None, :]
            elif name == "occluder_size":
                slopes[:, k] = high * down[2][:, :, None] * across[0][:, None, :]
                slopes[:, k] += wide * down[0][:, :, None] * across[2][:, None, :]
        tint = np.array(occluder.color, np.float32)[:, None, None]
        clear = np.broadcast_to((1 - covered)[:, None], (count, 3, self.size, self.size)).astype(np.float32)
        each = slopes[:, :, None]
        return (clear, -np.repeat(each, 3, axis=2)), (covered[:, None].astype(np.float32) * tint, each * tint)

    def _mesh_fronts(self, mesh: Mesh, scenes: Scenes, names: Sequence[str]) -> tuple[_Layer, _Layer]:
        count, shape = len(scenes), (3, self.size, self.size)
        size = np.maximum(scenes.occluder_size, _LEAST_SIZE)
        lens = 1 / (_OCCLUDER["distance"] * size)  # tangent of half the field of view
        columns = {name: np.full(count, value) for name, value in _OCCLUDER.items()}
        columns |= {
            "shift_x": scenes.occluder_x / size,
            "shift_y": scenes.occluder_y / size,
            "field_of_view": np.rad2deg(2 * np.arctan(lens)),
        }
        own = ("shift_x", "shift_y", "field_of_view") if any(name.startswith("occluder_") for name in names) else ()
        placed = Scenes.from_parameters(columns)
        black, white = self._before_two(self._front, mesh, placed, own, is_plain=False)
        widening = -np.rad2deg(2 * lens / size / (1 + lens**2))
        chain: dict[str, tuple[FloatArray, ...]] = {
            "occluder_x": (1 / size, np.zeros(count), np.zeros(count)),
            "occluder_y": (np.zeros(count), 1 / size, np.zeros(count)),
            "occluder_size": (-scenes.occluder_x / size**2, -scenes.occluder_y / size**2, widening),
        }
        shows = scenes.occluder_size >= _LEAST_SIZE
        clear = np.where(shows[:, None, None, None], white[0] - black[0], np.float32(1))
        light = black[0] * shows[:, None, None, None]
        clear_slopes, light_slopes = np.zeros((2, count, len(names), *shape), np.float32)
        for k, name in enumerate(names):
            for change, factor in enumerate(chain.get(name, ())):
                weight = (factor * shows)[:, None, None, None].astype(np.float32)
                clear_slopes[:, k] += weight * (white[1][:, change] - black[1][:, change])
                light_slopes[:, k] += weight * black[1][:, change]
        return (clear, clear_slopes), (light, light_slopes)

    def _blurred(self, planes: Float32Array) -> Float32Array:
        done = planes
        for axis in (-1, -2):
            done = ndimage.gaussian_filter1d(done, self._blur, axis=axis, mode="nearest")
        return np.asarray(done)


def _cover(image: Float32Array, slope: Float32Array, fronts: tuple[_Layer, _Layer], view: int) -> None:
    """Lay an occluder over a picture and its derivatives, in place."""
    (clear, clear_slopes), (light, light_slopes) = fronts
    slope *= clear[view]
    slope += clear_slopes[view] * image + light_slopes[view]
    image *= clear[view]
    image += light[view]


def _covered(center: FloatArray, reach: FloatArray, size: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares (B, size) of pixels that [center - reach, center + reach] covers, and derivatives in center and reach."""
    pixels = np.arange(size)
    low, high = (center - reach)[:, None], (center + reach)[:, None]
    covered = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1)
    at_high = ((high > pixels) & (high <= pixels + 1) & (reach[:, None] > 0)).astype(np.float64)
    at_low = ((low >= pixels) & (low < pixels + 1) & (reach[:, None] > 0)).astype(np.float64)
    return covered, at_high - at_low, at_high + at_low


_TEXTURES: WeakKeyDictionary[Mesh, dict[str, Float32Array]] = WeakKeyDictionary()


def _ground_texture(mesh: Mesh, ground: str) -> Float32Array:
    """Alpha and gray times alpha (N, N, 2) of the ground of a mesh, rows along z, columns along x."""
    known = _TEXTURES.setdefault(mesh, {})
    if ground not in known:
        places = (np.arange(_TEXELS) + 0.5) / _TEXELS * 2 * _REACH - _REACH
        distance = np.hypot(places[:, None], places[None, :])
        share = np.clip((_FADES[1] - distance) / (_FADES[1] - _FADES[0]), 0, 1)
        fade = share * share * (3 - 2 * share)
        shadow = _SHADOW * _shadow(mesh)
        alpha, gray = (fade, fade * _GRAY * (1 - shadow)) if ground == "plane" else (shadow * fade, 0 * fade)
        known[ground] = np.ascontiguousarray(np.stack([alpha, gray], axis=-1), dtype=np.float32)
    return known[ground]


def _shadow(mesh: Mesh) -> FloatArray:
    """How much of a large light straight above a mesh hides from the ground (N, N), rows along z, columns along x."""
    above = {"elevation": 90.0, "distance": _FAR, "field_of_view": float(np.rad2deg(2 * np.arctan(_REACH / _FAR)))}
    columns = {name: np.array([value, value]) for name, value in above.items()}
    scenes = replace(Scenes.from_parameters(columns), background=np.array([[0.0] * 3, [1.0] * 3]))
    black, white = Rasterizer(_TEXELS).render(mesh, scenes)
    hidden = 1 - np.clip(white[0] - black[0], 0, 1).astype(np.float64)
    soft: FloatArray = ndimage.gaussian_filter(
        hidden[::-1, ::-1], _SOFTNESS * _TEXELS / (2 * _REACH)
    )  # up is +z, right -x
    return soft
