"""The screens of a desk: panels that read a View, a pump that feeds them, and `dashboard`, which composes them."""

from hftlab.widgets.dashboard import Dashboard, dashboard

__all__ = ["Dashboard", "dashboard"]
