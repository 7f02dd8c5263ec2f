"""Lets `pytest benchmarks` find harness and floor, and pins the environment before NumPy is first imported."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness

harness.pin_environment()
