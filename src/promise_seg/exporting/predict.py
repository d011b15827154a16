"""Segment images with a model that ``promise export`` wrote.

It needs numpy, Pillow and onnxruntime, and neither PyTorch nor promise-seg; copy from it what you need.

    python predict.py frame.png mask.png                    with the model's own prompts
    python predict.py frame.png mask.png --point 210 95     with a click; also --background and --box

Coordinates are (x, y) pixel indices, whole numbers being pixel centres. The image frame is the image as it is; the
model frame is the square that the encoder sees.
"""

import argparse
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageOps

Array = npt.NDArray[Any]
Features = dict[str, Array]

DARK, LEAST_SHARE = 16, 0.01  # of the black border, where the model wants it cropped
OUTSIDE_LOGIT = ABSENT_LOGIT = -20.0
LEVELS = 40  # at which the distance map is searched for peaks
MANY_POINTS = 8  # from how many on points are of another form
KERNEL_SIDE = 256  # the longer side of the image for which sizes of post-processing are given


class Prompts(NamedTuple):
    """K sets of prompts in the model frame: points (K, N, 2) with labels (K, N), and boxes (K, 0 or 1, 4)."""

    points: Array
    labels: Array
    boxes: Array


class Answer(NamedTuple):
    """A mask (H, W) bool, its probabilities (H, W) and its estimated IoU."""

    mask: Array
    mask_probs: Array
    iou: float


