"""The rows of a PyTorch ``Dataset``.

torch is not imported here: code that holds a ``Dataset`` has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

from blackbox_boundary.errors import InvalidInput

__all__ = ["rows"]


def rows(x: Any) -> Any | None:
    """The inputs of a ``torch.utils.data.Dataset``, stacked; None of anything else.

    If items are pairs, as of input and label, the first part is the input. All items are read.

    Raises
    ------
    InvalidInput
        The data set has no length, or its inputs cannot be stacked.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.utils.data.Dataset):
        return None
    try:
        items = [x[at] for at in range(len(x))]
        inputs = [item[0] if isinstance(item, tuple | list) else item for item in items]
        return torch.stack([torch.as_tensor(one) for one in inputs])
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise InvalidInput(
            f'"x" must hold rows of one shape; the data set {type(x).__name__} does not: {error}'
        ) from error
