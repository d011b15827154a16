"""The HTML page of the demonstration."""

import html
from collections.abc import Sequence
from pathlib import Path

import cv2
from PIL import Image

from promise_seg.arrays import Uint8Array
from promise_seg.assessment.evaluation import Assessment
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.model import PromiseModel
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.reporting.drawing import draw_prediction
from promise_seg.storage.files import write_text, write_whole

_HEIGHT = 180
_OVERVIEW_ROWS = 4
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } th, td { padding: .3rem .6rem; text-align: left; vertical-align: bottom; }
.scores td { border-top: 1px solid #ccc; } .scores .number { text-align: right; font-variant-numeric: tabular-nums; }
img { display: block; } .note { color: #555; max-width: 50rem; }
"""
_WORDS = (
    "The bare SAM has nothing trained around it. apm proposes its own prompts, ips shifts the tokens that SAM's mask "
    "decoder starts from, and apm+ips does both. Oracle points are drawn from the ground truth, as if by a user who "
    "knows the answer; own prompts are what prediction uses. MAE is the mean absolute error of the probabilities: "
    "lower is better. Higher is better for all other measures."
)

Column = tuple[str, PromiseModel, Assessment]


def _save(path: Path, pixels: Uint8Array) -> None:
    width = round(pixels.shape[1] * _HEIGHT / pixels.shape[0])
    small = Image.fromarray(cv2.resize(pixels, (width, _HEIGHT), interpolation=cv2.INTER_AREA))
    write_whole(path, lambda p: small.save(p))


def draw_overview(path: Path, titles: Sequence[str], rows: Sequence[Sequence[Uint8Array]]) -> None:
    """Draw rows of images below their titles, as one PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * len(titles), 2.1 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, pictures in zip(axes, rows, strict=True):
        for place, pixels in zip(line, pictures, strict=True):
            place.imshow(pixels)
            place.axis("off")
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title, fontsize=9)
    write_whole(path, lambda p: figure.savefig(p, dpi=90))


def write_page(
    folder: Path, rows: Sequence[CheckedRow], columns: Sequence[Column], table: Sequence[Sequence[str]], note: str
) -> Path:
    """Write ``index.html``, with a table of scores and one line of images for each row, and ``overview.png``.

    Return the path of the page.
    """
    titles = ["image", "ground truth", *(title for title, _, _ in columns)]
    store = FeatureStore(folder / "features")
    lines, drawn = [], []
    for number, row in enumerate(rows):
        pictures = [row.image(), draw_overlay(row.image(), row.mask())]
        pictures += [draw_prediction(model, row, assessment, store) for _, model, assessment in columns]
        drawn.append(pictures)
        cells = []
        for place, pixels in enumerate(pictures):
            name = f"pictures/{number:02d}_{place}.png"
            _save(folder / name, pixels)
            cells.append(f'<td><img src="{name}" height="{_HEIGHT}" alt="{html.escape(titles[place])}"></td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    draw_overview(folder / "overview.png", titles, drawn[:_OVERVIEW_ROWS])
    head, *body = table
    scores = "".join(f"<th>{html.escape(cell)}</th>" for cell in head[:2])
    scores += "".join(f'<th class="number">{html.escape(cell)}</th>' for cell in head[2:])
    for line in body:
        numbers = "".join(f'<td class="number">{html.escape(cell)}</td>' for cell in line[2:])
        scores += f"<tr><td>{html.escape(line[0])}</td><td>{html.escape(line[1])}</td>{numbers}</tr>"
    heads = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>promise-seg demo</title><style>{_STYLE}</style>"
        f"<h1>promise-seg demo</h1><p class='note'>{html.escape(note)}</p>"
        f"<table class='scores'><tr>{scores}</table><p class='note'>{html.escape(_WORDS)}</p>"
        "<h2>The first test images</h2><p class='note'>The mask is yellow. Green points are foreground, red points "
        "background.</p>"
        f"<table><tr>{heads}</tr>{''.join(lines)}</table></html>\n"
    )
    path = folder / "index.html"
    write_text(path, page)
    return path