class Exported:
    """A model in a folder of ONNX files.

    Args:
        folder: that ``promise export`` wrote; of several classes, the folder of one of them.
        providers: of ONNX Runtime, such as ``CUDAExecutionProvider``.
    """

    def __init__(self, folder: str | Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        folder = Path(folder)
        self.about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of inputs that have a default
        self._sessions = {
            name: onnxruntime.InferenceSession(folder / graph["file"], options, providers=list(providers))
            for name, graph in self.about["graphs"].items()
        }

    def _run(self, graph: str, given: dict[str, Array]) -> dict[str, Array]:
        """Run a graph with those of the arrays that it takes."""
        session = self._sessions[graph]
        taken = {port["name"]: given[port["name"]] for port in self.about["graphs"][graph]["inputs"]
                 if port["name"] in given}  # fmt: skip
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, taken), strict=True))

    def encode(self, image: str | Path | Array) -> tuple["Frame", Features]:
        """Read an image, a file or RGB pixels (H, W, 3) uint8, and run the encoder: once for any number of prompts."""
        pixels = self.read(image)
        about = self.about["image"]
        crop = content_box(pixels) if about["reading"]["crop_border"] else None
        frame = Frame(pixels.shape[0], pixels.shape[1], about["side"], about["fit"], crop)
        features = self._run("encoder", {"image": frame.image_to_model(pixels)[None]})
        side = (self.about["prompter"] or {}).get("image_side")
        if side is not None:
            features["apm_image"] = replace(frame, side=side).image_to_model(pixels)[None]
        return frame, features

    def read(self, image: str | Path | Array) -> Array:
        """Return RGB pixels (H, W, 3) uint8 as the model wants them."""
        reading = self.about["image"]["reading"]
        pixels = image if isinstance(image, np.ndarray) else read_file(image, reading)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"{pixels.dtype} pixels of shape {pixels.shape}: give 8-bit RGB pixels, (H, W, 3) uint8")
        side = (reading.get("tiles") or {}).get("side")
        if side is not None and max(pixels.shape[:2]) > side:
            raise ValueError(
                f"{pixels.shape[1]} x {pixels.shape[0]} pixels: this model sees images in tiles of {side} px, and this "
                "program does not divide them: give tiles as images of their own, or use promise predict"
            )
        channel = reading.get("channel", "all")
        if channel != "all":
            number = ("red", "green", "blue").index(channel)
            pixels = np.repeat(pixels[..., number : number + 1], 3, 2)
        return pixels

    def predict(self, image: str | Path | Array) -> Answer:
        """Segment an image with the model's own prompts."""
        frame, features = self.encode(image)
        if self.about["prompter"] is None:
            raise ValueError("this model does not prompt itself: give it points or a box")
        found = self._run("prompter", features)
        prompts, not_asked_for = self._own_prompts(found)
        own = self.about["decoder"]["own_prompts"]
        answer = self._decode(features, prompts, own_prompts=np.array([True]))
        presence = found.get("presence_logits", answer.get("object_logits"))
        if own["second_pass"]:  # SAM sees its own masks once more
            seen = {"mask_input": answer["mask_logits"], "has_mask_input": np.array([True])}
            answer = self._decode(features, prompts, own_prompts=np.array([True]), **seen)
        logits = answer["mask_logits"]
        if "saliency_logits" in found:
            logits = with_map(logits, found["saliency_logits"], own["map_share"], not_asked_for)
        least = own["presence_threshold"]
        if least is not None and presence is not None and sigmoid(presence.max()) < least:
            logits = np.full_like(logits, ABSENT_LOGIT)
        return self._answer(frame, logits.max(0), float(answer["iou"].mean()))

    def predict_for(
        self,
        image: str | Path | Array,
        points: Sequence[Sequence[float]] = (),
        labels: Sequence[int] = (),
        box: Sequence[float] | None = None,
    ) -> Answer:
        """Segment what points (N, 2) with labels, 1 foreground and 0 background, and a box (4,) ask for: a person's.

        They are in the image frame. For many clicks on one image, run the encoder and the prompter once, and repeat the
        rest.
        """
        frame, features = self.encode(image)
        prompts = prompts_in_frame(frame, points, labels, box)
        answer = self._decode(features, prompts)
        logits = answer["mask_logits"][0]
        share = self.about["decoder"].get("given_map_shares", {}).get(form_of(prompts), 0)
        if share:
            saliency_logits = self._run("prompter", features)["saliency_logits"]
            logits = with_map_as_asked(logits, saliency_logits, prompts, share, frame.side)
        return self._answer(frame, logits, float(answer["iou"][0]))

    def _decode(self, features: Features, prompts: Prompts, **more: Array) -> dict[str, Array]:
        return self._run("decoder", features | prompts._asdict() | more)

    def _own_prompts(self, found: dict[str, Array]) -> tuple[Prompts, Array | None]:
        """The prompter's prompts; and where there are objects (r, r) that are too many to be asked for."""
        rule = self.about["prompter"]["object_rule"]
        if rule is None:
            return Prompts(found["points"], found["labels"], np.zeros((1, 0, 4), np.float32)), None
        return find_objects(found["saliency"], found["distance"], self.about["image"]["side"], rule)

    def _answer(self, frame: "Frame", logits: Array, iou: float) -> Answer:
        probs = sigmoid(frame.logits_to_image(logits))
        return Answer(clean(probs, self.about["postprocessing"]), probs, iou)


