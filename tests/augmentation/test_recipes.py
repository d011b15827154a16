import hashlib
import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest

from promise_seg.augmentation import RecipeView, View, view_of
from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureKey
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training_set import Draw, TrainingSet
from promise_seg.vocabulary import Fit, Protocol, Recipe
from tests.helpers import disc_image

SHA = "ab" * 32
MONAI_RECIPES = (Recipe.REFERENCE, Recipe.LIGHT, Recipe.GREY)


@pytest.mark.parametrize("recipe", Recipe)
def test_view_zero_is_the_image_itself(recipe):
    image, mask = disc_image(0, 64, 64)
    assert view_of(SHA, 0, recipe).apply_to_image(image) is image
    assert view_of(SHA, 0, recipe).apply_to_mask(mask) is mask
    assert view_of(SHA, 0, recipe).as_key() == {}


def test_by_none_every_view_is_the_image_itself():
    assert all(view_of(SHA, number, Recipe.NONE) == View() for number in range(20))


@pytest.mark.parametrize("recipe", [Recipe.OWN, *MONAI_RECIPES])
def test_a_view_depends_on_image_number_and_recipe_alone(recipe):
    view = view_of(SHA, 3, recipe)
    assert view == view_of(SHA, 3, recipe)
    others = [view_of(SHA, 4, recipe), view_of("cd" * 32, 3, recipe)]
    others += [view_of(SHA, 3, other) for other in Recipe if other != recipe]
    assert all(view != other and view.as_key() != other.as_key() for other in others)


def test_views_of_our_own_keep_their_keys_for_good():
    """Features stored by earlier versions, and results published with them, depend on these."""
    keys = json.dumps([view_of(SHA, number).as_key() for number in range(16)], sort_keys=True)
    digest = "18a8124fd845dd621e824557856b029085442765cc9ef43eb30e9ebd90959f71"
    assert hashlib.sha256(keys.encode()).hexdigest() == digest
    in_store = {
        0: "89b085b19dfa243ea15dd30d3100b1e2beff0084e04b251a5125eea3ae74d4af",
        3: "750a6740338e547487db78ecad300b0d34c33de8675f1318b21dda0f647b9731",
    }
    for number, digest in in_store.items():
        assert FeatureKey("00" * 32, Fit.STRETCH, 128, view_of(SHA, number), "11" * 32).digest() == digest


def test_keys_tell_recipe_version_seed_and_monai_s_version():
    view = view_of(SHA, 3, Recipe.LIGHT)
    monai = importlib.metadata.version("monai")
    assert view.as_key() == {"recipe": "light", "version": 1, "seed": 1162841105, "monai": monai}
    assert isinstance(view, RecipeView)
    changed = [RecipeView(Recipe.GREY, 1, view.seed), RecipeView(Recipe.LIGHT, 2, view.seed)]
    keys = [FeatureKey(SHA, Fit.STRETCH, 128, v, "11" * 32).digest() for v in [view, *changed]]
    assert len(set(keys)) == 3


def test_another_monai_has_other_keys_and_our_own_views_do_not_ask_for_it(monkeypatch):
    """Its transforms may draw their random numbers in another order."""

    def digests(version):
        monkeypatch.setattr("promise_seg.augmentation.recipes.monai_version", lambda: version)
        views = [view_of(SHA, 0, Recipe.GREY), view_of(SHA, 3), *(view_of(SHA, 3, recipe) for recipe in MONAI_RECIPES)]
        return [FeatureKey(SHA, Fit.STRETCH, 128, view, "11" * 32).digest() for view in views]

    before, after = digests("1.6.0"), digests("1.7.0")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, False, False]


def test_the_recipe_as_a_setting():
    assert make_settings().augmentation == Recipe.OWN
    assert make_settings(augmentation="grey").augmentation == Recipe.GREY
    assert make_settings(protocol=Protocol.REFERENCE).augmentation == Recipe.REFERENCE
    assert make_settings(protocol=Protocol.REFERENCE, augmentation="own").augmentation == Recipe.OWN
    with pytest.raises(SettingsError, match="--augmentation strong: expected own, reference, light, grey or none"):
        make_settings(augmentation="strong")


def test_a_wrong_name_ends_the_command_in_one_line(tmp_path, capsys):
    assert main(["train", "data.csv", "-o", str(tmp_path / "run"), "--augmentation", "strong"]) == 2
    words = capsys.readouterr().err.strip().splitlines()
    assert [line for line in words if "--augmentation" in line and "grey" in line] == words[-1:]
    assert not (tmp_path / "run").exists()


def test_the_command_s_help_and_our_own_views_do_without_monai():
    script = """
import sys
import numpy as np
from promise_seg.cli.main import main
from promise_seg.vocabulary import Recipe
from promise_seg.augmentation import view_of
try:
    main(["train", "--help"])
except SystemExit:
    pass
view_of("ab" * 32, 1).apply_to_image(np.zeros((8, 8, 3), np.uint8))
view_of("ab" * 32, 1, Recipe.GREY).as_key()
assert not [name for name in sys.modules if name.partition(".")[0] == "monai"]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_augmentation_new_views_are_the_stored_image(checked, tiny_sam, store):
    """The reference's protocol wants a new view in each epoch; ``none`` has no new ones to encode."""
    for recipe, stored in ((Recipe.LIGHT, 0), (Recipe.NONE, 1)):
        settings = make_settings(views=0, augmentation=recipe)
        training_set = TrainingSet(checked, tiny_sam, store, settings)
        for epoch in range(3):
            assert training_set[Draw(0, epoch + 1, (epoch,))].features is not None
        assert len(list(store.folder.rglob("*.safetensors"))) == stored


@pytest.mark.parametrize("recipe", Recipe)
def test_a_recipe_says_whether_its_views_are_mirrored(recipe):
    corners = np.zeros((64, 64), np.uint16)
    corners[22:26, 22:26], corners[22:26, 38:42], corners[38:42, 22:26] = 1, 2, 3

    def turns_left(number):
        labels = view_of(SHA, number, recipe).apply_to_labels(corners)
        first, second, third = (np.argwhere(labels == corner).mean(0) for corner in (1, 2, 3))
        return np.linalg.det([second - first, third - first]) > 0

    assert any(turns_left(number) != turns_left(0) for number in range(1, 21)) == recipe.mirrors
