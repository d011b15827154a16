"""Tiny archives in the layouts of the real ones, and a server for them."""

import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".bmp": "BMP"}


def picture(seed: int, suffix: str = ".png") -> bytes:
    """A colour image, 12 x 8."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return encoded(pixels, suffix)


def mask(suffix: str = ".png", foreground: int = 255, colour: bool = False) -> bytes:
    """A mask, 12 x 8, whose right half is foreground."""
    pixels = np.zeros((8, 12), np.uint8)
    pixels[:, 6:] = foreground
    return encoded(np.repeat(pixels[..., None], 3, 2) if colour else pixels, suffix)


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, KINDS[suffix])
    return file.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def write_tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def kvasir(count: int = 20) -> dict[str, bytes]:
    """Kvasir-SEG: masks are colour JPEGs."""
    files = {"Kvasir-SEG/kavsir_bboxes.json": b"{}"}
    for number in range(count):
        files[f"Kvasir-SEG/images/cju{number:02d}.jpg"] = picture(number, ".jpg")
        files[f"Kvasir-SEG/masks/cju{number:02d}.jpg"] = mask(".jpg", foreground=250, colour=True)
    return files


def benchmark(kvasir_count: int = 12, frames: range = range(20, 32)) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """TrainDataset and TestDataset of the polyp benchmark; two frames of CVC-ClinicDB are test images."""
    train, test = {}, {}
    names = [f"cju{n:02d}" for n in range(kvasir_count)] + [str(n) for n in frames]
    for seed, name in enumerate(names):
        train[f"TrainDataset/image/{name}.png"] = picture(seed)
        train[f"TrainDataset/masks/{name}.png"] = mask()
    counts = {"Kvasir": ["cju90"], "CVC-ClinicDB": ["1", "60"], "CVC-300": ["1", "2"], "CVC-ColonDB": ["1", "2", "3"]}
    for seed, (dataset, stems) in enumerate((counts | {"ETIS-LaribPolypDB": ["1", "2"]}).items(), 100):
        for place, stem in enumerate(stems):
            test[f"TestDataset/{dataset}/images/{stem}.png"] = picture(seed * 10 + place)
            test[f"TestDataset/{dataset}/masks/{stem}.png"] = mask()
    return train, test


def isic(word: str, numbers: range) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Images and masks of one split of ISIC 2018, task 1."""
    images = {f"ISIC2018_Task1-2_{word}_Input/LICENSE.txt": b"", f"ISIC2018_Task1-2_{word}_Input/ATTRIBUTION.txt": b""}
    masks = {}
    for number in numbers:
        images[f"ISIC2018_Task1-2_{word}_Input/ISIC_{number:07d}.jpg"] = picture(number, ".jpg")
        masks[f"ISIC2018_Task1_{word}_GroundTruth/ISIC_{number:07d}_segmentation.png"] = mask()
    return images, masks


class FileServer(http.server.BaseHTTPRequestHandler):
    """Serves ``files``, with ranges and ETags; ``cuts`` end the first answers after so many bytes."""

    files: dict[str, bytes]
    cuts: list[int]
    requested: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        name = self.path.removeprefix("/")
        self.requested.append((name, wanted))
        if name not in self.files:
            self.send_error(404)
            return
        content = self.files[name]
        tag = f'"{hash(content)}"'
        same = self.headers.get("If-Range") in (None, tag)
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and same else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[tuple[str, type[FileServer]]]:
    """The server's address, and its class to steer it by."""
    handler = type("OneServer", (FileServer,), {"files": files, "cuts": [], "requested": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_args: None  # a client that stops is what is tested
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