class Box(NamedTuple):
    """A rectangle of whole pixels; the right column and the bottom row are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class Frame:
    """The map between an image of some height and width and a model frame of some side."""

    height: int
    width: int
    side: int
    fit: str
    crop: Box | None = None

    @property
    def kept(self) -> Box:
        """The part of the image that the model sees."""
        return self.crop or Box(0, 0, self.width, self.height)

    @property
    def content(self) -> Box:
        """The place of that part in the model frame; the rest is black."""
        if self.fit == "stretch":
            return Box(0, 0, self.side, self.side)
        scale = self.side / max(self.kept.size)
        width, height = (max(1, round(length * scale)) for length in self.kept.size)
        left, top = ((self.side - width) // 2, (self.side - height) // 2) if self.fit == "square" else (0, 0)
        return Box(left, top, left + width, top + height)

    def image_to_model(self, pixels: Array) -> Array:
        """Map pixels (H, W, 3) uint8 to (S, S, 3) uint8."""
        kept, content = self.kept, self.content
        framed = np.zeros((self.side, self.side, 3), np.uint8)
        framed[content.top : content.bottom, content.left : content.right] = resize_pixels(
            pixels[kept.top : kept.bottom, kept.left : kept.right], *content.size
        )
        return framed

    def points_to_model(self, points: Array) -> Array:
        """Map points (..., 2) from the image frame to the model frame."""
        scale = np.divide(self.content.size, self.kept.size)
        return ((points - np.array(self.kept[:2]) + 0.5) * scale - 0.5 + self.content[:2]).astype(np.float32)

    def logits_to_image(self, logits: Array) -> Array:
        """Map logits (h, h) over the whole model frame to (H, W) in the image frame."""
        kept, content = self.kept, self.content
        if content.size != (self.side, self.side):
            logits = enlarge(logits, self.side, self.side)[content.top : content.bottom, content.left : content.right]
        full = np.full((self.height, self.width), OUTSIDE_LOGIT, np.float32)
        full[kept.top : kept.bottom, kept.left : kept.right] = enlarge(logits, *kept.size)
        return full


def read_file(file: str | Path, reading: dict[str, Any]) -> Array:
    """Read the RGB pixels of an 8-bit image, upright, for a model that wants its values as they are."""
    for name, usual in (("channels", None), ("window", "own"), ("level", 0)):
        if reading.get(name, usual) != usual:
            raise ValueError(f"this model reads files with {name} {reading[name]}: give 8-bit RGB pixels made so")
    with Image.open(file) as opened:
        if opened.mode[0] in "IF" or ";16" in str(opened.tile):  # Pillow would cut their values off
            raise ValueError(f"{file} has more than 8 bits a value: give 8-bit RGB pixels, (H, W, 3) uint8")
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def content_box(pixels: Array) -> Box | None:
    """The part of an image inside of its black border; ``None`` for all of it."""
    bright = pixels.max(2) > DARK
    rows, columns = (np.flatnonzero(bright.mean(axis) > LEAST_SHARE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return None if box.size == (bright.shape[1], bright.shape[0]) else box


def area_weights(before: int, after: int) -> Array:
    """The matrix (after, before) that shrinks an axis to means of areas."""
    edges = np.arange(after + 1) * (before / after)
    cells = np.arange(before)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.clip(overlap, 0, None) * (after / before)


def linear_weights(before: int, after: int) -> Array:
    """The matrix (after, before) that resizes an axis linearly, edges being repeated."""
    places = np.clip((np.arange(after) + 0.5) * (before / after) - 0.5, 0, before - 1)
    lower = np.minimum(places.astype(int), max(before - 2, 0))
    weights = np.zeros((after, before))
    weights[np.arange(after), lower] = 1 - (places - lower)
    weights[np.arange(after), np.minimum(lower + 1, before - 1)] += places - lower
    return weights


def resize_pixels(pixels: Array, width: int, height: int) -> Array:
    """Resize (H, W, 3) uint8: means of areas along an axis that shrinks, then linearly along one that grows."""
    for weights_of, sizes in (
        (area_weights, (min(height, pixels.shape[0]), min(width, pixels.shape[1]))),
        (linear_weights, (height, width)),
    ):
        if sizes != pixels.shape[:2]:
            down, across = (weights_of(*sides).astype(np.float32) for sides in zip(pixels.shape, sizes, strict=False))
            moved = np.moveaxis(pixels, 2, 0)
            pixels = np.moveaxis(np.rint(down @ moved @ across.T).clip(0, 255).astype(np.uint8), 0, 2)
    return pixels


def enlarge(maps: Array, width: int, height: int) -> Array:
    """Resize maps (..., h, w) linearly, without smoothing where they shrink."""
    down, across = linear_weights(maps.shape[-2], height), linear_weights(maps.shape[-1], width)
    return (down @ maps @ across.T).astype(np.float32)


def sigmoid(logits: Array) -> Array:
    """Logits to probabilities."""
    return 1 / (1 + np.exp(-logits))


def with_map(logits: Array, saliency: Array, share: float, not_asked_for: Array | None) -> Array:
    """Masks (K, h, h) in which the prompter's coarse guess (g, g) has a share, all as logits."""
    side = max(logits.shape[-1], saliency.shape[-1])
    wide = enlarge(saliency, side, side)
    mixed = (1 - share) * enlarge(logits, side, side) + share * wide
    if not_asked_for is not None and not_asked_for.any():
        nearest = np.arange(side) * len(not_asked_for) // side
        mixed = np.where(not_asked_for[nearest][:, nearest], np.maximum(mixed, wide), mixed)
    return mixed


