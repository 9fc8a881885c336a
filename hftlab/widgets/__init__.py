"""The screens of a desk: panels that read a View, a pump that feeds them, and `dashboard`, which composes them."""

from hftlab.widgets.banner import banner
from hftlab.widgets.dashboard import Dashboard, dashboard
from hftlab.widgets.gallery import gallery

__all__ = ["Dashboard", "banner", "dashboard", "gallery"]
