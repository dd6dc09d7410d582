"""Data sets of rendered views: an ImageFolder split by shape, with the theta of every picture beside it.

    FOLDER/train/CLASS/SHAPE_000123.png    pictures, as torchvision.datasets.ImageFolder reads them
    FOLDER/val/CLASS/SHAPE_000007.png      of other shapes
    FOLDER/factors.csv                     a row a picture: class, shape, origin, theta with units, score, top answer
    FOLDER/dataset.json                    settings, versions, hashes, authors, failing regions; `complete` at the end
    FOLDER/.shapes/                        until the end: what is finished, so that the same call goes on

A side without shapes (`split=1`: all are for training) has no folder. A view *fails* where its unit score is below 0.5:
where another class is answered, by a network with the score `margin`. Failing views are drawn in failing regions, as
many in each, and asked farthest first: next is the one that is farthest from those before it (`spread_order`).

Every picture follows from the settings, the seed and its shape alone: the same bytes whatever the number of workers,
the order of shapes, or how often the work was ended and begun again. A mesh that is there twice is on one side only.

    >>> from baselines import make_dataset  # doctest: +SKIP
    >>> made = make_dataset(["cup:0", "cup:1", "chair:0", "chair:1"], "data", views=100)  # doctest: +SKIP
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, final

import numpy as np

from baselines.experiments.pool import Workers
from baselines.experiments.runner import each
from baselines.failing import BUDGET, FAILING_GOAL, failing_regions, failing_views
from semrob_env.errors import InvalidParameterError, MissingFileError, OutputError, RefusedFileError, SemrobError
from semrob_env.files import csv_text, encodable, file_digest, output_folder, read_regular, write_whole
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classes import UNTOLD
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.function import PROTOCOL, SceneFunction
from semrob_env.scene.image_function import MOST_SIZE
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import ShapeInfo, load_shape, select_shapes
from semrob_env.sequences import hashed_uniform
from semrob_env.types import Float32Array, FloatArray

KeyT = TypeVar("KeyT", bound=Hashable)

FORMAT = 1
"""Of `dataset.json`."""

SPLITS = ("train", "val")

UNIFORM, FAILING = "uniform", "failing"
"""Where views come from."""

COLUMNS = ("file", "split", "class", "shape", "origin")
"""First columns of `factors.csv`; those of theta and, with a network, of its answers follow."""

PICTURE_SIZE = 224
"""Pixels of a picture, unless told otherwise or a network has its own."""

VIEWS, MOST_VIEWS = 100, 999_999
"""Views of a shape: unless told otherwise, and at most."""

REGIONS = 4
"""Failing regions a shape, unless told otherwise."""

CHUNK = 32
"""Views that are drawn and answered at once."""

_COMPRESSION = 1
"""Of zlib: higher takes 1.7 times as long and saves nothing on pictures like these."""

_MOST_BYTES = 2**30  # of a file of finished work that is read back


def read_mix(text: str) -> float:
    """The share of views from failing regions that `uniform`, `failing` or `both:0.5` asks for.

    Raises:
        InvalidParameterError: It is none of these, or a share outside (0, 1).
    """
    if text in (UNIFORM, FAILING):
        return float(text == FAILING)
    found = re.fullmatch(r"both(?::(\d*\.?\d+))?", text)
    share = float(found.group(1) or 0.5) if found else 0.0
    if not 0 < share < 1:
        raise InvalidParameterError(f"mix {text[:40]!r}: write {UNIFORM}, {FAILING}, or both:0.5 for a half of each")
    return share


@final
@dataclass(frozen=True)
class DatasetShape:
    """A shape of a data set, and the side it is on.

    Attributes:
        info: The shape.
        class_name: Its class, for people.
        folder: Of its pictures, below that of its split.
        stem: What the names of its pictures begin with.
        split: `train` or `val`.
        digest: Of its mesh.
    """

    info: ShapeInfo
    class_name: str
    folder: str
    stem: str
    split: str
    digest: str

    def file(self, number: int) -> str:
        """Where a picture is."""
        return f"{self.split}/{self.folder}/{self.stem}_{number:06d}.png"


@final
@dataclass(frozen=True, kw_only=True)
class DatasetRecipe:
    """What rules the pictures of one shape.

    Attributes:
        space: Of the views.
        views: Views of a shape.
        failing: Share of them that come from failing regions, in [0, 1].
        classifier: Gives the network; None: there is none, and no score.
        size: Of pictures, in pixels; 0: the network's, or `PICTURE_SIZE`.
        colors: `white` or `material`.
        seed: Of all that is drawn.
        regions: Failing regions a shape.
        budget: Queries of each.

    Raises:
        InvalidParameterError: A number out of its range, or failing views without a network.
    """

    space: SemanticSpace
    views: int = VIEWS
    failing: float = 0.0
    classifier: Callable[[], Classifier] | None = None
    size: int = 0
    colors: str = "white"
    seed: int = 0
    regions: int = REGIONS
    budget: int = BUDGET

    def __post_init__(self) -> None:
        if not 1 <= self.views <= MOST_VIEWS or not 0 <= self.size <= MOST_SIZE:
            raise InvalidParameterError(
                f"{self.views} views of {self.size} pixels: give 1 to {MOST_VIEWS} views a shape, and at most "
                f"{MOST_SIZE} pixels (0: the network's own size)"
            )
        if not 0 <= self.failing <= 1:
            raise InvalidParameterError(f"a share of {self.failing} failing views: give one from 0 to 1")
        if self.failing and self.classifier is None:
            raise InvalidParameterError("views from failing regions need a network that fails: give one (--networks)")

    def key(self, shape: DatasetShape, purpose: str) -> bytes:
        """Of the random numbers of a shape."""
        return f"dataset/{self.seed}/{purpose}/{shape.class_name}/{shape.digest}".encode(errors="surrogatepass")


@final
@dataclass(frozen=True)
class Made:
    """A data set that is there.

    Attributes:
        folder: Where.
        views: Pictures of each split and class, by `split/class`.
        failing: How many of all are from failing regions.
        rate: Share of right views among the uniform ones, by split; empty without a network.
        missing: Failing views that were wanted and not found, by shape.
        left_out: Why a shape is not in it, by shape.
        drawn: Pictures that this call drew; others were there.
        seconds: Wall time of this call.
        seconds_of: Of that, what went to `draw` pictures, to `write` them, to `answer` and to `search`; of all workers.
    """

    folder: Path
    views: dict[str, int]
    failing: int
    rate: dict[str, float]
    missing: dict[str, int]
    left_out: dict[str, str]
    drawn: int
    seconds: float
    seconds_of: dict[str, float]


def make_dataset(
    shapes: Sequence[str | ShapeInfo],
    folder: str | Path,
    *,
    class_name: str = "",
    params: str | SemanticSpace = "azimuth,elevation",
    views: int = VIEWS,
    split: float = 0.8,
    mix: str = UNIFORM,
    classifier: Classifier | None = None,
    size: int = 0,
    colors: str = "white",
    seed: int = 0,
) -> Made:
    """Render views of shapes into an ImageFolder; the same call goes on where it was ended.

    Args:
        shapes: Sources as a command line takes them (`cup:3`, `mug.obj`, `meshes/`), or shapes.
        folder: Where to.
        class_name: Of all shapes; empty: what their names tell.
        params: Parameters that are drawn, or their space; others keep their default.
        views: Pictures of each shape.
        split: Share of the shapes of each class that are for training.
        mix: `uniform`, `failing` or `both:0.5`; see `read_mix`.
        classifier: Scores each picture; its failing regions are those of the mix.
        size: Of pictures, in pixels; 0: the classifier's, or 224.
        colors: `white` or `material`.
        seed: Of all that is drawn.

    Returns:
        What was made.

    Raises:
        InvalidParameterError: A number out of its range, or a class that only one side would have.
        OutputError: The folder cannot be written, or holds another data set.
        SemrobError: Shapes that cannot be found.
    """
    texts = [shape for shape in shapes if isinstance(shape, str)]
    infos = [shape for shape in shapes if not isinstance(shape, str)]
    chosen = (*(select_shapes(texts, as_class=class_name) if texts else ()), *infos)
    space = params if isinstance(params, SemanticSpace) else SemanticSpace.of(params)
    recipe = DatasetRecipe(
        space=space,
        views=views,
        failing=read_mix(mix),
        classifier=None if classifier is None else lambda: classifier,
        size=size,
        colors=colors,
        seed=seed,
    )
    return write_dataset(chosen, Path(folder), recipe, split=split)


def write_dataset(
    shapes: Sequence[ShapeInfo],
    folder: Path,
    recipe: DatasetRecipe,
    *,
    split: float = 0.8,
    workers: Workers | None = None,
    facts: dict[str, Any] | None = None,
    on_shape: Callable[[str, int], None] | None = None,
) -> Made:
    """Render views of shapes into an ImageFolder, with workers; the same call goes on where it was ended.

    Args:
        shapes: Of one class each.
        folder: Where to; nobody else writes to it, and it is made once all that can be refused is known.
        recipe: What rules the pictures.
        split: Share of the shapes of each class that are for training.
        workers: Who draws; None: this process.
        facts: What else is kept among the settings.
        on_shape: Called with the name of each shape that is finished and its number of pictures.

    Raises:
        InvalidParameterError, OutputError, WorkerError: As `make_dataset`; or workers are gone.
    """
    began = time.perf_counter()
    classifier = None if recipe.classifier is None else recipe.classifier()
    if not recipe.size:
        recipe = replace(recipe, size=PICTURE_SIZE if classifier is None else classifier.preprocessing.size)
    chosen, left_out = split_shapes(shapes, split, recipe)
    if classifier is not None:
        for name in sorted({shape.class_name for shape in chosen}):
            classifier.classes.index(name)  # what the network does not know ends here
    settings = _settings(recipe, split, chosen, classifier, facts or {})
    output_folder(folder)
    before = _keep_settings(folder, settings)
    for part in folder.glob("**/.*.part"):  # of a kill in the middle of a file
        part.unlink(missing_ok=True)
    earlier = _complete(folder, chosen, recipe.space, before)
    records: dict[int, dict[str, Any]] = {}
    for place, shape in enumerate(chosen):
        (folder / shape.split / shape.folder).mkdir(parents=True, exist_ok=True)
        record = _finished(folder, shape) or earlier.get(place)
        if record is not None:
            records[place] = record
    (folder / _KEPT).mkdir(exist_ok=True)
    spent: Counter[str] = Counter()
    open_ = [place for place in range(len(chosen)) if place not in records]
    for place in records:
        if on_shape is not None:
            on_shape(chosen[place].info.label, len(records[place]["views"]))
    call = _Draw(recipe, folder)
    own = workers or Workers()
    works = [chosen[place] for place in open_]
    drawn = 0
    for at, (record, seconds) in each(own, call, works):
        records[open_[at]] = record
        spent.update(seconds)
        drawn += len(record["views"])
        if on_shape is not None:
            on_shape(works[at].info.label, len(record["views"]))
    ordered = [records[place] for place in range(len(chosen))]
    rows = list(_rows(chosen, ordered, recipe.space))
    write_whole(folder / "factors.csv", csv_text(rows) if rows else ",".join(COLUMNS) + "\n")
    found = {"complete": True, **_found(chosen, ordered, folder), "left_out": left_out}
    write_whole(folder / "dataset.json", _json({**settings, **found}))
    shutil.rmtree(folder / _KEPT, ignore_errors=True)
    right: dict[str, list[bool]] = {}
    for row in rows if classifier is not None else ():
        if row["origin"] == UNIFORM:
            right.setdefault(str(row["split"]), []).append(float(str(row["score"])) >= 0.5)
    wanted = round(recipe.failing * recipe.views)
    counts = [sum(view["origin"] == FAILING for view in record["views"]) for record in ordered]
    return Made(
        folder,
        found["views"],
        sum(counts),
        {name: float(np.mean(each)) for name, each in right.items()},
        {shape.info.label: wanted - n for shape, n in zip(chosen, counts, strict=True) if n < wanted},
        left_out,
        drawn,
        time.perf_counter() - began,
        dict(spent),
    )


def split_shapes(
    shapes: Sequence[ShapeInfo], split: float, recipe: DatasetRecipe
) -> tuple[tuple[DatasetShape, ...], dict[str, str]]:
    """The side of every shape: of each class the share `split`, by a hash of meshes and seed, is for training.

    Returns:
        The shapes that can be loaded, and why others cannot, by their labels.

    Raises:
        InvalidParameterError: A share that is none, a shape without a class, no shape that can be loaded, or a class
            with one mesh only where both sides are wanted: ImageFolder numbers the classes of each side by itself.
    """
    if not 0 <= split <= 1:
        raise InvalidParameterError(f"split {split}: give the share of shapes for training, from 0 to 1")
    meshes, left_out = dict[ShapeInfo, Mesh](), dict[str, str]()
    for info in shapes:
        if info.class_name is None:
            raise InvalidParameterError(f"{info.label}: {UNTOLD}; give --class NAME")
        try:
            meshes[info] = load_shape(info.class_name, info.source, recipe.colors, info.pose)
        except SemrobError as error:
            left_out[info.label] = encodable(" ".join(str(error).split()))
    if not meshes:
        raise InvalidParameterError(f"none of {len(shapes)} shapes can be loaded: {next(iter(left_out.values()), '')}")
    side = dict[tuple[str, str], str]()
    for name in dict.fromkeys(str(info.class_name) for info in meshes):
        digests = {mesh.digest for info, mesh in meshes.items() if info.class_name == name}
        order = sorted(digests, key=lambda own: hashlib.sha256(f"split/{recipe.seed}/{own}".encode()).digest())
        count = round(split * len(order))
        if 0 < split < 1:
            if len(order) < 2:
                raise InvalidParameterError(
                    f"class {name} has one shape, which can be on one side only, and ImageFolder would number the "
                    "classes of both sides differently; give two, or --split 1"
                )
            count = min(max(count, 1), len(order) - 1)
        side |= {(name, own): SPLITS[place >= count] for place, own in enumerate(order)}
    folders = _unlike({name: str(name) for name in dict.fromkeys(info.class_name for info in meshes)})
    stems = _unlike({info: info.name for info in meshes})
    return tuple(
        DatasetShape(
            info,
            str(info.class_name),
            folders[info.class_name],
            stems[info],
            side[str(info.class_name), mesh.digest],
            mesh.digest,
        )
        for info, mesh in meshes.items()
    ), left_out


@final
@dataclass(frozen=True)
class _Draw:
    """Draws and writes all pictures of a shape, and keeps what is known of them."""

    recipe: DatasetRecipe
    folder: Path

    def __call__(self, shape: DatasetShape) -> tuple[dict[str, Any], dict[str, float]]:
        import numba

        spent = _Clock()
        with ThreadPoolExecutor(numba.get_num_threads()) as writers:  # zlib lets other threads work
            record = self._drawn(shape, writers, spent)
        write_whole(_kept_file(self.folder, shape), _json(record))
        return record, dict(spent)

    def _drawn(self, shape: DatasetShape, writers: ThreadPoolExecutor, spent: _Clock) -> dict[str, Any]:
        own = self.recipe
        classifier = None if own.classifier is None else own.classifier()
        mesh = load_shape(shape.class_name, shape.info.source, own.colors, shape.info.pose)
        if mesh.digest != shape.digest:
            raise OutputError(f"{shape.info.label} was written anew while its pictures were drawn; begin again")
        index, function = 0, None
        if classifier is not None:
            index = classifier.classes.index(shape.class_name)
            function = SceneFunction(classifier, [mesh], [index], own.space)
        wanted = round(own.failing * own.views)
        theta = own.space.from_unit(hashed_uniform(own.key(shape, UNIFORM), (own.views - wanted, own.space.n)))
        record: dict[str, Any] = {"shape": shape.digest, "regions": [], "queries": 0, "views": []}
        origin = [UNIFORM] * len(theta)
        if wanted and function is not None:
            with spent.on("search"):
                found = failing_regions(
                    function, [0], most=own.regions, budget=own.budget, seed=own.seed, is_spread=True
                )[0]
                views, _, asked = failing_views(
                    function, 0, found.regions, wanted, own.key(shape, FAILING), is_spread=True
                )
            bounds = zip(found.regions.lower, found.regions.upper, found.regions.share(), strict=True)
            record["regions"] = [
                {"lower": low.tolist(), "upper": high.tolist(), "share": float(share)} for low, high, share in bounds
            ]
            record["queries"] = found.queries + asked
            theta, origin = np.concatenate([theta, views]), origin + [FAILING] * len(views)
        renderer = Rasterizer(own.size)
        for first in range(0, len(theta), CHUNK):
            views = theta[first : first + CHUNK]
            with spent.on("draw"):
                images = renderer.render(mesh, _scenes(own.space, views))
            told: list[dict[str, Any]] = [{} for _ in views]
            if classifier is not None and function is not None:
                with spent.on("answer"):
                    told = _told(function, classifier, index, images, views)
            with spent.on("write"):
                paths = [self.folder / shape.file(first + place) for place in range(len(views))]
                list(writers.map(_write, paths, images))
            record["views"] += [
                {"origin": origin[first + place], "theta": point.tolist(), **told[place]}
                for place, point in enumerate(views)
            ]
        return record


@final
class _Clock(dict[str, float]):
    """Seconds that went to each kind of work."""

    def on(self, kind: str) -> _Lap:
        """Count what is done within as this kind."""
        return _Lap(self, kind)


@final
@dataclass
class _Lap:
    clock: _Clock
    kind: str
    began: float = 0.0

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.clock[self.kind] = self.clock.get(self.kind, 0.0) + time.perf_counter() - self.began


def _told(
    function: SceneFunction, classifier: Classifier, index: int, images: Float32Array, theta: FloatArray
) -> list[dict[str, Any]]:
    """Unit score and top answer of each view, as the network sees it: at its own size."""
    if images.shape[-1] != classifier.preprocessing.size:
        images = function.images(theta)
    probabilities = classifier.probabilities(images)
    native = (
        probabilities[:, index]
        if classifier.score == "softmax"
        else classifier.scores(images, np.full(len(theta), index))
    )
    top = probabilities.argmax(axis=1)
    return [
        {
            "score": float(score),
            "top": classifier.classes.name(int(best)),
            "top_probability": float(row[best]),
        }
        for score, best, row in zip(function.scale.unit(native), top, probabilities, strict=True)
    ]


def _scenes(space: SemanticSpace, theta: FloatArray) -> Scenes:
    return Scenes.from_parameters(dict(zip(space.names, theta.T, strict=True)))


def _write(path: Path, image: Float32Array) -> None:
    """An image (3, H, W) in [0, 1] as a whole PNG file."""
    from PIL import Image

    data = io.BytesIO()
    levels = (image * 255 + 0.5).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0))).save(data, "PNG", compress_level=_COMPRESSION)
    write_whole(path, data.getvalue())


_KEPT = ".shapes"


def _kept_file(folder: Path, shape: DatasetShape) -> Path:
    return folder / _KEPT / f"{shape.folder}_{shape.stem}.json"


def _finished(folder: Path, shape: DatasetShape) -> dict[str, Any] | None:
    """What is known of a shape whose pictures are all there; else None."""
    try:
        record: dict[str, Any] = json.loads(read_regular(_kept_file(folder, shape), _MOST_BYTES))
        count = len(record["views"])
        is_there = record["shape"] == shape.digest and all((folder / shape.file(k)).is_file() for k in range(count))
    except (MissingFileError, RefusedFileError, ValueError, KeyError, TypeError):
        return None  # it is made again, and gives the same
    return record if is_there else None


def _settings(
    recipe: DatasetRecipe,
    split: float,
    shapes: Sequence[DatasetShape],
    classifier: Classifier | None,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """What decides about every byte, and whom shapes are owed to."""
    own = recipe.space.parameters
    return {
        "format": FORMAT,
        "complete": False,
        "settings": {
            "params": recipe.space.spec,
            "views": recipe.views,
            "split": split,
            "failing": recipe.failing,
            "size": recipe.size,
            "colors": recipe.colors,
            "seed": recipe.seed,
            **(
                {"regions": recipe.regions, "budget": recipe.budget, "fails_in": FAILING_GOAL.reliability}
                if recipe.failing
                else {}
            ),
            **facts,
        },
        "units": {parameter.name: parameter.unit for parameter in own},
        "versions": {
            "semrob": version("semrob"),
            "renderer": Rasterizer(recipe.size).identity,
            "protocol": PROTOCOL,
        },
        "network": None if classifier is None else classifier.fingerprint,
        "shapes": [
            {
                "class": shape.class_name,
                "shape": shape.info.name,
                "source": shape.info.source,
                "split": shape.split,
                "mesh": shape.digest,
                **({"author": shape.info.author} if shape.info.author else {}),
                **({"license": shape.info.license} if shape.info.license else {}),
            }
            for shape in shapes
        ],
    }


def _complete(
    folder: Path, shapes: Sequence[DatasetShape], space: SemanticSpace, before: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    """What is known of shapes of a finished data set whose pictures are all there, by their places."""
    table = folder / "factors.csv"
    if not before.get("complete") or not table.is_file() or file_digest(table) != before.get("factors_sha256"):
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        rows = {row["file"]: row for row in csv.DictReader(lines)}
    factors, found = [factor_column(space, k) for k in range(space.n)], {}
    for place, shape in enumerate(shapes):
        files = list(itertools.takewhile(rows.__contains__, map(shape.file, itertools.count())))
        if all((folder / name).is_file() for name in files):
            found[place] = {
                "shape": shape.digest,
                "regions": before["failing_regions"].get(shape.info.label, []),
                "queries": before["search_queries_by_shape"].get(shape.info.label, 0),
                "views": [
                    {
                        "origin": rows[name]["origin"],
                        "theta": [float(rows[name][factor]) for factor in factors],
                        **{key: read(rows[name][key]) for key, read in _TOLD.items() if key in rows[name]},
                    }
                    for name in files
                ],
            }
    return found


_TOLD: dict[str, Callable[[str], object]] = {"score": float, "top": str, "top_probability": float}
"""Columns of what a network says, and what reads them."""


def _keep_settings(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Write what is to be made, unless the folder holds something else: two must not be mixed up.

    Returns:
        What was written before.

    Raises:
        OutputError: It does.
    """
    path, before = folder / "dataset.json", dict[str, Any]()
    if path.exists():
        try:
            before = json.loads(read_regular(path, _MOST_BYTES))
            kept = {name: before[name] for name in settings if name != "complete"}
        except (MissingFileError, RefusedFileError, ValueError, KeyError, TypeError):
            kept = None
        wanted = json.loads(_json({name: value for name, value in settings.items() if name != "complete"}))
        if kept != wanted:
            names = sorted(name for name in wanted if kept is None or kept[name] != wanted[name])
            raise OutputError(f"{path} is of another data set (other {', '.join(names)}); give an --out of its own")
    elif any(folder.glob("*/*/*.png")):
        raise OutputError(f"{folder} holds pictures of something else; give an --out of its own")
    write_whole(path, _json(settings))
    return before