def prompts_in_frame(
    frame: Frame, points: Sequence[Sequence[float]], labels: Sequence[int], box: Sequence[float] | None
) -> Prompts:
    """A person's points and box, checked, in the model frame; what of the box is outside of the image is cut off."""
    xy, kinds = np.reshape(points, (-1, 2)).astype(float), np.reshape(labels, -1).astype(np.int64)
    if len(xy) != len(kinds) or not np.isin(kinds, (0, 1)).all():
        raise ValueError(f"{len(xy)} points with the labels {kinds.tolist()}: give a label for each, 1 or 0")
    left, top, right, bottom = frame.kept
    for x, y in xy.tolist():
        if not (left - 0.5 <= x <= right - 0.5 and top - 0.5 <= y <= bottom - 0.5):
            raise ValueError(
                f"the point ({x:g}, {y:g}) is outside of what the model sees, columns {left} to {right - 1} and rows "
                f"{top} to {bottom - 1}: give (x, y), pixel indices counted from 0"
            )
    corners = np.zeros((0, 2))
    if box is not None:
        low = np.maximum(np.asarray(box[:2], float), (left, top))
        high = np.minimum(np.asarray(box[2:], float), (right - 1, bottom - 1))
        if not (low < high).all():
            raise ValueError(f"the box {list(box)} has no area inside of the image: give left, top, right, bottom")
        corners = np.stack([low, high])
    boxes = frame.points_to_model(corners).reshape(1, -1, 4)
    return Prompts(frame.points_to_model(xy)[None], kinds[None], boxes)


def with_map_as_asked(logits: Array, saliency_logits: Array, prompts: Prompts, share: float, side: int) -> Array:
    """A mask (h, h) in which the prompter's guess (g, g) has a share, all as logits, for one set of a person's prompts.

    The guess adds only to its parts that overlap the mask or a foreground click, and inside of a box; the mask is kept
    if there are none, and where a click contradicts the guess.
    """
    cells = max(logits.shape[-1], saliency_logits.shape[-1])
    logits, guess_logits = enlarge(logits, cells, cells), enlarge(saliency_logits, cells, cells)
    is_mask, guessed, scale = logits > 0, guess_logits > 0, cells / side
    columns, rows = ((prompts.points[0] + 0.5) * scale).astype(int).clip(0, cells - 1).T
    foreground, background = prompts.labels[0] == 1, prompts.labels[0] == 0
    parts = number_parts(guessed, corners=True)
    adds = among(parts, np.append(parts[is_mask], parts[rows[foreground], columns[foreground]]))
    for box in prompts.boxes[0]:
        left, top, right, bottom = ((box + 0.5) * scale).astype(int).clip(0, cells - 1)
        inside = np.zeros_like(adds)
        inside[top : bottom + 1, left : right + 1] = True
        adds &= inside
    keeps = np.full_like(adds, not adds.any())
    for clicked, more in ((foreground, is_mask & ~guessed), (background, guessed & ~is_mask)):
        regions = number_parts(more, corners=True)
        keeps |= among(regions, regions[rows[clicked], columns[clicked]])
    mixed = (1 - share) * logits + share * guess_logits
    return np.where(keeps, logits, np.where(adds, mixed, np.minimum(mixed, logits)))


