"""Training: one exact loop, and methods that only say what is trained and what its loss is."""

from pochade.training.loop import Method, Plan, train
from pochade.training.recipe import Recipe
from pochade.training.scratch import train_recipe

__all__ = ["Method", "Plan", "Recipe", "train", "train_recipe"]