def _rows(
    shapes: Sequence[DatasetShape], records: Sequence[dict[str, Any]], space: SemanticSpace
) -> Iterator[dict[str, object]]:
    """A row a picture, in the order of shapes."""
    for shape, record in zip(shapes, records, strict=True):
        for number, view in enumerate(record["views"]):
            told = {name: value for name, value in view.items() if name not in ("origin", "theta")}
            yield {
                "file": shape.file(number),
                "split": shape.split,
                "class": encodable(shape.class_name),
                "shape": encodable(shape.info.name),
                "origin": view["origin"],
                **{factor_column(space, k): value for k, value in enumerate(view["theta"])},
                **told,
            }


def factor_column(space: SemanticSpace, k: int) -> str:
    """The column of `factors.csv` that holds a parameter: its name and unit."""
    own = space.parameters[k]
    return f"{own.name}_{re.sub(r'[^a-z0-9]+', '_', own.unit)}" if own.unit else own.name


def _found(shapes: Sequence[DatasetShape], records: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What came of it: counts, failing regions and their bill, and the hash of the table."""
    counts: Counter[str] = Counter()
    for shape, record in zip(shapes, records, strict=True):
        counts[f"{shape.split}/{shape.class_name}"] += len(record["views"])
    return {
        "views": dict(counts),
        "failing_regions": {
            shape.info.label: record["regions"]
            for shape, record in zip(shapes, records, strict=True)
            if record["regions"]
        },
        "search_queries": sum(record["queries"] for record in records),
        "search_queries_by_shape": {
            shape.info.label: record["queries"] for shape, record in zip(shapes, records, strict=True)
        },
        "factors_sha256": file_digest(folder / "factors.csv"),
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _unlike(names: Mapping[KeyT, str]) -> dict[KeyT, str]:
    """A file name for each thing that has a name, unlike the others in any file system."""
    found, taken = dict[KeyT, str](), set[str]()
    for key, text in names.items():
        plain = re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.")[:80] or "shape"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        found[key] = name
    return found