def among(parts: Array, numbers: Array) -> Array:
    """Mark the numbered parts (r, r) whose numbers are among some; 0 is no part."""
    return np.isin(parts, numbers[numbers > 0])


def form_of(prompts: Prompts) -> str | None:
    """The name of the form of given prompts, by how many points there are and whether there is a box."""
    count, has_box = prompts.labels.shape[1], prompts.boxes.shape[1] > 0
    if has_box:
        return "box+points" if count else "box"
    if count == 1 and prompts.labels.any():
        return "point"
    return ("points" if count < MANY_POINTS else "many-points") if count else None


def find_objects(saliency: Array, distance: Array, side: int, rule: dict[str, Any]) -> tuple[Prompts, Array]:
    """A box and the deepest point of each object, the largest first; and where objects are that are too many."""
    certain = saliency > rule["certain"]
    if np.count_nonzero(certain) < rule["least_cells"]:
        certain = saliency >= rule["nearly_the_best"] * saliency.max()
    prominence = rule.get("prominence")
    if prominence is None:
        parts, least = number_parts(certain, corners=True), rule["least_cells"]
    else:
        parts, least = separate(certain, distance, prominence), 1
    weights = np.bincount(parts.ravel(), saliency.ravel())[1:]
    areas = np.bincount(parts.ravel())[1:]
    by_weight = np.argsort(-weights, kind="stable")
    most = rule["most_objects"]
    order = [part for part in by_weight[:most] if areas[part] >= least] or [by_weight[0]]
    cell = side / len(saliency)
    points, boxes = [], []
    for part in order:
        rows, columns = np.nonzero(parts == part + 1)
        deepest = distance[rows, columns].argmax()
        points.append([[(columns[deepest] + 0.5) * cell - 0.5, (rows[deepest] + 0.5) * cell - 0.5]])
        low = np.array([columns.min(), rows.min()]) * cell
        high = np.maximum(np.array([columns.max() + 1, rows.max() + 1]) * cell - 1, low)
        boxes.append([[*low, *high]])
    prompts = Prompts(
        np.array(points, np.float32), np.ones((len(points), 1), np.int64), np.array(boxes, np.float32)
    )  # fmt: skip
    return prompts, np.isin(parts, by_weight[most:] + 1)


def separate(certain: Array, distance: Array, prominence: float) -> Array:
    """Number the objects (r, r) from 1, also where they touch: a place is of the peak of the distance it flows to."""
    height = np.where(certain, distance, 0).astype(np.float32)
    width = height.shape[1] + 2
    levels, is_open = np.pad(-height, 1).ravel().tolist(), np.pad(certain, 1).ravel().tolist()
    parts, queue = [0] * len(levels), []
    for number, (row, column) in enumerate(np.argwhere(find_peaks(certain, height, prominence)).tolist(), 1):
        peak = (row + 1) * width + column + 1
        parts[peak], is_open[peak] = number, False
        queue.append((levels[peak], 0, peak))
    heapq.heapify(queue)
    age = 0
    while queue:  # the highest first; of equally high places, the one that was reached first
        place = heapq.heappop(queue)[-1]
        for step in (-width, -1, 1, width, -width - 1, 1 - width, width - 1, width + 1):
            near = place + step
            if is_open[near]:
                parts[near], is_open[near] = parts[place], False
                age += 1
                heapq.heappush(queue, (levels[near], age, near))
    return np.reshape(parts, (-1, width))[1:-1, 1:-1]


def find_peaks(certain: Array, height: Array, prominence: float) -> Array:
    """Mark the peaks (r, r) that rise so far above the pass to a higher one, by raising water from the highest level.

    Of each lake of higher places, the highest stays; where lakes meet, others do if they are so far above the level.
    """
    peaks, highest_first = np.zeros(height.shape, bool), np.argsort(-height, axis=None, kind="stable")
    for level in np.linspace(1, 0, LEVELS + 1):
        lakes = number_parts(certain & (height >= level), corners=True)
        numbers, first = np.unique(lakes.ravel()[highest_first], return_index=True)
        peaks &= height - level >= prominence
        peaks.ravel()[highest_first[first[numbers > 0]]] = True
    return peaks


