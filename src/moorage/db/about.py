"""What repositories are about: as people wrote it, else as their images say."""

import msgspec
import sqlalchemy as sa

from moorage.db.about_schema import about
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Tx, insert


class About(msgspec.Struct, frozen=True):
    """A description and a README, and how often they were changed; `found` is an image's own."""

    description: str = ""
    readme: str = ""
    version: int = 0
    changed_at: int = 0
    found: str = ""

    @property
    def shown(self) -> str:
        """The description that people are shown."""
        return self.description or self.found


FIND_ABOUT = Query(
    "find_about",
    sa.select(*(about.c[name] for name in About.__struct_fields__)).where(
        about.c.repository_id == sa.bindparam("repository_id")
    ),
)
ADD_ABOUT = Query(
    "add_about",
    insert(about)
    .values(
        repository_id=sa.bindparam("repository_id"),
        description=NO_TEXT,
        readme=NO_TEXT,
        version=ZERO,
        changed_at=ZERO,
        found=NO_TEXT,
        found_in=ZERO,
    )
    .on_conflict_do_nothing(),
)
# -1 is whatever version there is.
CHANGE_ABOUT = Query(
    "change_about",
    sa.update(about)
    .where(about.c.repository_id == sa.bindparam("number"))
    .where(
        sa.or_(
            sa.bindparam("expected", type_=sa.BigInteger) < ZERO,
            about.c.version == sa.bindparam("expected", type_=sa.BigInteger),
        )
    )
    .values(
        description=sa.bindparam("new_description"),
        readme=sa.bindparam("new_readme"),
        version=about.c.version + ONE,
        changed_at=sa.bindparam("now"),
    )
    .returning(about.c.version),
)
NOTE_FOUND = Query(
    "note_found_description",
    sa.update(about)
    .where(about.c.repository_id == sa.bindparam("number"))
    .where(about.c.found_in <= sa.bindparam("manifest_id"))
    .values(found=sa.bindparam("text"), found_in=sa.bindparam("manifest_id")),
)
FORGET_FOUND = Query(
    "forget_found_description",
    sa.update(about)
    .where(about.c.repository_id == sa.bindparam("number"))
    .where(about.c.found_in == sa.bindparam("manifest_id"))
    .values(found=NO_TEXT, found_in=ZERO),
)
DROP_ABOUT = Query(
    "drop_about", sa.delete(about).where(about.c.repository_id == sa.bindparam("repository_id"))
)


async def find_about(tx: Tx, repository_id: int) -> About:
    """Return what the repository is about; nothing and version 0 where nobody said."""
    row = await tx.one(FIND_ABOUT, repository_id=repository_id)
    return About(*row) if row else About()


async def change_about(
    tx: Tx, repository_id: int, description: str, readme: str, *, expected: int | None, now: int
) -> int | None:
    """Set both, and return the new version; None where it is not the expected one before.

    With no version expected, whatever there is is replaced.
    """
    await tx.run(ADD_ABOUT, repository_id=repository_id)
    row = await tx.one(
        CHANGE_ABOUT,
        number=repository_id,
        expected=-1 if expected is None else expected,
        new_description=description,
        new_readme=readme,
        now=now,
    )
    return row[0] if row else None


async def note_found(tx: Tx, repository_id: int, manifest_id: int, text: str) -> None:
    """Note what an image says, unless a newer one has said something."""
    await tx.run(ADD_ABOUT, repository_id=repository_id)
    await tx.run(NOTE_FOUND, number=repository_id, manifest_id=manifest_id, text=text)


async def forget_found(tx: Tx, repository_id: int, manifest_id: int) -> None:
    """Forget what an image says that has gone."""
    await tx.run(FORGET_FOUND, number=repository_id, manifest_id=manifest_id)
