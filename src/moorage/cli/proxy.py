"""`moorage config proxy`: a configuration for the proxy in front, complete and ready to be used.

Nothing in it ties a client to a replica, and nothing is repeated that might have been done.
"""

import ipaddress
import re

import click
import msgspec

from moorage.config import Config
from moorage.errors import Refused
from moorage.web.listen import Address, parse_address

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._/+-]+", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
# A body that stands still is ended by Moorage, whose answer says why; the proxy waits longer.
_GRACE_SECONDS = 30
# Moorage must not close a connection in the moment in which the proxy uses it again.
_EARLIER_SECONDS = 15

_NGINX = """\
# Moorage behind nginx: put this into /etc/nginx/conf.d/moorage.conf, then `nginx -t`.

# Whether a request may be given to another replica; those of a million bytes and more don't fit
# into what nginx reads before it sends.
map "$request_method $http_transfer_encoding $content_length" $moorage_repeat {
    default "";
    "~^(PUT|DELETE)  [0-9]{0,6}$" unsent;
    "~^(PUT|DELETE) [^ ]" never;
}

upstream moorage {
    # What one process of nginx learns about a replica, all know.
    zone moorage_replicas 128k;
    least_conn;
@SERVERS@
    keepalive 64;
    keepalive_timeout @IDLE@s;
}

server {
@LISTEN@
    server_name @NAME@;

    # Bodies of any size, passed on as they come: nothing is written to this machine's disk.
    client_max_body_size 0;
    client_body_buffer_size 256k;
    proxy_request_buffering off;
    proxy_buffering off;
    gzip off;

    # Tokens may be long.
    large_client_header_buffers 4 64k;
    proxy_buffer_size 64k;
    proxy_buffers 4 64k;

    # These count from byte to byte: an upload may take hours.
    client_body_timeout @BODY@s;
    send_timeout 3600s;
    proxy_connect_timeout 5s;
    proxy_send_timeout 3600s;
    proxy_read_timeout 3600s;
    keepalive_timeout 75s;
    keepalive_requests 10000;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Request-Id $request_id;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    # What a client says about proxies before this one is not passed on.
    proxy_set_header Forwarded "";
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Real-IP "";

    # Another replica is tried when one can't be reached. Once a request was sent, only GET and
    # HEAD are repeated: nginx leaves POST and PATCH alone by itself, and a body that it passes on
    # while it comes. A short PUT or a DELETE it would send again, which could undo what another
    # client did in between: those go to @unsent, and chunked ones, whose length it can't see, to
    # @once.
    recursive_error_pages on;
    location / {
        error_page 418 = @unsent;
        error_page 421 = @once;
        error_page 502 504 = @failed;
        if ($moorage_repeat = unsent) {
            return 418;
        }
        if ($moorage_repeat = never) {
            return 421;
        }
        # A 503 of one replica is one of all: their database or store is away.
        proxy_next_upstream error timeout;
        proxy_next_upstream_tries 3;
        proxy_pass http://moorage;
    }

    # One replica at a time, and the next only if not one byte was sent to those before.
    location @unsent {
        error_page 421 = @failed;
        if ($upstream_bytes_sent !~ "^(0( : 0){0,4})?$") {
            return 421;
        }
        error_page 502 504 = @unsent;
        # The body is read before, so that it can go to the next; it is short and stays in memory.
        client_body_buffer_size 1m;
        proxy_request_buffering on;
        proxy_next_upstream off;
        proxy_pass http://moorage;
    }

    location @once {
        error_page 502 504 = @failed;
        proxy_next_upstream off;
        proxy_pass http://moorage;
    }

    location @failed {
        default_type application/json;
        add_header Retry-After 1 always;
        return 502 '{"errors":[{"code":"UNAVAILABLE","message":
            "no answer: a replica may have died with this request; look, or try again"}]}';
    }
}
"""

