"""Augmented views of training images, drawn by a recipe.

A view is fixed by the image's content, the view's number and the recipe, not by a run's seed, so that its features can
be stored and shared by all runs. View 0 is the image itself.
"""

from promise_seg.augmentation.recipes import AnyView, RecipeView, view_of
from promise_seg.augmentation.views import View

__all__ = ["AnyView", "RecipeView", "View", "view_of"]