def number_parts(mask: Array, *, corners: bool) -> Array:
    """Number the connected parts of a mask (H, W) from 1, also across corners if wanted; 0 is where there is none."""
    height, width = mask.shape
    names = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)  # each pixel by a pixel of its part
    steps = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if corners or 1 in (y, x)]
    while True:
        framed = np.pad(names, 1)
        largest = np.max([framed[y : y + height, x : x + width] for y, x in steps], 0) * mask
        if np.array_equal(largest, names):
            return np.searchsorted(np.unique(np.append(names, 0)), names)
        names = np.append(0, largest)[largest]  # what the pixel is called by which it is called


def clean(mask_probs: Array, steps: dict[str, Any]) -> Array:
    """Probabilities (H, W) to a mask: the threshold, and what of the post-processing was found to help."""
    mask = mask_probs > steps["threshold"]
    for name, order in (("opening", (np.logical_and, np.logical_or)), ("closing", (np.logical_or, np.logical_and))):
        size = round(steps[name] * max(mask.shape) / KERNEL_SIDE)
        if size >= 2 and mask.any():
            framed = np.pad(mask, size, mode="edge")
            for join in order:
                framed = over_disc(framed, size, join)
            mask = framed[size:-size, size:-size]
    if steps["fill_holes"] and mask.any():
        outside = number_parts(np.pad(~mask, 1, constant_values=True), corners=False)
        mask = (outside != outside[0, 0])[1:-1, 1:-1]
    if steps["keep"] == "largest" and mask.any():
        parts = number_parts(mask, corners=True)
        mask = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return mask


def over_disc(mask: Array, size: int, join: np.ufunc) -> Array:
    """Join each pixel with those in a disc around it: with "and" a mask shrinks, with "or" it grows."""
    middle = size // 2
    framed = np.pad(mask, size, constant_values=join is np.logical_and)
    found = mask.copy()
    for y, x in disc(size):
        top, left = size + y - middle, size + x - middle
        join(found, framed[top : top + mask.shape[0], left : left + mask.shape[1]], out=found)
    return found


def disc(size: int) -> Iterator[tuple[int, int]]:
    """The cells (row, column) of a disc in a square of a size, as OpenCV draws its ellipses."""
    radius = size // 2
    for row in range(size):
        reach = round(radius * np.sqrt(max(radius**2 - (row - radius) ** 2, 0)) / radius)
        yield from ((row, column) for column in range(max(radius - reach, 0), min(radius + reach + 1, size)))


def main() -> None:
    """Read the command line, and write a mask."""
    parser = argparse.ArgumentParser(description="Segment an image with a model that promise export wrote.")
    parser.add_argument("image", help="of any format that Pillow reads")
    parser.add_argument("mask", help="file to write: 255 foreground, 0 background")
    parser.add_argument("--model", default=Path(__file__).parent, help="folder; by default that of this program")
    parser.add_argument("--point", nargs=2, type=float, action="append", default=[], metavar=("X", "Y"))
    parser.add_argument("--background", nargs=2, type=float, action="append", default=[], metavar=("X", "Y"))
    parser.add_argument("--box", nargs=4, type=float, metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"))
    given = parser.parse_args()
    points, labels = given.point + given.background, [1] * len(given.point) + [0] * len(given.background)
    try:
        model = Exported(given.model)
        asked = bool(points or given.box)
        answer = model.predict_for(given.image, points, labels, given.box) if asked else model.predict(given.image)
        Image.fromarray(answer.mask.astype(np.uint8) * 255).save(given.mask)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{given.mask}: {answer.mask.mean():.1%} of the image, estimated IoU {answer.iou:.2f}")


if __name__ == "__main__":
    main()
