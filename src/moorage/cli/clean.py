"""Texts of somebody else's, without what would steer the terminal that they are shown on."""


def clean(text: str) -> str:
    """Return a text on one line, in which nothing steers a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def clean_lines(text: str) -> str:
    """Return a text with its lines and tabs, in which nothing else steers a terminal."""
    return "".join(letter if letter in "\n\t" else clean(letter) for letter in text)
