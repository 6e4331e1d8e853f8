"""Boards in a network: they pull from an image server on the host (firmware/HTTP.md)."""

from __future__ import annotations

from pytest_tinyml.links.http.address import address_facing
from pytest_tinyml.links.http.link import HttpLink
from pytest_tinyml.links.http.served import ServedRun
from pytest_tinyml.links.http.server import ImageServer

__all__ = ["HttpLink", "ImageServer", "ServedRun", "address_facing"]
