"""The live score function: meshes, cameras, renderers, classifiers, and the SceneFunction that joins them."""
