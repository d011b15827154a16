"""A library of scenes drawn in advance, because drawing in the training loop would take a third of its time."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.processes import worker_pool
from promise_seg.scenes.drawing import draw_scene
from promise_seg.storage.files import write_whole

CHUNK = 500
DRAWING_VERSION = 1  # raise it whenever a seed no longer gives the same scene


def _draw_chunk(job: tuple[Path, int, int, int]) -> None:
    path, seed, start, size = job
    cv2.setNumThreads(1)
    scenes = [draw_scene([seed, start + i], size) for i in range(CHUNK)]
    stack = np.stack([np.concatenate([s.image, s.instances[..., None]], -1) for s in scenes])
    write_whole(path, lambda p: np.save(p, stack, allow_pickle=False))


class SceneLibrary:
    """A library of ``count`` scenes of one seed, in chunks in ``folder``; existing chunks are not drawn again.

    The stream of a seed is fixed: a longer library begins with the same scenes as a shorter one.
    """

    def __init__(self, folder: Path, count: int, *, seed: int, size: int) -> None:
        chunks = -(-count // CHUNK)
        stem = f"scenes-v{DRAWING_VERSION}-{size}px-seed{seed}"
        self._paths = [Path(folder) / stem / f"{i:05d}.npy" for i in range(chunks)]
        self._seed, self._size, self._count = seed, size, count
        self._stacks: list[Uint8Array] = []

    def __len__(self) -> int:
        return self._count

    def draw(self, workers: int = 1, progress: Callable[[int], object] = lambda done: None) -> None:
        """Draw missing chunks and open all chunks; ``progress`` is called with the number of scenes added."""
        jobs = [(p, self._seed, i * CHUNK, self._size) for i, p in enumerate(self._paths) if not p.exists()]
        progress((len(self._paths) - len(jobs)) * CHUNK)
        if workers > 1 and len(jobs) > 1:
            with worker_pool(min(workers, len(jobs))) as pool:
                for _ in pool.imap_unordered(_draw_chunk, jobs):
                    progress(CHUNK)
        else:
            for job in jobs:
                _draw_chunk(job)
                progress(CHUNK)
        self._stacks = [np.load(p, mmap_mode="r", allow_pickle=False) for p in self._paths]

    def __getitem__(self, index: int) -> tuple[Uint8Array, Uint8Array]:
        """Return the image (S, S, 3) and the instances (S, S) of one scene."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        scene = np.asarray(self._stacks[index // CHUNK][index % CHUNK])
        return scene[..., :3], scene[..., 3]
