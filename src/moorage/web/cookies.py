"""Cookies of pages: scripts can't read them, and browsers send them with no other site's post."""

from moorage.web.origin import own_origin
from moorage.web.request import Request

SESSION = "moorage"
SIGN_IN = "moorage-sign-in"
# What ties the forms of a browser that is not signed in to it, and how its pages look.
FORM = "moorage-form"
THEME = "moorage-theme"


def is_encrypted(request: Request, url: str) -> bool:
    """Tell whether the browser speaks to the registry by HTTPS; `url` is that of the settings."""
    return own_origin(request, url).startswith("https://")


def cookie_name(request: Request, url: str, name: str) -> str:
    """Return a cookie's name; the browser itself keeps the longer one to encrypted addresses."""
    return f"__Host-{name}" if is_encrypted(request, url) else name


def new_cookie(request: Request, url: str, name: str, value: str, seconds: int) -> str:
    """Return what sets a cookie for so long; with none, the browser forgets it."""
    secure = "; Secure" if is_encrypted(request, url) else ""
    named = cookie_name(request, url, name)
    return f"{named}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def cookie_of(request: Request, url: str, name: str) -> str:
    """Return what the cookie says, empty if there is none, or more than one of its name.

    Another site on the same host may have set one of them.
    """
    named = cookie_name(request, url, name)
    parts = ";".join(request.headers.getall("Cookie", [])).split(";")
    pairs = [part.strip().partition("=") for part in parts]
    values = [value for key, _, value in pairs if key == named]
    return values[0] if len(values) == 1 else ""
