"""Thinking users: reconstruct, train, simulate and judge what people think and say to assistants."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Scenario", "ThinkingUser", "__version__"]

if TYPE_CHECKING:
    from thinkus.user.scene import Scenario
    from thinkus.user.thinking_user import ThinkingUser


def __getattr__(name: str) -> Any:
    """As late as can be: the command line must not wait for what it does not use."""
    if name == "ThinkingUser":
        from thinkus.user.thinking_user import ThinkingUser

        return ThinkingUser
    if name == "Scenario":
        from thinkus.user.scene import Scenario

        return Scenario
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
