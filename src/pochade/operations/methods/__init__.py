"""Ways to merge, one file each. A method goes over the same numbers of all models, in float32, block by block."""

from pochade.operations.methods.add_difference import add_difference
from pochade.operations.methods.cosine import cosine_a, cosine_b
from pochade.operations.methods.dare import dare
from pochade.operations.methods.della import della
from pochade.operations.methods.geometric_median import geometric_median
from pochade.operations.methods.method import Method, Stack
from pochade.operations.methods.model_stock import model_stock
from pochade.operations.methods.sigmoid import sigmoid
from pochade.operations.methods.slerp import slerp
from pochade.operations.methods.ties import ties
from pochade.operations.methods.train_difference import train_difference
from pochade.operations.methods.weighted_sum import weighted_sum

__all__ = ["METHODS", "Method", "Stack"]

METHODS: dict[str, Method] = {
    each.name: each
    for each in (
        weighted_sum,
        sigmoid,
        slerp,
        cosine_a,
        cosine_b,
        add_difference,
        train_difference,
        ties,
        dare,
        della,
        geometric_median,
        model_stock,
    )
}
"""By name, in the order in which help lists them."""
