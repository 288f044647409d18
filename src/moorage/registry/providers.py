"""Where people from outside are known: OpenID providers, registered by administrators.

How somebody signs in by one is in `registry/outside.py`, its groups are in `registry/teams.py`.
"""

import msgspec

from moorage.db import identities, members, principals, providers
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Invalid, NotFound, Unavailable
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.model.people import AccountRecord
from moorage.model.providers import Provider
from moorage.oci.names import is_component
from moorage.registry import accounts, rights
from moorage.registry.issuers import host_of
from moorage.registry.services import Services

_LONGEST = 512
_LONGEST_SUBJECT = 255


class NewProvider(msgspec.Struct, frozen=True):
    """A provider as an administrator registers it; `secret` is empty for a public client."""

    name: str
    url: str
    client_id: str
    secret: str = ""
    scopes: str = "openid profile email"
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"

    def __repr__(self) -> str:
        """Show no secret."""
        return f"NewProvider({self.name!r}, {self.url!r})"


async def add_provider(s: Services, actor: Actor, wanted: NewProvider, by: TagChange) -> Provider:
    """Register a provider, once it has answered as one.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        Invalid: it can't be one, or does not answer.
        Conflicting: there is one of that name.
    """
    await rights.require_administrator(s, actor)
    _check(wanted)
    try:
        await s.openid.look(wanted.url)
    except Unavailable as problem:
        raise Invalid(problem.message, hint="Its address is what it calls its issuer") from None
    provider = Provider(
        wanted.name,
        wanted.url,
        wanted.client_id,
        _sealed(s, wanted.name, wanted.secret),
        wanted.scopes,
        wanted.name_claim,
        wanted.groups_claim,
        enabled=True,
        created_at=s.clock.now(),
    )

    async def write(tx: Tx) -> Provider:
        await rights.hold_administration(tx, actor)
        if not await providers.add_provider(tx, provider):
            raise Conflicting(f"there is a provider {provider.name} already")
        await _publish(s, tx, "provider.added", provider, by)
        return provider

    return await s.db.write(write)


async def list_providers(s: Services, actor: Actor, after: str, limit: int) -> list[Provider]:
    """Return up to `limit` providers whose names come behind `after`.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    return await s.db.read(lambda tx: providers.list_providers(tx, after, limit), pages=True)


async def find_provider(s: Services, actor: Actor, name: str) -> Provider:
    """Return one provider.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that name.
    """
    await rights.require_administrator(s, actor)

    async def read(tx: Tx) -> Provider:
        return present(await providers.find_provider(tx, name), name)

    return await s.db.read(read)


async def set_enabled(
    s: Services, actor: Actor, name: str, by: TagChange, *, enabled: bool
) -> Provider:
    """Let people sign in by the provider, or nobody from now on.

    Whoever is signed in stays so until the provider's last word is a day old.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that name.
    """
    kind = "provider.enabled" if enabled else "provider.disabled"
    return await _change(s, actor, name, by, (kind, {"enabled": enabled}))


async def set_secret(s: Services, actor: Actor, name: str, secret: str, by: TagChange) -> Provider:
    """Keep another secret for the registry at the provider.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that name.
        Invalid: it is none.
    """
    _check_line("the secret", secret, least=0)
    changes: dict[str, object] = {"secret": _sealed(s, name, secret)}
    return await _change(s, actor, name, by, ("provider.secret-changed", changes))


async def _change(
    s: Services,
    actor: Actor,
    name: str,
    by: TagChange,
    change: tuple[str, dict[str, object]],
) -> Provider:
    await rights.require_administrator(s, actor)
    kind, changes = change

    async def write(tx: Tx) -> Provider:
        await rights.hold_administration(tx, actor)
        found = present(await providers.take_provider(tx, name), name)
        changed = msgspec.structs.replace(found, **changes)
        if changed == found:
            return found
        await providers.set_provider(tx, name, enabled=changed.enabled, secret=changed.secret)
        await _publish(s, tx, kind, changed, by)
        return changed

    return await s.db.write(write)


async def remove_provider(s: Services, actor: Actor, name: str, by: TagChange) -> None:
    """Forget a provider that nobody is of.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that name.
        Conflicting: an account or a team hangs on it.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        await rights.hold_administration(tx, actor)
        found = present(await providers.take_provider(tx, name), name)
        if not await providers.end_provider(tx, found.name):
            raise Conflicting(
                f"there are accounts or groups of {name}",
                hint="Disable it; or make its accounts local and take its groups from teams first",
            )
        await _publish(s, tx, "provider.removed", found, by)

    await s.db.write(write)


