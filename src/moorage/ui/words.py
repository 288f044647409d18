"""How values read on a page: sizes, times, digests, names of events."""

from datetime import UTC, datetime

from markupsafe import Markup

_UNITS = ("kB", "MB", "GB", "TB", "PB")
_STEP = 1000
_WHOLE = 100
_MINUS = "\N{MINUS SIGN}"
_SHORT = 12
_SOON = 45
_SPANS = (
    (60, 60, "min"),
    (3_600, 24, "h"),
    (86_400, 30, "d"),
    (86_400 * 30, 12, "mo"),
    (86_400 * 365, 10**6, "y"),
)
DONE = {
    "signed-in": "You are signed in.",
    "signed-out": "You are signed out.",
    "password": "The new password is in force; what was signed in with the old one has ended.",
    "second-factor": "From now on, signing in asks for a code of your device.",
    "no-second-factor": "Signing in asks for no code any more.",
    "restored": "Restored. Nothing of the history was rewritten: this is a new entry in it.",
    "tag-deleted": "The tag is deleted. Its history keeps what it named: it can be restored here.",
    "deleted": "Deleted. It can be restored for as long as it is in the trash.",
    "renamed": "Renamed. The name before goes on leading here, until another image is made of it.",
    "visibility": "The visibility is changed.",
    "rule-added": "The rule is in force.",
    "rule-removed": "The rule is gone.",
    "about": "The description is changed.",
    "created": "Created.",
    "revoked": "Revoked: nothing more can be done with it.",
    "withdrawn": "Withdrawn: the link leads nowhere any more.",
    "granted": "Granted, from the next request on.",
    "removed": "Removed, from the next request on.",
    "enabled": "In force again.",
    "disabled": "Out of force.",
    "retried": "It will run now.",
    "cancelled": "Given up.",
    "collected": "A clean-up was started.",
    "changed": "Changed.",
}


def size(count: int | None) -> str:
    """Return a number of bytes as people read it, in steps of a thousand as `docker` has them."""
    if count is None:
        return "—"
    if abs(count) < _STEP:
        return f"{count} B"
    exponent = 1
    while abs(count) >= (_STEP - 0.5) * _STEP**exponent and exponent < len(_UNITS):
        exponent += 1
    number = count / _STEP**exponent
    unit = _UNITS[exponent - 1]
    return f"{number:.0f} {unit}" if abs(number) >= _WHOLE else f"{number:.1f} {unit}"


def difference(count: int | None) -> str:
    """Return how many bytes more or fewer, with its sign; empty where it is not known."""
    if count is None:
        return ""
    if not count:
        return "±0"
    return f"{'+' if count > 0 else _MINUS}{size(abs(count))}"


def step(instruction: str) -> str:
    """Return a step of a Dockerfile with each of its commands on a line, as people write it."""
    return (
        instruction.replace(" && ", " \\\n && ") if instruction.startswith("RUN ") else instruction
    )


def short(digest: str) -> str:
    """Return the first twelve digits of a digest, without its algorithm."""
    return digest.partition(":")[2][:_SHORT] or digest[:_SHORT]


def since(moment: datetime, now: datetime) -> str:
    """Return how long ago, or in how long, in one word."""
    seconds = int((now - moment).total_seconds())
    ahead, seconds = seconds < 0, abs(seconds)
    if seconds < _SOON:
        return "in a moment" if ahead else "just now"
    text = ""
    for length, most, name in _SPANS:
        count = max(1, seconds // length)
        text = f"{count} {name}"
        if count < most:
            break
    return f"in {text}" if ahead else f"{text} ago"


def moment(value: datetime | str | None, now: datetime) -> Markup:
    """Return a time as an element that says it relatively, and exactly where it is pointed at."""
    if value is None:
        return Markup('<span class="muted">never</span>')
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    exact = found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    stamp = found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        stamp, exact, since(found, now)
    )


def day(value: datetime | None) -> str:
    """Return a date in words that are the same everywhere."""
    return f"{value.day} {value.strftime('%B %Y')}" if value is not None else "never"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
