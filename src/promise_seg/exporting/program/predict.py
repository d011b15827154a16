"""Segment images with a model that ``promise export`` wrote.

It requires numpy, Pillow and onnxruntime, and the files ``predict_*.py`` next to it, but neither PyTorch nor
promise-seg. Feel free to copy parts of it.

    python predict.py frame.png mask.png                    with the model's own prompts
    python predict.py frame.png mask.png --point 210 95     with a click; also --background and --box

Coordinates are (x, y) pixel indices, integers being pixel centres. The image frame is that of the image file; the
model frame is the square that the encoder sees.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from PIL import Image, UnidentifiedImageError

from predict_frames import Array, Frame, content_box, read_file
from predict_masks import clean, sigmoid, with_map, with_map_as_asked
from predict_prompts import Prompts, find_objects, form_of, prompts_in_frame

Features = dict[str, Array]
ABSENT_LOGIT = -20.0
LOSSLESS = (".png", ".tif", ".tiff", ".bmp")


class Answer(NamedTuple):
    """A mask (H, W) bool, its probabilities (H, W) and its estimated IoU."""

    mask: Array
    mask_probs: Array
    iou: float


class Exported:
    """A model in a folder of ONNX files.

    Args:
        folder: folder that ``promise export`` wrote; for a model of several classes, the folder of one class.
        providers: execution providers of ONNX Runtime, such as ``CUDAExecutionProvider``.
    """

    def __init__(self, folder: str | Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        folder = Path(folder)
        try:
            self.about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            files = {name: str(self.about["graphs"][name]["file"]) for name in ("encoder", *self.about["graphs"])}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / 'model.json'}: is damaged ({error!r}): export the model again") from error
        self._sessions = {name: _opened(folder / file, providers) for name, file in files.items()}

    def _run(self, graph: str, given: dict[str, Array]) -> dict[str, Array]:
        """Run a graph with the arrays that are inputs of it."""
        session = self._sessions[graph]
        taken = {port["name"]: given[port["name"]] for port in self.about["graphs"][graph]["inputs"]
                 if port["name"] in given}  # fmt: skip
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, taken), strict=True))

    def encode(self, image: str | Path | Array) -> tuple[Frame, Features]:
        """Read an image, given as a file or as RGB pixels (H, W, 3) uint8, and run the encoder.

        This is needed once per image, for any number of prompts.
        """
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
        """Return RGB pixels (H, W, 3) uint8 in the form that the model requires."""
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
        if own["second_pass"]:  # SAM refines its own masks
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
        """Segment an image with a user's prompts.

        The prompts are points (N, 2) with labels, 1 foreground and 0 background, and a box (4,), in the image frame.
        For many clicks on one image, run the encoder and the prompter once, and repeat only the remaining steps.
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
        """Return the prompter's prompts, and a mask (r, r) of the objects beyond the maximum number."""
        rule = self.about["prompter"]["object_rule"]
        if rule is None:
            return Prompts(found["points"], found["labels"], np.zeros((1, 0, 4), np.float32)), None
        return find_objects(found["saliency"], found["distance"], self.about["image"]["side"], rule)

    def _answer(self, frame: Frame, logits: Array, iou: float) -> Answer:
        probs = sigmoid(frame.logits_to_image(logits))
        return Answer(clean(probs, self.about["postprocessing"]), probs, iou)


def _opened(path: Path, providers: Sequence[str]) -> onnxruntime.InferenceSession:
    """Open a graph; raise a ValueError with the file and the reason if it cannot be opened."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; warnings are about inputs with a default
    path.stat()  # raises OSError if the file is missing
    try:
        return onnxruntime.InferenceSession(path, options, providers=list(providers))
    except Exception as error:  # exceptions of ONNX Runtime have no common base class
        raise ValueError(
            f"{path}: ONNX Runtime cannot open it: {str(error).rstrip('.')}. Export the model again"
        ) from error


def main() -> None:
    """Parse the command line, and write a mask."""
    parser = argparse.ArgumentParser(description="Segment an image with a model that promise export wrote.")
    parser.add_argument("image", help="of any format that Pillow reads")
    parser.add_argument("mask", help="file to write: 255 foreground, 0 background")
    parser.add_argument("--model", default=Path(__file__).parent, help="folder; by default that of this program")
    parser.add_argument("--point", nargs=2, type=float, action="append", default=[], metavar=("X", "Y"))
    parser.add_argument("--background", nargs=2, type=float, action="append", default=[], metavar=("X", "Y"))
    parser.add_argument("--box", nargs=4, type=float, metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"))
    given = parser.parse_args()
    points, labels = given.point + given.background, [1] * len(given.point) + [0] * len(given.background)
    if Path(given.mask).suffix.lower() not in LOSSLESS:
        parser.error(f"{given.mask}: a mask needs a lossless file; expected one of {', '.join(LOSSLESS)}")
    if Path(given.mask).exists() and Path(given.image).exists() and Path(given.mask).samefile(given.image):
        parser.error(f"{given.mask}: is the image. Give another file for the mask")
    try:
        model = Exported(given.model)
        asked = bool(points or given.box)
        answer = model.predict_for(given.image, points, labels, given.box) if asked else model.predict(given.image)
        Image.fromarray(answer.mask.astype(np.uint8) * 255).save(given.mask)
    except UnidentifiedImageError:
        parser.error(f"{given.image}: not an image that Pillow reads; promise predict reads DICOM, NIfTI and others")
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ValueError, Image.DecompressionBombError) as error:
        parser.error(str(error))
    print(f"{given.mask}: {answer.mask.mean():.1%} of the image, estimated IoU {answer.iou:.2f}")


if __name__ == "__main__":
    main()
