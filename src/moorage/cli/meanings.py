"""What each setting means, in Markdown: for the reference, and for `moorage config explain`."""

MEANINGS = {
    "listen": "`host:port`, `[v6]:port`, `:port` (every interface) or `unix:path`",
    "data": "the data directory, on a local disk",
    "database": (
        "PostgreSQL for metadata, as `postgresql://user@host/name`; empty is SQLite in the "
        "data directory. What stands behind a `?` is libpq's, but for `prepare=off`: no "
        "prepared statements, for PgBouncer before 1.21"
    ),
    "database_connections": "connections to PostgreSQL, for each process",
    "storage": ("an object store for blobs, as `s3://bucket/prefix`; empty is the data directory"),
    "url": (
        "the address that clients use, as `https://registry.example`; `doctor` tries it; ends "
        "local mode"
    ),
    "trusted_proxies": (
        "proxies in front; addresses, networks (no wider than `/8`, of version 6 `/7`) or "
        "names, `*` is refused; ends local mode, and their `X-Forwarded-For` says which "
        "client it is, see [below](#behind-a-proxy)"
    ),
    "workers": "serving processes, up to 256; 0 is one for each core, at most 4",
    "allow_sparse": (
        "what may lack the content it names: `never`, `indexes` (an index its manifests), "
        "`always` (layers too); `true` is `always`, `false` is `never`"
    ),
    "visibility": (
        "of repositories that a push makes: `private`, `internal` (as private, until there "
        "are accounts), `public`"
    ),
    "trash_days": (
        "how long what was deleted can be restored, whole days "
        "([history.md](../explanation/history.md)); 0: not at all"
    ),
    "admin_user": "the administrator's name; ends local mode",
    "admin_password_file": (
        "a file with the password, 12 characters at least; goes with `admin_user`"
    ),
    "admin_socket": (
        "whether root and the server's own user administer the registry on its host without a "
        "login: `on`, `off`, or `auto`: not in containers"
    ),
    "s3.endpoint": "the object store's address, where it is not AWS",
    "s3.region": "its region; empty is what the AWS settings say, else `us-east-1`",
    "s3.addressing": (
        "the bucket in the `path`, in the host name (`virtual`), or `auto`: in the path "
        "wherever `s3.endpoint` is set"
    ),
    "s3.part_bytes": "size of a part of a large blob; one upload holds about three in memory",
    "s3.encryption": "by the object store: `AES256` or `aws:kms`",
    "s3.encryption_key": "the key for `aws:kms`",
    "s3.ca_file": "the certificates (PEM) that the endpoint's is checked against",
    "redirect.blobs": (
        "clients fetch blobs from the object store themselves, by an address that is good for "
        "15 minutes"
    ),
    "redirect.except_repositories": (
        "namespaces and repositories for which it is the other way round"
    ),
    "redirect.except_clients": (
        "networks, as `10.0.0.0/8`, whose clients have it the other way round"
    ),
    "outbound.allow": (
        "networks inside, as `10.20.0.0/16`, that the server may connect to where a user or "
        "an issuer of identity tokens names an address in them; without it only public "
        "addresses, by https ([ci.md](../explanation/ci.md))"
    ),
    "tls.cert": "a certificate with its chain (PEM), read again when it changes",
    "tls.key": "its key (PEM); goes with `tls.cert`",
    "log.format": "`json`, `text`, or `auto`: text on a terminal",
    "log.access": "one line for each request",
    "limits.manifest_bytes": "larger manifests are 413; most clients read no larger ones",
    "limits.tags_per_push": "`?tag=` in one PUT; more are 414",
    "limits.body_idle_seconds": "a body that stands still this long is 408",
    "limits.keepalive_seconds": "idle connections, and headers that never end",
    "limits.drain_seconds": "how long a stop waits for requests under way",
    "limits.upload_hours": "an upload ends this long after its last byte",
    "limits.uploads_per_repository": "begun and unfinished; more are 429",
    "limits.failed_sign_ins": (
        "wrong passwords for a name in a minute, for each serving process; an address may err "
        "three times as often, and 30 times with tokens; more are 429"
    ),
    "limits.anonymous_pulls": (
        "manifests that an address may pull without signing in; more are 429 "
        "([access.md](../explanation/access.md#fair-use)); 0 is no limit"
    ),
    "limits.anonymous_pulls_seconds": "in so long a time, up to 30 days",
    "limits.free_bytes": "below this, pushes are 507; pulls and deletes go on",
    "collection.every_minutes": (
        "how often collection looks for what can be removed "
        "([collection.md](../explanation/collection.md))"
    ),
    "collection.lease_hours": "how long a pusher has from a blob to the manifest that names it",
    "collection.delay_hours": (
        "how long bytes stay after nothing has them any more, for pulls and backups under "
        "way; with an object store whose addresses clients get, at least a third of an hour"
    ),
    "collection.stop_count": "a run that would remove more than this …",
    "collection.stop_percent": (
        "… and more than this part of all there is removes nothing and waits for `moorage gc "
        "resume`; 100 never stops"
    ),
    "verification.scrub_days": (
        "within how many days the bytes of every blob are read to see that they are right "
        "([verification.md](../explanation/verification.md)); 0 never reads them"
    ),
    "verification.mib_per_second": (
        "how fast a scrub or a check reads at most; 0 as fast as it can"
    ),
}
