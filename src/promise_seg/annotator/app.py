"""The HTTP API of docs/annotator-api.md, which maps requests to methods of the project and refusals to responses."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from promise_seg._version import __version__
from promise_seg.annotator import links
from promise_seg.annotator.access import Access
from promise_seg.annotator.bodies import (
    ActionBody,
    ExportBody,
    LeaseBody,
    PreviewBody,
    ReleaseBody,
    StopBody,
    TrainBody,
)
from promise_seg.annotator.guard import Guard
from promise_seg.annotator.metrics import Layer
from promise_seg.annotator.previews import preview_of, serve_previews
from promise_seg.annotator.project import Project
from promise_seg.annotator.refusals import Refusal, failed, invalid_part, unknown

ROOT = "/api/v1"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}
WindowEdge = Annotated[float | None, Query(ge=-1e9, le=1e9, allow_inf_nan=False)]
"""The lowest or highest value of a window, in values of the image file; ``None`` for the image's own window."""


def create_app(project: Project, access: Access, layer: Layer = lambda app: app) -> ASGIApp:
    """Return the ASGI application of a project behind its guard.

    Args:
        project: the project, inside of its ``with`` statement.
        access: the access control.
        layer: wraps the application inside of the guard, for example to count requests.
    """
    app = FastAPI(
        title="promise annotate", version=__version__, docs_url=None, redoc_url=None,
        openapi_url=f"{ROOT}/openapi.json", responses=links.REFUSALS,
        generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.router.redirect_slashes = False
    _add_answers(app)
    _add_project(app, project)
    _add_images(app, project)
    _add_training(app, project)
    _add_page(app)
    app.add_api_websocket_route(f"{ROOT}/images/{{number}}/preview", _previews(project))
    return Guard(layer(app), access)


def _add_answers(app: FastAPI) -> None:
    """Give the responses to refused requests, invalid requests and errors the same form."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        return JSONResponse(refusal.as_json(), refusal.status)

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        part_of_request, *place = fault["loc"]  # such as "body"
        refusal = invalid_part(fault, place, part_of_request)
        return JSONResponse(refusal.as_json(), refusal.status)

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        words = f"There is no {request.method} here" if error.status_code == 405 else "There is nothing at this address"
        return JSONResponse(Refusal(error.status_code, "unknown", words).as_json(), error.status_code)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return JSONResponse(failed().as_json(), 500)


def _add_project(app: FastAPI, project: Project) -> None:
    @app.get(f"{ROOT}/project", responses=links.OF_PROJECT)
    def facts() -> dict[str, Any]:
        """Return the project's model, classes and limits, and the number of images by state."""
        return project.facts()

    @app.get(f"{ROOT}/images", responses=links.OF_IMAGES)
    def images(order: Literal["trust", "name", "state"] = "trust") -> dict[str, Any]:
        """List the images; by default, the image with the lowest trust score comes first."""
        return {"images": project.images(order)}

    @app.post(f"{ROOT}/export")
    def export(body: ExportBody) -> dict[str, Any]:
        """Write all accepted masks to one COCO file in the project's folder."""
        return project.export_coco()


def _add_images(app: FastAPI, project: Project) -> None:
    @app.get(f"{ROOT}/images/{{number}}", responses=links.OF_IMAGE)
    def image(number: int) -> dict[str, Any]:
        """Return the state and the objects of an image, without its pixels."""
        return project.image(_within(number))

    @app.get(f"{ROOT}/images/{{number}}/thumbnail", response_class=Response, responses=links.PNG)
    def thumbnail(number: int) -> Response:
        """Return the middle slice of an image as a small PNG."""
        return Response(project.pictures.thumbnail(_within(number)), media_type="image/png")

    @app.get(f"{ROOT}/images/{{number}}/slices/{{index}}/pixels", response_class=Response, responses=links.PNG)
    def pixels(number: int, index: int, low: WindowEdge = None, high: WindowEdge = None) -> Response:
        """Return a slice as PNG, optionally with the window from ``low`` to ``high``."""
        return Response(project.pictures.pixels(_within(number), index, low, high), media_type="image/png")

    @app.post(f"{ROOT}/images/{{number}}/lease", responses=links.OF_LEASE)
    def hold(number: int, body: LeaseBody) -> dict[str, Any]:
        """Hold an image, or renew the lease of the client that holds it, and return the image."""
        return project.hold(_within(number), body)

    @app.delete(f"{ROOT}/images/{{number}}/lease")
    def let_go(number: int, body: ReleaseBody) -> dict[str, Any]:
        """Release an image, so that other clients can hold it."""
        project.leases.give_back(number, body.client)
        return {}

    @app.post(f"{ROOT}/images/{{number}}/preview")
    def preview(number: int, body: PreviewBody) -> dict[str, Any]:
        """Return the mask that prompts would give, without changing anything."""
        return preview_of(project, _within(number), body)

    @app.get(f"{ROOT}/images/{{number}}/propagation")
    def propagation(number: int) -> dict[str, Any]:
        """Return the progress of the propagation that is running on an image."""
        return project.propagations.facts(_within(number))

    @app.delete(f"{ROOT}/images/{{number}}/propagation")
    def cancel(number: int, body: StopBody) -> dict[str, Any]:
        """Cancel the propagation on an image after its current slice."""
        project.propagations.cancel(_within(number))
        return project.propagations.facts(number)

    @app.post(f"{ROOT}/images/{{number}}/actions", responses=links.OF_ACTION)
    def act(number: int, body: ActionBody) -> dict[str, Any]:
        """Carry out an action on a held image. An action that is sent again with the same id is not repeated."""
        return project.act(_within(number), body)


def _add_training(app: FastAPI, project: Project) -> None:
    @app.get(f"{ROOT}/training", responses=links.OF_TRAINING)
    def training() -> dict[str, Any]:
        """Return the state of training on accepted images, its progress, and the last result."""
        return project.training_facts()

    @app.post(f"{ROOT}/training", responses=links.OF_TRAINING)
    def train(body: TrainBody) -> dict[str, Any]:
        """Start training on the accepted images in the background, or resume an interrupted training."""
        project.learning.begin(anew=body.anew)
        return project.training_facts()

    @app.delete(f"{ROOT}/training", responses=links.OF_TRAINING)
    def stop(body: StopBody) -> dict[str, Any]:
        """Stop the training. Finished epochs are kept."""
        project.learning.training.cancel()
        return project.training_facts()


def _add_page(app: FastAPI) -> None:
    """Serve the files of the page by their names. No path is built from what a client sends."""
    readers = page_files()

    def read(name: str) -> Response:
        if name not in readers:
            raise unknown("This file")
        suffix = name[name.rindex(".") :]
        return Response(readers[name](), media_type=_TYPES[suffix])

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return read("index.html")

    @app.get("/page/{name:path}", include_in_schema=False)
    def file(name: str) -> Response:
        return read(name)


def page_files() -> dict[str, Callable[[], bytes]]:
    """Return a mapping from the path of each file, relative to the page's folder, to a function that reads the file."""
    readers: dict[str, Callable[[], bytes]] = {}
    folders = [("", files("promise_seg.annotator") / "page")]
    while folders:
        above, folder = folders.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                folders.append((f"{above}{entry.name}/", entry))
            elif entry.name[entry.name.rfind(".") :] in _TYPES:
                readers[f"{above}{entry.name}"] = entry.read_bytes
    return readers


def _previews(project: Project) -> Callable[[WebSocket, int], Awaitable[None]]:
    async def previews(socket: WebSocket, number: int) -> None:
        await serve_previews(socket, project, number)

    return previews


def _within(number: int) -> int:
    """Return the number of an image; raise a :class:`Refusal` if it is negative, or too large for the database."""
    if not 0 <= number < 2**31:
        raise unknown("This image")
    return number
