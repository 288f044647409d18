"""`moorage help`: what no single command says of itself."""

import click

from moorage.errors import Refused

TOPICS = {
    "exit-codes": (
        "What a command ends with.",
        """
0    done
1    failed
2    usage: an unknown option, a setting or a name that can't be
3    not found, or nothing of that name that you may see
4    not signed in, or not allowed
5    refused by a rule, whoever asks
7    a check found problems, or the answer is no
8    the server does not answer
9    what is there does not allow it: somebody changed it, a name is taken
130  interrupted
""",
    ),
    "references": (
        "How images are written.",
        """
web/shop                    the tag latest of a repository
web/shop:1.4                a tag
web/shop@sha256:9f86d081…   a digest; eight of its digits will do where no other begins so
:1.4                        as the second of two, a tag of the first one's repository
""",
    ),
    "output": (
        "How commands print, and how to have less of it.",
        """
-o table    for people; -o wide has more columns, and cuts nothing
-o json     as the API has it; jsonl is one document a line; yaml the same as YAML
-o csv      the columns with their titles; plain has tabs and no titles
-o name     names alone, one a line
--columns tag,size       these columns, in this order
--sort -size             sorted by a column, the largest first
--limit 200, --limit all how many; all pages are fetched for --sort
--no-color               without colours; $NO_COLOR says so too, $CLICOLOR_FORCE=1 the opposite
""",
    ),
    "contexts": (
        "Which registry a command speaks to.",
        """
1. --server or $MOORAGE_SERVER: a host, the name of a context, or local
2. this host's own server, where --data or --config names it
3. the context in use: moorage context use NAME
4. the registry signed in to last: moorage login HOST
5. this host's own server, by its admin socket

Names are in ~/.config/moorage/contexts.toml, what you sign in with in hosts.json beside it.
""",
    ),
    "environment": (
        "Variables that count.",
        """
MOORAGE_SERVER       the registry to speak to
MOORAGE_TOKEN_FILE   a file with a token to ask with
MOORAGE_CONFIG       the settings of this host's own server
MOORAGE_TRACE        shows the trace of a fault of the program
NO_COLOR             no colours
XDG_CONFIG_HOME      where moorage/hosts.json and moorage/contexts.toml are
HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE   as everywhere
""",
    ),
}


@click.command("help")
@click.argument("topic", required=False)
def topics(topic: str | None) -> None:
    """Explain what no single command says of itself.

    \b
    moorage help exit-codes
    moorage help references
    moorage help output
    """
    if topic is None:
        for name, (told, _) in TOPICS.items():
            click.echo(f"{name:<12}  {told}")
        click.echo("\nmoorage COMMAND --help says how a command is used.")
        return
    found = TOPICS.get(topic)
    if found is None:
        raise Refused(
            f"There is no help on {topic!r}.",
            do=f"There is on {', '.join(TOPICS)}; of a command, moorage {topic} --help has some.",
            exit_code=3,
        )
    click.echo(found[1].strip("\n"))
