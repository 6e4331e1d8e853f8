"""The serial protocol of MLPerf Tiny's and EEMBC's runners, from the runner's side."""

from pytest_tinyml.links.mlperf.client import CHUNK_BYTES, Client, Greeting
from pytest_tinyml.links.mlperf.lines import Inference, nearest_outputs, one_of_labels
from pytest_tinyml.links.mlperf.performance import measure

__all__ = ["CHUNK_BYTES", "Client", "Greeting", "Inference", "measure", "nearest_outputs", "one_of_labels"]
