"""Textured meshes beside VTK, which reads none of our code: outlines and colors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shading import Shading
from tests.scene.textured_maker import MESHES

vtk = pytest.importorskip("vtk", reason="VTK is not installed")

SIZE, FINER = 224, 4
VIEWS = {"azimuth": np.array([20.0, 130.0, 255.0]), "elevation": np.array([10.0, 35.0, 60.0])}
SCENES = Scenes.from_parameters({**VIEWS, "light_elevation": np.full(3, 55.0), "light_azimuth": np.full(3, 40.0)})


def by_vtk(mesh: Mesh, view: int, background: float) -> npt.NDArray[Any]:
    """A picture (3, SIZE, SIZE) of a mesh with corners of its own, a texture a group of faces."""
    from vtkmodules.util import numpy_support

    untyped: Any = numpy_support
    numpy_to_vtk, vtk_to_numpy = untyped.numpy_to_vtk, untyped.vtk_to_numpy

    surface = mesh.surface
    assert surface is not None
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(*3 * [background])
    for texture in np.unique(surface.texture_of):
        rows = np.flatnonzero(surface.texture_of == texture)
        for albedo in np.unique(np.ones((len(rows), 3)) if mesh.albedo is None else mesh.albedo[rows], axis=0):
            own = rows if mesh.albedo is None else rows[(mesh.albedo[rows] == albedo).all(axis=1)]
            data, points, cells = vtk.vtkPolyData(), vtk.vtkPoints(), vtk.vtkCellArray()
            points.SetData(numpy_to_vtk(mesh.vertices[mesh.faces[own]].reshape(-1, 3), deep=True))
            for first in range(0, 3 * len(own), 3):
                cells.InsertNextCell(3, (first, first + 1, first + 2))
            data.SetPoints(points)
            data.SetPolys(cells)
            actor, mapper = vtk.vtkActor(), vtk.vtkPolyDataMapper()
            mapper.SetInputData(data)
            actor.SetMapper(mapper)
            look = actor.GetProperty()
            look.SetColor(*map(float, albedo))
            look.SetAmbient(0.5)
            look.SetDiffuse(0.5)
            look.SetInterpolationToFlat()
            if surface.normals is not None:
                data.GetPointData().SetNormals(numpy_to_vtk(surface.normals[own].reshape(-1, 3), deep=True))
                look.SetInterpolationToPhong()
            if texture >= 0:
                assert surface.places is not None
                places = surface.places[own].reshape(-1, 2) * (1, -1) + (0, 1)
                data.GetPointData().SetTCoords(numpy_to_vtk(places, deep=True))
                pixels = surface.textures[texture].pixels[::-1, :, :3]
                image = vtk.vtkImageData()
                image.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
                image.GetPointData().SetScalars(numpy_to_vtk(pixels.reshape(-1, 3), deep=True))
                print_ = vtk.vtkTexture()
                print_.SetInputData(image)
                print_.InterpolateOn()
                print_.MipmapOn()
                print_.RepeatOn()
                actor.SetTexture(print_)
            renderer.AddActor(actor)
    a, e = np.deg2rad(VIEWS["azimuth"][view]), np.deg2rad(VIEWS["elevation"][view])
    camera = renderer.GetActiveCamera()
    camera.SetPosition(*2.732 * np.array([np.cos(e) * np.sin(a), np.sin(e), -np.cos(e) * np.cos(a)]))
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(0, 1, 0)
    camera.SetViewAngle(60)
    camera.SetClippingRange(0.1, 10)
    light = vtk.vtkLight()
    light.SetLightTypeToSceneLight()
    light.SetPosition(*SCENES.light[view] * 100)
    light.SetFocalPoint(0, 0, 0)
    renderer.AutomaticLightCreationOff()
    renderer.AddLight(light)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(FINER * SIZE, FINER * SIZE)
    window.AddRenderer(renderer)
    window.Render()
    shot = vtk.vtkWindowToImageFilter()
    shot.SetInput(window)
    shot.ReadFrontBufferOff()
    shot.Update()
    pixels = vtk_to_numpy(shot.GetOutput().GetPointData().GetScalars()).reshape(FINER * SIZE, FINER * SIZE, -1)
    window.Finalize()
    fine = pixels[::-1, :, :3].reshape(SIZE, FINER, SIZE, FINER, 3) / 255.0
    return np.asarray(fine.mean(axis=(1, 3)).transpose(2, 0, 1))


def compared(mesh: Mesh) -> tuple[list[float], list[float], npt.NDArray[Any]]:
    """For each view the agreement of outlines, the mean difference of colors away from them, and all pictures."""
    agreements, differences, pictures = [], [], []
    ours = [Rasterizer(SIZE).render(mesh, replace(SCENES, background=np.full(3, shade))) for shade in (0.0, 1.0)]
    for view in range(len(SCENES)):
        theirs = [by_vtk(mesh, view, shade) for shade in (0.0, 1.0)]
        covered = [1 - (light - dark).mean(axis=0) for dark, light in ((ours[0][view], ours[1][view]), theirs)]
        masks = [cover > 0.5 for cover in covered]
        agreements.append(float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()))
        steps = np.abs(np.stack(np.gradient(theirs[0], axis=(1, 2)))).max(axis=(0, 1)) > 20 / 255  # of print too
        inner = binary_erosion(masks[0] & masks[1], iterations=3) & ~binary_dilation(steps)
        assert inner.sum() > 0.25 * masks[0].sum()
        differences.append(float(np.abs(ours[0][view] - theirs[0])[:, inner].mean()))
        pictures.append(np.concatenate([ours[0][view], theirs[0], 4 * np.abs(ours[0][view] - theirs[0])], axis=2))
    return agreements, differences, np.concatenate(pictures, axis=1)


@pytest.mark.parametrize("normals", ["flat", "smooth"])
@pytest.mark.parametrize("name", MESHES)
def test_textured_meshes_look_as_by_vtk(tmp_path: Path, name: str, normals: str) -> None:
    mesh = Shading(normals).on(normalize(load_mesh(MESHES[name](tmp_path), surface=True)))
    agreements, differences, _ = compared(mesh)
    assert min(agreements) >= 0.99
    assert max(differences) <= 3 / 255
