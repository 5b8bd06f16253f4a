"""The Ingress deployment: the FastAPI application behind plain ASGI layers.

The outermost layer is no FastAPI object, so Ray Serve cannot put its own error handlers over ours.
"""

from collections.abc import Mapping

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from ray import serve as ray_serve
from starlette.types import ASGIApp

from deployments.diffusion.profile import DiffusionProfile
from deployments.postprocess.design import Brand
from deployments.postprocess.typesetting import fonts
from serve import VERSION
from serve.http.asgi import BoundedBody, Cors, Heads, LastResort, PublicAddress
from serve.http.rooms import Handle, Rooms
from serve.http.routes import images, kept_images, service, styles
from serve.http.wire import Habits, errors, without_422
from serve.settings import MIB, AppArgs


def create_api(
    rooms: Rooms,
    profile: DiffusionProfile,
    args: AppArgs,
    drawn_by: str | None,
    brands: Mapping[str, Brand],
) -> FastAPI:
    """The HTTP API over two rooms. drawn_by: the identity of what draws, if it has one."""
    api = FastAPIOffline(  # /docs needs no network
        title="Signboard",
        description="Adverts from one shared diffusion model, with words set exactly.",
        version=VERSION,
        redoc_url=None,
        static_url="/docs/assets",
    )
    errors.install(api)
    habits = Habits(
        profile,
        aliases=args.aliases,
        unknown=args.unknown_fields,
        nearest_sizes=args.nearest_sizes,
        by_url=args.library is not None,
    )
    worn = styles.Styles(rooms, profile, args)
    drawing = images.Images(rooms, profile, args, drawn_by, brands, habits, worn)
    api.include_router(images.drawing_routes(drawing))
    api.include_router(
        kept_images.library_routes(rooms, profile, habits, prompts=args.prompt_in_files)
    )
    api.include_router(kept_images.inspection_routes(rooms, args))
    api.include_router(service.model_routes(rooms, profile, args, brands, worn))
    if args.operator_routes:
        api.include_router(styles.style_routes(worn, args))
    api.include_router(service.health_routes(rooms))
    without_422(api)
    return api


def surround(api: ASGIApp, args: AppArgs) -> ASGIApp:
    """The API within its layers: what a request meets first stands first."""
    max_bytes = 2 * args.max_upload_bytes + MIB  # an edit: a picture, a mask, its fields
    app: ASGIApp = Cors(api, args.cors_origins) if args.cors_origins else api
    app = Heads(BoundedBody(app, max_bytes))
    return LastResort(PublicAddress(app, args.public_url, args.trusted_proxies))


@ray_serve.deployment(name="Ingress")
@ray_serve.ingress()
class Ingress:
    """Checks requests, passes them from room to room by reference, answers."""

    def __init__(
        self,
        args: AppArgs,
        profile: DiffusionProfile,
        drawn_by: str | None,
        diffusion: Handle,
        postprocess: Handle,
        brands: Mapping[str, Brand],
    ) -> None:
        fonts.use_folder(args.fonts)
        rooms = Rooms(diffusion, postprocess, args.request_timeout_s)
        self._app = surround(create_api(rooms, profile, args, drawn_by, brands), args)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return self._app
