"""How a result of a lower floor shows its widget: by name, when it is displayed, and as plain HTML where there are no widgets."""

import importlib
from typing import Any


def mimebundle(where: str, thing: Any) -> dict[str, Any]:
    """Return what Jupyter displays for `thing`: the widget that `where` makes of it ("module:function" of hftlab.widgets).

    Nothing below the widgets imports them, as `import hftlab` imports nothing: the name is looked up when somebody looks.
    Without ipywidgets it is the thing's own `_repr_html_`.
    """
    module, function = where.split(":")
    try:
        widgets = importlib.import_module(f"hftlab.widgets.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hftlab"):
            raise
        return {"text/html": thing._repr_html_()}
    widget = getattr(widgets, function)(thing)
    bundle = widget._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle
