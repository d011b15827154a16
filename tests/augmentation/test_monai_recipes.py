"""What the recipes of MONAI's transforms promise; ``transforms`` are their parts in order."""

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Identityd, OneOf

from promise_seg.augmentation import view_of
from promise_seg.augmentation.monai_recipes import grey, light, reference
from promise_seg.vocabulary import Recipe
from tests.helpers import disc_image

SHA = "ab" * 32
MONAI_RECIPES = (Recipe.REFERENCE, Recipe.LIGHT, Recipe.GREY)
BUILDERS = {Recipe.REFERENCE: reference, Recipe.LIGHT: light, Recipe.GREY: grey}


@pytest.fixture(autouse=True)
def one_thread():
    """Small images are done sooner by one."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def smooth_image(side=64, seed=0):
    """Grey values from 60 to 200, smooth but for a little texture: what every kind of change shows on."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(side, side, 3)).astype(np.float32), (0, 0), side / 16)
    noise = (noise - noise.min()) / (noise.max() - noise.min()) + rng.uniform(-0.05, 0.05, noise.shape)
    return np.round(65 + 130 * noise.clip(0, 1)).astype(np.uint8)


def as_tensor(image):
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float()


class Mark:
    """Stands in for a choice of a recipe, and makes the image white."""

    def __call__(self, data):
        return {key: torch.full_like(value, 255) for key, value in data.items()}


def marked(part):
    """A part of a recipe in which whatever may be chosen, other than nothing, is seen at once: a slight blur of a small
    image changes no grey value, or only the last bits of floats, and those on some processors alone."""
    if not isinstance(part, OneOf):
        return part
    nothing, *choices = part.transforms
    assert isinstance(nothing, Identityd)
    return OneOf([nothing, *(Mark() for _ in choices)], weights=part.weights)


def share_changed(part, key="image", runs=600, side=32):
    """In how many of ``runs`` a part of a recipe changes an image or a mask, by more than floats are rounded."""
    given = as_tensor(smooth_image(side))
    changed = 0
    for seed in range(runs):
        part.set_random_state(seed)
        changed += bool((torch.as_tensor(part({key: given.clone()})[key]) - given).abs().max() > 1e-3)
    return changed / runs


def assert_share(part, share, runs=600):
    """Four standard errors of ``runs`` draws are allowed: chance alone goes beyond them in one part of 15,000."""
    error = math.sqrt(share * (1 - share) / runs)
    assert share_changed(marked(part), runs=runs) == pytest.approx(share, abs=4 * error), part


@pytest.mark.slow
def test_the_reference_s_recipe_changes_each_thing_as_often_as_it_says():
    brightness, crop, flip_y, flip_x, similarity, blur, degradation, dropped = reference(32).transforms
    for part in (brightness, crop, flip_y, flip_x, similarity, blur, degradation):
        assert_share(part, 0.25)
    assert_share(dropped, 0.1)
    for part in (crop, flip_y, flip_x, similarity):
        assert share_changed(part, "mask", 100) > 0.1, part
    for part in (brightness, blur, degradation, dropped):
        assert share_changed(part, "mask", 100) == 0, part


def test_choices_of_the_reference_s_blurs_and_degradations_are_equally_likely():
    *_, blur, degradation, _ = reference(32).transforms
    assert blur.weights == pytest.approx([0.75, *[0.25 / 3] * 3])
    assert degradation.weights == pytest.approx([0.75, *[0.25 / 4] * 4])


def test_the_reference_s_flips_are_independent():
    flips = Compose(reference(16).transforms[2:4])
    given = torch.arange(256.0).reshape(1, 16, 16)
    outcomes = {"none": given, "y": given.flip(1), "x": given.flip(2), "both": given.flip(1, 2)}
    counts = dict.fromkeys(outcomes, 0)
    runs = 1000
    for seed in range(runs):
        flips.set_random_state(seed)
        moved = torch.as_tensor(flips({"mask": given.clone()})["mask"])
        for name, outcome in outcomes.items():
            counts[name] += torch.equal(moved, outcome)
    shares = {name: count / runs for name, count in counts.items()}
    assert shares == pytest.approx({"none": 0.75**2, "y": 0.25 * 0.75, "x": 0.25 * 0.75, "both": 0.25**2}, abs=0.06)


def test_each_kind_of_blur_and_degradation_of_the_reference_does_its_own():
    """On a side at which the slightest of them, the Gaussian blur, is one that can be seen."""
    *_, blur, degradation, _ = reference(128).transforms
    image = as_tensor(smooth_image(128))
    results = []
    for part in (blur, degradation):
        part.set_random_state(1)
        for kind in part.transforms[1:]:
            changed = torch.as_tensor(kind({"image": image.clone()})["image"])
            assert changed.shape == image.shape
            assert np.corrcoef(changed.ravel(), image.ravel())[0, 1] > 0.75
            results.append(changed)
    assert len(results) == 7
    assert all((a - b).abs().max() > 1 for i, a in enumerate(results) for b in [image, *results[:i]])
    texture = [float((r[:, 1:] - r[:, :-1]).abs().mean()) for r in [image, *results]]
    assert max(texture[1:4]) < 0.9 * texture[0]  # blurs take texture away
    assert texture[5] > 1.1 * texture[0]  # sharpening adds


def test_filters_leave_borders_as_bright_as_they_are():
    """MONAI's see black beyond them."""
    flat = torch.full((3, 48, 48), 150.0)
    *_, blur, degradation, _ = reference(48).transforms
    sharpening, smoothing = degradation.transforms[2], blur.transforms[1]
    for part in (sharpening, smoothing, grey(48).transforms[3].transforms[1]):
        part.set_random_state(0)
        assert torch.allclose(torch.as_tensor(part({"image": flat.clone()})["image"]), flat, atol=0.01)


def test_crops_keep_95_to_105_percent_in_any_direction():
    crop = reference(64).transforms[1]
    y, x = np.mgrid[:64, :64].astype(np.float32)
    extents, middles = [], []
    for seed in range(400):
        crop.set_random_state(seed)
        moved = np.asarray(crop({"image": torch.from_numpy(np.stack([y, x]))})["image"])
        if not np.array_equal(moved[0], y):
            extents.append((moved[1][32, 50] - moved[1][32, 10]) / 40)
            middles.append(moved[:, 32, 32] - 32)
    assert 0.949 < min(extents) < 0.96 < 1.04 < max(extents) < 1.051
    assert np.abs(middles).max() < 0.025 * 64 + 0.05
    assert (np.min(middles, 0) < -1).all()
    assert (np.max(middles, 0) > 1).all()


def test_a_similarity_keeps_shapes_and_stays_within_its_bounds():
    """Angle, zoom and shift as they are found in the result: where the grid of coordinates went."""
    part = light(64).transforms[4]
    y, x = np.mgrid[:64, :64].astype(np.float32)
    angles, zooms = [], []
    for seed in range(150):
        part.set_random_state(seed)
        moved = np.asarray(part({"image": torch.from_numpy(np.stack([y, x]))})["image"])
        down, right = moved[:, 40, 32] - moved[:, 32, 32], moved[:, 32, 40] - moved[:, 32, 32]
        assert np.linalg.norm(down) == pytest.approx(np.linalg.norm(right), rel=1e-3)
        assert abs(down @ right) < 0.05
        angles.append(np.degrees(np.arctan2(right[0], right[1])))
        zooms.append(8 / np.linalg.norm(right))
    assert -15 < min(angles) < -13 < 13 < max(angles) < 15
    assert 0.9 < min(zooms) < 0.91 < 1.09 < max(zooms) < 1.1


def test_dropped_patches_are_black_and_few():
    dropped = reference(128).transforms[-1]
    image = torch.full((3, 128, 128), 200.0)
    counts = []
    for seed in range(60):
        dropped.set_random_state(seed)
        changed = torch.as_tensor(dropped({"image": image.clone()})["image"])
        counts.append(int((changed == 0).all(0).sum()))
    assert set(counts) <= {0, 6, 7, 8}
    assert max(counts) == 8


@pytest.mark.parametrize("recipe", MONAI_RECIPES)
def test_a_mask_alone_moves_as_one_beside_its_image(recipe):
    image, mask = smooth_image(48), disc_image(5, 48, 48)[1]
    moved = 0
    for number in range(1, 31):
        view = view_of(SHA, number, recipe)
        together = BUILDERS[recipe](48)
        together.set_random_state(view.seed)
        both = together({"image": as_tensor(image), "mask": torch.from_numpy(mask)[None].float()})
        alone = view.apply_to_mask(mask)
        assert np.array_equal(alone, np.asarray(both["mask"])[0] > 0.5)
        expected = np.asarray(both["image"]).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        assert np.array_equal(view.apply_to_image(image), expected)
        moved += not np.array_equal(alone, mask)
    assert moved > 10


@pytest.mark.parametrize("recipe", MONAI_RECIPES)
def test_the_mask_stays_on_what_it_outlines(recipe):
    image, mask = disc_image(1, 64, 64)
    before = image.copy()
    for number in range(1, 31):
        view = view_of(SHA, number, recipe)
        moved, moved_mask = view.apply_to_image(image), view.apply_to_mask(mask)
        assert (moved.shape, moved.dtype, moved_mask.dtype) == (image.shape, np.uint8, bool)
        brightness = moved.mean(2)
        ring = cv2.dilate(moved_mask.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~moved_mask
        assert brightness[moved_mask].mean() > brightness[ring].mean() + 30
    assert np.array_equal(image, before)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", MONAI_RECIPES)
def test_a_view_repeats_itself_whatever_the_seeds_threads_and_history(recipe):
    image, mask = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8), disc_image(2, 100, 100)[1]
    views = [view_of(SHA, number, recipe) for number in range(1, 17)]

    def seen(view):
        return np.concatenate([view.apply_to_image(image), view.apply_to_mask(mask)[..., None]], 2)

    first = [seen(view) for view in views]
    torch.set_num_threads(3)
    cv2.setNumThreads(3)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    again = [seen(view) for view in reversed(views)][::-1]
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(seen, views * 2))
    for a, b, c, d in zip(first, again, at_once, at_once[len(views) :], strict=False):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
        assert np.array_equal(a, d)
    assert len({a.tobytes() for a in first}) > len(views) / 2


def test_a_low_resolution_does_not_depend_on_the_number_of_threads():
    """To the last bit: PyTorch's bilinear zoom does, for some sizes."""
    resolution = grey(100).transforms[4]
    image = as_tensor(smooth_image(100))
    for seed in range(40):
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            resolution.set_random_state(seed)
            results.append(torch.as_tensor(resolution({"image": image.clone()})["image"]))
        assert torch.equal(*results)


def test_grey_images_stay_grey():
    image = np.repeat(smooth_image()[..., :1], 3, axis=2)
    noisy = 0
    for number in range(1, 61):
        changed = view_of(SHA, number, Recipe.GREY).apply_to_image(image)
        assert (changed == changed[..., :1]).all()
        noisy += int((changed != cv2.medianBlur(changed, 3)).mean() > 0.8)
    assert noisy > 3


@pytest.mark.slow
def test_the_grey_recipe_changes_each_thing_as_often_as_it_says_and_mirrors_nothing():
    gamma, bias, similarity, smoothing, resolution, noise = grey(32).transforms
    shares = {gamma: 0.5, bias: 0.3, similarity: 1, smoothing: 0.2, resolution: 0.2, noise: 0.3}
    for part, share in shares.items():
        assert_share(part, share)
    corner = np.zeros((32, 32), bool)
    corner[4:10, 4:10] = True
    for number in range(1, 60):
        y, x = np.nonzero(view_of(SHA, number, Recipe.GREY).apply_to_mask(corner))
        assert y.mean() < 14
        assert x.mean() < 14


def test_what_comes_from_outside_is_black_and_background():
    """White images, so that only what comes from outside is dark; a shift by 5 % at least in some of the views."""
    white, full = np.full((64, 64, 3), 255, np.uint8), np.ones((64, 64), bool)
    seen = 0
    for number in range(1, 40):
        view = view_of(SHA, number, Recipe.LIGHT)
        outside = cv2.erode((~view.apply_to_mask(full)).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        assert (view.apply_to_image(white)[outside] == 0).all()
        seen += int(outside.sum())
    assert seen > 1000
