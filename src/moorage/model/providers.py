"""Who tells about people from outside, and what one of them said."""

import msgspec


class Provider(msgspec.Struct, frozen=True):
    """An OpenID provider that people sign in by; `secret` is enciphered, empty without one.

    `url` is its issuer to the letter. `name_claim` and `groups_claim` are which claims of an
    identity token a new account is named by, and which has the person's groups.
    """

    name: str
    url: str
    client_id: str
    secret: bytes
    scopes: str
    name_claim: str
    groups_claim: str
    enabled: bool
    created_at: int

    def __repr__(self) -> str:
        """Show no more than which one it is."""
        return f"Provider({self.name!r})"


class Person(msgspec.Struct, frozen=True):
    """Whom a provider has proved at this moment; only `subject` says for ever who it is.

    `name` is what an account would be called, empty if the provider gives none that could be.
    """

    subject: str
    name: str
    full_name: str
    email: str
    groups: frozenset[str]


class Attempt(msgspec.Struct, frozen=True):
    """A sign-in that has begun in one browser, and where that wants to go on."""

    provider: str
    verifier: str
    nonce: str
    then: str
    expires_at: int

    def __repr__(self) -> str:
        """Show nothing of its secrets."""
        return f"Attempt({self.provider!r})"


class Identity(msgspec.Struct, frozen=True):
    """The account that a provider's subject has or had here."""

    account_id: int
    name: str
    enabled: bool
    is_ended: bool
