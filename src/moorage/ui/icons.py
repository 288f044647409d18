"""The icons of pages, drawn by hand on a grid of 16: strokes in the colour of the text."""

from markupsafe import Markup

_PATHS = {
    "images": "M2.5 5.5 8 2.5l5.5 3v5L8 13.5l-5.5-3zM2.5 5.5 8 8.5l5.5-3M8 8.5v5",
    "namespaces": "M2 4.5h4l1.5 1.5H14v6.5H2z",
    "activity": "M2 8h3l2-4.5 3 9 2-4.5h2",
    "storage": "M3 4c0-1 2.2-1.5 5-1.5s5 .5 5 1.5-2.2 1.5-5 1.5S3 5 3 4zM3 4v8c0 1 2.2 1.5 5 1.5"
    "s5-.5 5-1.5V4M3 8c0 1 2.2 1.5 5 1.5s5-.5 5-1.5",
    "access": "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM2 13.5c0-2.5 1.8-4 4-4s4 1.5 4 4"
    "M11 6.5h3.5M13 5v3",
    "tokens": "M5.5 10.5a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 8h6M12 8v2.5",
    "jobs": "M8 2.5v2M8 11.5v2M2.5 8h2M11.5 8h2M4.1 4.1l1.4 1.4M10.5 10.5l1.4 1.4M4.1 11.9l1.4-1.4"
    "M10.5 5.5l1.4-1.4",
    "admin": "M8 2.5l4.5 1.5v4c0 2.7-1.8 4.6-4.5 5.5C5.3 12.6 3.5 10.7 3.5 8V4z",
    "home": "M2.5 7.5 8 2.5l5.5 5M4 6.5v7h8v-7",
    "search": "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.2 10.2l3.3 3.3",
    "user": "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8zM3 13.5c.3-2.6 2.2-4 5-4s4.7 1.4 5 4",
}


def icon(name: str) -> Markup:
    """Return an icon for beside a word, which says the same: readers of the screen skip it."""
    return Markup(
        '<svg class="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(_PATHS[name])
