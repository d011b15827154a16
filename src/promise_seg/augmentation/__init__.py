"""Augmented views of training images, drawn by a recipe.

A view depends on the content of the image, the number of the view and the recipe, but not on the seed of a run, so its
features can be stored and shared by all runs. View 0 is the image itself.
"""

from promise_seg.augmentation.recipes import AnyView, RecipeView, draw_view, view_of
from promise_seg.augmentation.views import View

__all__ = ["AnyView", "RecipeView", "View", "draw_view", "view_of"]
