"""Classifiers: pictures in, scores of a class out, with or without the gradient in the picture."""