_NGINX_PLAIN = """\
    listen @BIND@;
    # With a certificate (or print this with --cert and --key):
    # listen 443 ssl;
    # ssl_certificate /etc/nginx/registry.crt;
    # ssl_certificate_key /etc/nginx/registry.key;
    # ssl_protocols TLSv1.2 TLSv1.3;"""

_NGINX_TLS = """\
    listen @BIND@ ssl;
    ssl_certificate @CERT@;
    ssl_certificate_key @KEY@;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:moorage_tls:10m;"""

_HAPROXY = """\
# Moorage behind HAProxy: this is the whole /etc/haproxy/haproxy.cfg; `haproxy -c -f` checks it.

global
    log stdout format raw local0
@USER@
    maxconn 4096
    # Headers of 64 KiB in all: tokens may be long.
    tune.bufsize 98304
    tune.maxrewrite 8192
    tune.http.maxhdr 256

defaults
    mode http
    log global
    option httplog
    option dontlognull
    timeout connect 5s
    timeout http-request 30s
    timeout http-keep-alive 75s
    timeout queue 60s
    # These count from byte to byte: an upload may take hours.
    timeout client 3600s
    timeout server 3600s

frontend registry
@LISTEN@
    # What a client says about proxies before this one is not passed on.
    http-request del-header Forwarded
    http-request del-header X-Forwarded-Host
    http-request del-header X-Real-IP
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http unless { ssl_fc }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    unique-id-format %[uuid()]
    http-request set-header X-Request-Id %[unique-id]
    default_backend moorage
@RESOLVERS@

backend moorage
    balance leastconn
    http-reuse safe
    # Another replica is tried when a connection can't be made; what was sent is never repeated.
    retries 3
    retry-on conn-failure
    option redispatch 1
    # Not /readyz: when the database or the store is away, it is for all replicas. Each says so
    # itself, with when to try again, and serves what it still can; HAProxy could only say 503.
    option httpchk
    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host @NAME@
    http-check expect status 200
    default-server check inter 2s fall 2 rise 1@RESOLVE@
@SERVERS@
"""

_HAPROXY_PLAIN = """\
    bind @BIND@
    # With a certificate (or print this with --cert); the file has the key too:
    # bind :443 ssl crt /etc/haproxy/registry.pem alpn http/1.1 ssl-min-ver TLSv1.2"""

_HAPROXY_TLS = "    bind @BIND@ ssl crt @CERT@ alpn http/1.1 ssl-min-ver TLSv1.2"

_HAPROXY_RESOLVERS = """
resolvers system
    parse-resolv-conf
    hold valid 5s"""


class Front(msgspec.Struct, frozen=True):
    """What is asked of a proxy, as typed; empty texts and lists were not given."""

    program: str
    replicas: tuple[str, ...]
    server_name: str
    bind: str
    cert: str
    key: str
    user: str


def write(config: Config, front: Front) -> None:
    """Print the configuration of nginx or HAProxy before these replicas.

    Without replicas it is the settings' first listener; without a server name that of `url`.

    Raises:
        Refused: a name, an address or a file that can't stand in a configuration file.
    """
    if config.tls.cert:
        raise Refused(
            "The proxy speaks plain HTTP to the replicas, and these settings make them speak TLS.",
            why="tls.cert is set.",
            do="Leave tls.cert and tls.key out, and give the proxy --cert and --key.",
            exit_code=2,
        )
    replicas = [_replica(text) for text in front.replicas or (_first_listener(config),)]
    render = {"nginx": _nginx, "haproxy": _haproxy}[front.program]
    click.echo(render(config, front, replicas), nl=False)


