"""What is missing for containers on this machine, and how to get it."""

from __future__ import annotations

from InferenceLibrary.containers.compose_command import compose_program
from InferenceLibrary.containers.engine import (
    EngineMissingError,
    connect_engine,
    engine_problem,
    find_address,
    no_engine,
    sdk,
)
from InferenceLibrary.errors import MissingExtraError, describe


def missing_part(image: str | None = None, compose: bool = False) -> str | None:
    """Return what is missing for containers and how to get it, None when nothing is.

    Args:
        image: An image that must be there.
        compose: Whether compose is needed too.
    """
    address = find_address()
    problem = engine_problem(address)
    if problem is not None:
        return no_engine(address, problem)
    try:
        engine = connect_engine()
        try:
            if image is not None:
                engine.client.api.inspect_image(image)
        finally:
            engine.close()
        if compose:
            compose_program()
    except (MissingExtraError, EngineMissingError) as error:
        return str(error)
    except sdk().errors.NotFound:
        hint = (
            f"docker pull {image}, or docker load. In a checkout: docker build --tag {image} . makes the simulator's."
        )
        return describe(f"The container engine has no image '{image}'", hint=hint)
    return None