async def bind_account(
    s: Services, actor: Actor, name: str, identity: tuple[str, str], by: TagChange
) -> AccountRecord:
    """Have an account be that of a provider's subject, or of this registry alone if both are empty.

    For who had an account before there was the provider, and for who was deleted and is to come
    back: the identity leaves the account that has ended. Its sessions and what its password got
    end, and so do its memberships by a provider's word; its tokens stay.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is no such account or provider.
        Conflicting: the identity is another account's.
    """
    await rights.require_administrator(s, actor)
    provider, subject = identity
    if bool(provider) != bool(subject) or len(subject) > _LONGEST_SUBJECT:
        raise Invalid("an identity is a provider and the subject that it knows the person by")

    async def write(tx: Tx) -> AccountRecord:
        known = await accounts.present(s, tx, actor, name)
        await rights.hold_administration(tx, actor, [known.id])
        account = await accounts.present(s, tx, actor, name)
        now = s.clock.now()
        if account.provider:
            await providers.leave_all(tx, account.id, account.provider)
        if provider:
            present(await providers.hold_provider(tx, provider), provider)
            before = await identities.find_identity(tx, provider, subject)
            if before is not None and not before.is_ended and before.account_id != account.id:
                raise Conflicting(f"that is who {before.name} is")
            if before is not None:
                await identities.bind(tx, before.account_id, "", "", now)
        await identities.bind(tx, account.id, provider, subject, now)
        await principals.end_credentials(tx, account.id)
        await members.revoke_sessions(tx, account.id, now)
        data = {"account": name, "provider": provider, "subject": subject}
        await s.events.publish(tx, Event("account.bound", 0, now, by, data))
        return await accounts.present(s, tx, actor, name)

    return await s.db.write(write)


def present(found: Provider | None, name: str) -> Provider:
    """Return the provider that was found.

    Raises:
        NotFound: none was.
    """
    if found is None:
        raise NotFound(f"there is no provider {name}")
    return found


def _check(wanted: NewProvider) -> None:
    if not is_component(wanted.name):
        raise Invalid(
            "that is no name of a provider",
            hint="Use lower-case letters, digits, and single . _ or - between them",
        )
    host_of(wanted.url)
    _check_line("the client id", wanted.client_id)
    _check_line("the secret", wanted.secret, least=0)
    _check_line("the claim of the name", wanted.name_claim)
    _check_line("the claim of the groups", wanted.groups_claim, least=0)
    _check_line("the scopes", wanted.scopes)
    if "openid" not in wanted.scopes.split():
        raise Invalid("the scopes must have openid")


def _check_line(what: str, text: str, least: int = 1) -> None:
    if not least <= len(text) <= _LONGEST or not text.isprintable():
        raise Invalid(f"{what} has {least} to {_LONGEST} printable characters")


def _sealed(s: Services, name: str, secret: str) -> bytes:
    return s.provider_secrets.seal(name, secret.encode()) if secret else b""


async def _publish(s: Services, tx: Tx, kind: str, provider: Provider, by: TagChange) -> None:
    data = {"provider": provider.name, "issuer": provider.url, "client_id": provider.client_id}
    await s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data))
