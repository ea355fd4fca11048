"""Ways to merge, one file each. A method sees the same numbers of all models at a time, in float32."""

from pochade.operations.methods.add_difference import add_difference
from pochade.operations.methods.method import Method
from pochade.operations.methods.sigmoid import sigmoid
from pochade.operations.methods.slerp import slerp
from pochade.operations.methods.weighted_sum import weighted_sum

__all__ = ["METHODS", "Method"]

METHODS: dict[str, Method] = {each.name: each for each in (weighted_sum, add_difference, sigmoid, slerp)}
"""By name, in the order in which help lists them."""
