"""Compile one document into infrastructure, a plan and a frozen runtime config.

`compile_file` runs every phase that needs no network; `make_plan` and `apply_plan` ask and change live systems. The command
line uses nothing else. Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backplane_compiler.handlers import BackplaneHandler, register_handler
    from backplane_compiler.live import apply_plan, make_plan
    from backplane_compiler.pipeline import Compilation, compile_file

_HOMES = {
    "BackplaneHandler": "handlers",
    "Compilation": "pipeline",
    "apply_plan": "live",
    "compile_file": "pipeline",
    "make_plan": "live",
    "register_handler": "handlers",
}

__all__ = ["BackplaneHandler", "Compilation", "apply_plan", "compile_file", "make_plan", "register_handler"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    from importlib import import_module  # noqa: PLC0415  see above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
