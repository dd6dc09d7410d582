"""Times images and their derivatives, and compares them with exact areas and with differences."""

import numpy as np

from baselines.commands.check_rasterizer import CheckRasterizerOptions
from baselines.commands.shared.terminal import Console, interleaved
from semrob_env.errors import ContractError
from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import load_shape
from semrob_env.types import BoolArray, Float32Array

PARAMETERS = ("azimuth", "elevation")


def run(options: CheckRasterizerOptions, console: Console) -> None:
    """Print one line per mesh and the medians; an error if the same scene gave different bytes in another batch."""
    plain = Rasterizer(options.size, threads=options.threads)
    smooth = Rasterizer(options.size, options.supersample, options.blur, options.threads)
    console.print(f"{'mesh':34}{'faces':>7}{'ms':>7}{'x deriv':>9}{'error':>7}{'outline':>9}{'no AA':>7}{'cosine':>8}")
    plain.warm_up()
    lines, invariant = [], True
    for shape in options.selected():
        mesh = load_shape(shape.class_name or "", shape.source, options.colors, shape.pose, options.shading)
        views = scenes(options.views, options.seed)
        seconds, slower = speed(plain, mesh, options.repeats)
        error, outline, samples = errors(plain, mesh, views)
        agreement = cosine(smooth, mesh, views, options.step)
        line = (len(mesh.faces), 1000 * seconds, slower, error, outline, samples, agreement)
        lines.append(line)
        invariant &= batch_invariant(plain, mesh)
        console.print(row(shape.name, line))
    console.print(row("median", tuple(np.median(lines, axis=0))))
    if not invariant:
        raise ContractError("a scene has different bytes in another batch; a kernel depends on its neighbors")
    console.print("a scene has the same bytes alone, in a batch of 7, of 64, and in reverse order")


def row(name: str, line: tuple[float, ...]) -> str:
    return (
        f"{name[:33]:34}{line[0]:7.0f}{line[1]:7.2f}{line[2]:9.2f}"
        f"{line[3]:7.2f}{line[4]:9.2f}{line[5]:7.2f}{line[6]:8.3f}"
    )


def scenes(count: int, seed: int = 0) -> Scenes:
    random = np.random.default_rng(seed)
    return Scenes(random.uniform(0, 360, count), random.uniform(-10, 90, count))


def speed(renderer: Rasterizer, mesh: Mesh, repeats: int) -> tuple[float, float]:
    """Seconds a view, and how many times longer derivatives take; best of the repeats."""
    batch = scenes(32)
    steps = {
        "plain": lambda: renderer.render(mesh, batch),
        "derivatives": lambda: renderer.render_with_derivatives(mesh, batch, PARAMETERS),
    }
    plain, derivatives = (min(taken) for taken in interleaved(steps, repeats).values())
    return plain / len(batch), derivatives / plain


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
    batch = scenes(64)
    images = renderer.render(mesh, batch)
    orders = ([3], list(range(7)), list(range(63, -1, -1)))
    return all(
        renderer.render(mesh, Scenes(batch.azimuth_deg[order], batch.elevation_deg[order])).tobytes()
        == images[order].tobytes()
        for order in orders
    )
