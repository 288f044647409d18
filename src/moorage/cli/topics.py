"""`moorage help`: what no single command says of itself."""

from difflib import get_close_matches

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
6    partly done: what was not is told, and can be done again
7    a check found problems, or the answer is no
8    the server does not answer
9    what is there does not allow it: somebody changed it, a name is taken
130  interrupted
""",
    ),
    "errors": (
        "How refusals are told, to people and to programs.",
        """
Error: what happened
Why:   why, where there is more to say
Do:    what to do about it
Ref:   the request's number, by which the server's log has more

With -o json, jsonl or yaml it is one document on standard error:

{"error": {"code", "message", "why", "do", "request_id"}}

The code is the server's, as NOT_FOUND, DENIED, CONFLICT or UNAUTHORIZED; of what the program
refuses by itself it is USAGE, NOT_FOUND, DENIED, PARTLY_DONE, PROBLEMS_FOUND, UNREACHABLE,
CONFLICT or FAILED. -v tells each request with its number, -vv traces a fault of the program.
""",
    ),
    "references": (
        "How images are written.",
        """
web/shop                    the tag latest of a repository
web/shop:1.4                a tag
web/shop@sha256:9f86d081…   a digest; eight of its digits will do where no other begins so
:1.4                        as the second of two, a tag of the first one's repository
registry.example/web/shop   the host of a registry that you are signed in to, or of a context
localhost:5000/web/shop     with a port it is any host
""",
    ),
    "output": (
        "How commands print, and how to have less of it.",
        """
-o table    for people; -o wide has more columns, and cuts nothing
-o json     as the API has it; jsonl is one document a line; yaml the same as YAML
-o csv      the columns with their titles; plain has tabs and no titles
-o name     names alone, one a line
-o go-style='{{.name}} {{json .tags}}'   a line for each, by a template
--json, --plain          short for -o json and -o plain
--columns tag,size       these columns, in this order
--sort -size             sorted by a column, the largest first
--limit 200, --limit all how many; all pages are fetched for --sort
-q                       nothing but what was asked for
--no-color               without colours; $NO_COLOR says so too, $CLICOLOR_FORCE=1 the opposite

All of these may stand before the command too: moorage -o json repo list
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
    "env-vars": (
        "Variables that count.",
        """
MOORAGE_SERVER       the registry to speak to
MOORAGE_TOKEN_FILE   a file with a token to ask with
MOORAGE_CONFIG       the settings of this host's own server
MOORAGE_TRACE        shows the trace of a fault of the program
MOORAGE_…            any setting of a server: moorage config explain KEY names its variable
NO_COLOR             no colours
CLICOLOR_FORCE       colours without a terminal too
XDG_CONFIG_HOME      where moorage/hosts.json and moorage/contexts.toml are
HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE   as everywhere
""",
    ),
}


@click.command("help")
@click.argument("topic", nargs=-1, shell_complete=lambda *_: list(TOPICS))
@click.pass_context
def topics(context: click.Context, topic: tuple[str, ...]) -> None:
    """Explain what no single command says of itself, or show the help of a command.

    \b
    moorage help exit-codes
    moorage help references
    moorage help tag list
    """
    if not topic:
        for name, (told, _) in TOPICS.items():
            click.echo(f"{name:<12}  {told}")
        click.echo("\nmoorage COMMAND --help says how a command is used.")
        return
    found = TOPICS.get(" ".join(topic))
    click.echo(found[1].strip("\n") if found is not None else _help_of(context, topic))


def _help_of(context: click.Context, words: tuple[str, ...]) -> str:
    """Return what a command says of itself.

    Raises:
        Refused: there is none of that name.
    """
    inner = context.find_root()
    for word in words:
        group = inner.command if isinstance(inner.command, click.Group) else None
        command = group.get_command(inner, word) if group is not None else None
        if command is None:
            known = [*TOPICS, *(group.list_commands(inner) if group is not None else ())]
            near = get_close_matches(word, known, 1)
            raise Refused(
                f"There is no help on {' '.join(words)!r}.",
                do=f"Did you mean {near[0]}?" if near else f"There is on {', '.join(TOPICS)}.",
                exit_code=3,
            )
        inner = click.Context(command, parent=inner, info_name=word)
    return inner.get_help()
