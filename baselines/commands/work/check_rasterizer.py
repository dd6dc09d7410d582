"""Measure the rasteriser: speed, error of its pictures and of their derivatives, and batch invariance.

Examples:
  python scripts/check_rasterizer.py                        the procedural shapes
  python scripts/check_rasterizer.py models/*.obj           meshes of yours

Columns, per mesh:
  ms            milliseconds a view in a batch of 32 (best of the repeats)
  x deriv       time with derivatives in azimuth and elevation, relative to without
  error         mean absolute difference, in 1/255, to a picture supersampled 8 x 8 without edge smoothing
  outline       the same over the pixels that the outline of the object passes
  no AA         error of plain samples at pixel centres, to compare with
  cosine        between derivative pictures and central differences (median over views and parameters)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from semrob_env.cli import ArgumentParser, positive, run_script

from semrob_env.errors import ContractError
from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, load_mesh, normalize
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.types import BoolArray, Float32Array

PARAMETERS = ("azimuth", "elevation")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per mesh and the medians; an error if the same scene gave different bytes in another batch."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    parser = ArgumentParser(head, tail)
    parser.add_argument("meshes", nargs="*", type=Path, help="mesh files; none: procedural shapes")
    parser.add_argument("--size", type=int, default=224, help="picture size in pixels")
    parser.add_argument("--threads", type=int, default=None, help="threads; none: all")
    parser.add_argument("--views", type=int, default=6, help="random views a mesh for error and cosine")
    parser.add_argument("--repeats", type=int, default=7, help="repeats of each timing")
    parser.add_argument("--supersample", type=int, default=2, help="supersampling for the cosine")
    parser.add_argument("--blur", type=float, default=0.7, help="blur in pixels for the cosine")
    parser.add_argument("--step", type=float, default=0.3, help="step of the central differences in degrees")
    options = parser.parse_args(arguments)
    views, repeats = positive(options.views, "--views"), positive(options.repeats, "--repeats")
    plain = Rasterizer(options.size, threads=options.threads)
    smooth = Rasterizer(options.size, options.supersample, options.blur, options.threads)
    console.print(f"{'mesh':34}{'faces':>7}{'ms':>7}{'x deriv':>9}{'error':>7}{'outline':>9}{'no AA':>7}{'cosine':>8}")
    plain.warm_up()
    lines, invariant = [], True
    for name, mesh in meshes(options.meshes):
        seconds, slower = speed(plain, mesh, repeats)
        error, outline, samples = errors(plain, mesh, scenes(views))
        agreement = cosine(smooth, mesh, scenes(views), options.step)
        line = (len(mesh.faces), 1000 * seconds, slower, error, outline, samples, agreement)
        lines.append(line)
        invariant &= batch_invariant(plain, mesh)
        console.print(row(name, line))
    console.print(row("median", tuple(np.median(lines, axis=0))))
    if not invariant:
        raise ContractError("a scene has different bytes in another batch; a kernel depends on its neighbours")
    console.print("a scene has the same bytes alone, in a batch of 7, of 64, and in reverse order")


def row(name: str, line: tuple[float, ...]) -> str:
    """One line of the table."""
    return (
        f"{name[:33]:34}{line[0]:7.0f}{line[1]:7.2f}{line[2]:9.2f}"
        f"{line[3]:7.2f}{line[4]:9.2f}{line[5]:7.2f}{line[6]:8.3f}"
    )


def meshes(paths: list[Path]) -> Iterator[tuple[str, Mesh]]:
    """Meshes to measure, with names to print."""
    for path in paths:
        folder, item = path.absolute().parts[-4:-2] if path.parent.name == "models" else path.absolute().parts[-2:]
        yield f"{folder}/{item[:12]}", normalize(load_mesh(path))
    if not paths:
        for name in sorted(SHAPES):
            yield f"{name}:0", make_shape(name, 0)


def scenes(count: int, seed: int = 0) -> Scenes:
    """Random views of the paper's space."""
    random = np.random.default_rng(seed)
    return Scenes(random.uniform(0, 360, count), random.uniform(-10, 90, count))


def speed(renderer: Rasterizer, mesh: Mesh, repeats: int) -> tuple[float, float]:
    """Seconds a view, and how many times longer derivatives take; best of the repeats."""
    batch = scenes(32)

    def best(call: Callable[[], object]) -> float:
        times = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times) / len(batch)

    plain = best(lambda: renderer.render(mesh, batch))
    return plain, best(lambda: renderer.render_with_derivatives(mesh, batch, PARAMETERS)) / plain


def errors(renderer: Rasterizer, mesh: Mesh, batch: Scenes) -> tuple[float, float, float]:
    """Mean absolute errors in 1/255: all pixels, those of the outline, and all without edge smoothing."""
    size = renderer.size
    reference = Rasterizer(size, 8, antialias=False)
    samples = Rasterizer(size, antialias=False).render(mesh, batch)
    truth = reference.render(mesh, batch)
    # The outline passes the pixels whose share of background is neither 0 nor 1: seen in full ambient light alone.
    lit = Scenes(batch.azimuth_deg, batch.elevation_deg, ambient=np.asarray(1.0), directional=np.asarray(0.0))
    coverage = reference.render(mesh, lit)[:, 0]
    outline: BoolArray = (coverage > 0.001) & (coverage < 0.999)
    difference = 255 * np.abs(renderer.render(mesh, batch) - truth).mean(axis=1)
    plain = 255 * np.abs(samples - truth)
    return float(difference.mean()), float(difference[outline].mean()), float(plain.mean())


def cosine(renderer: Rasterizer, mesh: Mesh, batch: Scenes, step: float) -> float:
    """Median cosine between derivative pictures and central differences."""
    derivatives = renderer.render_with_derivatives(mesh, batch, PARAMETERS)[1]

    def shifted(name: str, by: float) -> Float32Array:
        values = {"azimuth": batch.azimuth_deg, "elevation": batch.elevation_deg}
        return renderer.render(mesh, Scenes.from_parameters(values | {name: values[name] + by}))

    found = []
    for k, name in enumerate(PARAMETERS):
        differences = (shifted(name, step) - shifted(name, -step)) / (2 * step)
        for one, other in zip(derivatives[:, k].astype(np.float64), differences.astype(np.float64), strict=True):
            found.append((one * other).sum() / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30))
    return float(np.median(found))


def batch_invariant(renderer: Rasterizer, mesh: Mesh) -> bool:
    """Whether a scene gives the same bytes alone, in batches of 7 and 64, and in reverse order."""
    batch = scenes(64)
    pictures = renderer.render(mesh, batch)
    orders = ([3], list(range(7)), list(range(63, -1, -1)))
    return all(
        renderer.render(mesh, Scenes(batch.azimuth_deg[order], batch.elevation_deg[order])).tobytes()
        == pictures[order].tobytes()
        for order in orders
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
