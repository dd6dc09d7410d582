"""Where shapes come from, and the text that names one: the SHAPE of `scene:NETWORK/CLASS/SHAPE`.

- `procedural:3`: object 3 of the class, made in code.
- `file:PATH`: a mesh file (.obj, .ply, .stl, .glb, .gltf).
- `folder:PATH#NAME`: a mesh below a folder, by its path there (`mugs/red.obj`), or by its folder in a ShapeNet layout:
  `chair/ID` for `chair/ID/models/model_normalized.obj`.
- `sh3f:PATH#NAME`: a piece of a Sweet Home 3D furniture library, by the end of its id: `coffee-mug`.
- `KIND:PATH#NAME` or `KIND:PATH`: of another `ShapeSource` that is registered in `SHAPE_SOURCES` or plugged in.

PATH and NAME are percent-encoded but for letters, digits and `/ : . - _`, so that `?`, `&`, `#`, spaces and brackets
of file names do not end an id. NAME may also be a title ("Coffee mug") or differ in case if only one shape fits; the
id of the function then spells it out. What a person types, `resolve_shape` and `list_shapes` take as it is: no escapes.
"""

from __future__ import annotations

from semrob_env.scene.classes import class_of as class_of
from semrob_env.scene.sources.base import ShapeInfo as ShapeInfo
from semrob_env.scene.sources.base import ShapeSource as ShapeSource
from semrob_env.scene.sources.base import pick as pick
from semrob_env.scene.sources.kinds import COLORS as COLORS
from semrob_env.scene.sources.kinds import FLAT as FLAT
from semrob_env.scene.sources.kinds import SHAPE_SOURCES as SHAPE_SOURCES
from semrob_env.scene.sources.kinds import canonical_source as canonical_source
from semrob_env.scene.sources.kinds import check_loads as check_loads
from semrob_env.scene.sources.kinds import check_pose as check_pose
from semrob_env.scene.sources.kinds import file_source as file_source
from semrob_env.scene.sources.kinds import list_shapes as list_shapes
from semrob_env.scene.sources.kinds import load_shape as load_shape
from semrob_env.scene.sources.kinds import resolve_shape as resolve_shape
from semrob_env.scene.sources.kinds import select_shapes as select_shapes
from semrob_env.scene.sources.posing import posed as posed
from semrob_env.scene.sources.texts import source_text as source_text
