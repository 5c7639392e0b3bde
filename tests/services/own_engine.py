"""A Docker engine that a module of tests has for itself, with the render image of the shared one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import docker

from renderctl.executors.images import RenderImage
from tests.services.engine import DockerEngine
from tests.services.server import running


@contextmanager
def own_engine(shared_host: str, image: RenderImage) -> Iterator[DockerEngine]:
    """It runs as long as the context, and may be harmed. Raises ServerFailed."""
    with running(DockerEngine) as engine:
        with closing(docker.DockerClient(shared_host)) as theirs, closing(docker.DockerClient(engine.url)) as ours:
            if image.digest not in [each.id for each in ours.images.list()]:
                ours.images.load(theirs.images.get(image.reference).save(named=True))
        yield engine