def _nginx(config: Config, front: Front, replicas: list[Address]) -> str:
    if bool(front.cert) != bool(front.key):
        raise _unusable("--cert", front.cert, "nginx needs a certificate and its key", "--key FILE")
    servers = (
        f"    server {f'unix:{each.path}' if each.path else each} max_fails=2 fail_timeout=5s;"
        for each in replicas
    )
    bind = _bind(front)
    return _filled(
        _NGINX,
        LISTEN=_NGINX_TLS if front.cert else _NGINX_PLAIN,
        SERVERS="\n".join(servers),
        BIND=str(bind) if bind.host else str(bind.port),
        NAME=_server_name(config, front) or "_",
        CERT=_file("--cert", front.cert),
        KEY=_file("--key", front.key),
        IDLE=str(max(1, int(config.limits.keepalive_seconds) - _EARLIER_SECONDS)),
        BODY=str(int(config.limits.body_idle_seconds) + _GRACE_SECONDS),
    )


def _haproxy(config: Config, front: Front, replicas: list[Address]) -> str:
    if front.key:
        raise _unusable(
            "--key",
            front.key,
            "HAProxy reads a certificate and its key from one file",
            "--cert FILE, which has both",
        )
    if front.user and not _USER.fullmatch(front.user):
        raise _unusable("--user", front.user, "it is not the name of a user", "--user haproxy")
    servers = (
        f"    server moorage{number} {f'unix@{each.path}' if each.path else each}"
        for number, each in enumerate(replicas, 1)
    )
    # Names are looked up again while HAProxy runs: a container that was made anew has moved.
    named = any(each.host and not _is_ip(each.host) for each in replicas)
    return _filled(
        _HAPROXY,
        USER=f"    user {front.user}\n    group {front.user}" if front.user else "",
        LISTEN=_HAPROXY_TLS if front.cert else _HAPROXY_PLAIN,
        RESOLVERS=_HAPROXY_RESOLVERS if named else "",
        RESOLVE=" resolvers system init-addr last,libc,none" if named else "",
        SERVERS="\n".join(servers),
        BIND=str(_bind(front)),
        NAME=_server_name(config, front) or "moorage",
        CERT=_file("--cert", front.cert),
    )


def _filled(template: str, **values: str) -> str:
    """Return the template with each `@NAME@` replaced; a line of nothing but an empty one goes.

    Values that are templates themselves come first.
    """
    for name, value in values.items():
        if not value:
            template = template.replace(f"\n@{name}@\n", "\n")
        template = template.replace(f"@{name}@", value)
    return template


def _first_listener(config: Config) -> str:
    address = parse_address(config.listen[0])
    if not address.path and address.host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared only
        return f"127.0.0.1:{address.port}"
    return str(address)


def _replica(text: str) -> Address:
    address = parse_address(text)
    is_known = _PATH.fullmatch(address.path) if address.path else _is_host(address.host)
    if not is_known or not (address.path or address.port):
        raise _unusable("--replica", text, "it is not host:port", "--replica 192.0.2.7:5000")
    return address


def _bind(front: Front) -> Address:
    text = front.bind or (":443" if front.cert else ":80")
    address = parse_address(text)
    if not address.port or (address.host and not _is_ip(address.host)):
        raise _unusable("--bind", text, "it is neither an IP address with a port nor :port", ":443")
    return address


def _server_name(config: Config, front: Front) -> str:
    name = front.server_name
    if not name and config.url:
        name = re.sub(r":\d+$", "", config.url.partition("://")[2])
    if name and not _is_host(name):
        raise _unusable("--server-name", name, "it is not a host name", "registry.example")
    return name


def _file(option: str, path: str) -> str:
    if path and not _PATH.fullmatch(path):
        why = "it must be a whole path, of letters, digits and ._+- only"
        raise _unusable(option, path, why, f"{option} /etc/ssl/registry.pem")
    return path


def _is_host(text: str) -> bool:
    return _is_ip(text) or (len(text) <= 253 and _HOST.fullmatch(text) is not None)


def _is_ip(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _unusable(option: str, text: str, why: str, example: str) -> Refused:
    return Refused(
        f"{option} can't be {text!r}.",
        why=why[0].upper() + why[1:] + ".",
        do=f"Write it as {example}.",
        exit_code=2,
    )
