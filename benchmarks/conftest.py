"""Lets `pytest benchmarks` find the floor beside it, and pins the environment before NumPy is first imported."""

import importlib.util
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# By its file: to import fastgrad would import NumPy.
_package = pathlib.Path(importlib.util.find_spec("fastgrad").origin).parent
_spec = importlib.util.spec_from_file_location("environment", _package / "bench/environment.py")
environment = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(environment)
environment.pin()
