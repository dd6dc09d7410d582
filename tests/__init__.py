"""Tests of the four packages: a package, so that one called tests that others install does not hide it."""
