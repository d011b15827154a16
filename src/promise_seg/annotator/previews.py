"""Preview masks while a prompt is dragged. Only the newest waiting request is answered."""

import asyncio
import logging
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from promise_seg.annotator.bodies import PreviewBody
from promise_seg.annotator.guard import check_json
from promise_seg.annotator.project import Project
from promise_seg.annotator.refusals import Refusal, failed, invalid_part

_LOG = logging.getLogger(__name__)


async def serve_previews(socket: WebSocket, project: Project, number: int) -> None:
    """Answer preview requests for an image over a WebSocket, until the client disconnects."""
    await socket.accept()
    newest: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
    receiving = asyncio.create_task(_receive(socket, newest))
    asking: asyncio.Task[str] | None = None
    try:
        while not receiving.done():
            asking = asyncio.create_task(newest.get())
            await asyncio.wait({asking, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                break
            answer = await asyncio.to_thread(answer_to, project, number, asking.result())
            try:
                await socket.send_json(answer)
            except (WebSocketDisconnect, RuntimeError):  # the client disconnected meanwhile
                return
    finally:
        for task in (asking, receiving):
            if task is not None:
                task.cancel()


async def _receive(socket: WebSocket, newest: "asyncio.Queue[str]") -> None:
    """Receive requests and keep only the newest."""
    try:
        while True:
            text = await socket.receive_text()
            if newest.full():
                newest.get_nowait()
            newest.put_nowait(text)
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return


def answer_to(project: Project, number: int, text: str) -> dict[str, Any]:
    """Return the JSON response to a preview request; a refusal or an error is part of the response."""
    asked: Any = None
    try:
        asked = check_json(text)
        body = PreviewBody.model_validate(asked)
        return preview_of(project, number, body)
    except Refusal as refusal:
        return {"n": _number_of(asked), **refusal.as_json()}
    except ValidationError as error:
        fault = error.errors()[0]
        return {"n": _number_of(asked), **invalid_part(fault, fault["loc"], "message").as_json()}
    except Exception:
        _LOG.exception("a preview of the image %d failed", number)
        return {"n": _number_of(asked), **failed().as_json()}


def preview_of(project: Project, number: int, body: PreviewBody) -> dict[str, Any]:
    """Return the preview of an object as JSON.

    Raises:
        Refusal: if the prompts are not possible, or the image cannot be read.
    """
    one = project.preview(number, body)
    answer = one.answer
    return {
        "n": body.n, "mask": one.mask.as_json(), "score": answer.score, "chosen": answer.chosen,
        "candidates": [{"score": score} for score in answer.scores],
    }  # fmt: skip


def _number_of(asked: Any) -> int | None:
    """Return the number ``n`` of a request that is refused, if it has a valid one."""
    number = asked.get("n") if isinstance(asked, dict) else None
    return number if isinstance(number, int) and abs(number) < 2**53 else None
