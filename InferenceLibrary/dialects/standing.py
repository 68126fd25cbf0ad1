"""The choices of a gateway, on those of the server behind it."""

from __future__ import annotations

import msgspec

from InferenceLibrary.dialects.choices import OpenChoices
from InferenceLibrary.dialects.templates import joined

_OF_THE_FRONT = frozenset({
    "flags", "native", "headers", "ok_headers", "head_headers", "routes", "prefix_flag", "head", "redirects", "options",
    "preflight", "origin", "request_id", "key", "body", "metrics", "metrics_headers", "metrics_type", "variants",
    "any_model", "page_headers",
})  # fmt: skip


def standing(behind: OpenChoices, front: OpenChoices) -> OpenChoices:
    """Return the choices of a gateway with those of the server behind it, as it is without any flag.

    The gateway refuses first.
    """
    kept = OpenChoices(
        **{name: getattr(behind, name) for name in behind.__struct_fields__ if name not in _OF_THE_FRONT}
    )
    passed = [
        msgspec.structs.replace(one, labelled=front.labels_errors, unless={}) for one in behind.refuses if not one.when
    ]
    refuses = front.refuses if front.refuses_alone else [*front.refuses, *passed]
    return msgspec.structs.replace(joined(kept, front), refuses=refuses)
