"""Shards measured by actors of a Ray cluster."""

from .cluster import measure_on_cluster

__all__ = ["measure_on_cluster"]
