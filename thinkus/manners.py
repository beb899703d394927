"""What transformers must not do in a process of ours."""

import sys


def tame_transformers() -> None:
    """Before a model or a tokenizer is imported from it."""
    _leave_out("sklearn", "scipy")
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # drawn across ours


def _leave_out(*packages: str) -> None:
    """It would load them wherever they are installed, for figures that nothing here asks for: a quarter of a start."""
    absent = {name: None for name in packages if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]  # how Python is told of what cannot be imported
    try:
        from transformers.utils import import_utils

        for name in absent:
            getattr(import_utils, f"is_{name}_available")()  # which remembers the answer
    finally:
        for name in absent:
            sys.modules.pop(name, None)  # another thread may have been as quick
