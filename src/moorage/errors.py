"""Every failure that a client is told about: one class per code of the specification.

    RegistryError
    ├── BlobUnknown              BLOB_UNKNOWN 404
    ├── BlobUploadInvalid        BLOB_UPLOAD_INVALID 400
    │   ├── BodyTimeout          408
    │   └── BodyEncoded          415
    ├── BlobUploadUnknown        BLOB_UPLOAD_UNKNOWN 404
    ├── Conflicting              CONFLICT 409
    ├── Denied                   DENIED 403
    │   ├── NotPermitted         401
    │   ├── PreconditionFailed   412
    │   └── TagProtected         403
    ├── DigestInvalid            DIGEST_INVALID 400
    ├── Invalid                  INVALID 422
    ├── ManifestBlobUnknown      MANIFEST_BLOB_UNKNOWN 400
    ├── ManifestInvalid          MANIFEST_INVALID 400
    ├── ManifestUnknown          MANIFEST_UNKNOWN 404
    ├── NameInvalid              NAME_INVALID 400
    ├── NameUnknown              NAME_UNKNOWN 404
    ├── NotFound                 NOT_FOUND 404
    ├── PaginationNumberInvalid  PAGINATION_NUMBER_INVALID 400
    ├── RangeInvalid             RANGE_INVALID 416
    ├── SizeInvalid              SIZE_INVALID 400
    │   └── ManifestTooLarge     413
    ├── TagInvalid               TAG_INVALID 400
    │   └── TooManyTags          414
    ├── TooManyRequests          TOOMANYREQUESTS 429
    ├── Unauthorized             UNAUTHORIZED 401
    │   └── SignInNeeded         401
    ├── Unavailable              UNAVAILABLE 503
    │   └── InsufficientStorage  507
    ├── Unknown                  UNKNOWN 500
    └── Unsupported              UNSUPPORTED 405
        ├── RouteUnknown         404
        ├── QueryTooLong         414
        ├── TokenRequestInvalid  400
        ├── NotJson              415
        └── ExpectationFailed    417

The HTTP status stands in the class because the specification fixes it; `web/errors.py` is the only
place that turns an instance into bytes. `Refused` is the other root: a start-up, a configuration
or a command that can't go on, told to a person at a terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class RegistryError(Exception):
    """A refusal with a code of the distribution specification (section "Error Codes").

    `message` says what happened and why, `hint` what to do; both reach the client in one sentence
    each. `detail` is any JSON value for programs. `headers` go out with the answer. `problem` is
    the type of RFC 9457, for what has the code and the status of another.
    """

    code: ClassVar[str] = "UNKNOWN"
    status: ClassVar[int] = 500
    problem: ClassVar[str] = "about:blank"
    message: str = "the request failed"

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: Any = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the class's own message unless another one says more."""
        self.message = message or type(self).message
        self.detail = detail
        self.hint = hint
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(self.message)

    def entries(self) -> list[dict[str, Any]]:
        """Return the entries of the `errors` list: `code`, `message` and, where known, `detail`."""
        message = f"{self.message}. {self.hint}" if self.hint else self.message
        entry: dict[str, Any] = {"code": self.code, "message": message}
        if self.detail is not None:
            entry["detail"] = self.detail
        return [entry]


class Unknown(RegistryError):
    """A fault of the server itself; the reason is in its log only."""

    code = "UNKNOWN"
    status = 500
    message = "the server failed to answer; its log has the reason under this request's id"


class BlobUnknown(RegistryError):
    """No such blob in this repository."""

    code = "BLOB_UNKNOWN"
    status = 404
    message = "this repository has no such blob"


class BlobUploadInvalid(RegistryError):
    """An upload request that contradicts itself or its session."""

    code = "BLOB_UPLOAD_INVALID"
    status = 400
    message = "the upload request is invalid"


class BodyTimeout(BlobUploadInvalid):
    """The client stopped sending in the middle of a body."""

    status = 408
    message = "no byte of the body arrived for too long; what had arrived is kept, go on from there"


class BodyEncoded(BlobUploadInvalid):
    """A body under a content coding, which would change the bytes that the digest speaks of."""

    status = 415
    message = "a body must be sent as it is, without Content-Encoding"


class BlobUploadUnknown(RegistryError):
    """No such upload session in this repository."""

    code = "BLOB_UPLOAD_UNKNOWN"
    status = 404
    message = "this repository has no such upload: it was finished, cancelled or has expired"


class Denied(RegistryError):
    """The caller is known, and what it asks for is not allowed."""

    code = "DENIED"
    status = 403
    message = "this is not allowed"


class NotPermitted(Denied):
    """Who is signed in has not the right; 401, since its text reaches people through clients so.

    `disclose` says that the caller may know of the target: the management API then says 403,
    and otherwise 404.
    """

    status = 401

    def __init__(
        self,
        message: str | None = None,
        *,
        scope: str = "",
        disclose: bool = False,
        hint: str | None = None,
    ) -> None:
        """Keep the scope that would have been needed, in the grammar of the token service."""
        super().__init__(message, hint=hint)
        self.scope = scope
        self.disclose = disclose


class PreconditionFailed(Denied):
    """`If-Match` or `If-None-Match` does not hold (RFC 9110 section 13)."""

    status = 412
    message = "the tag is not what the request's condition says; nothing was changed"


class TagProtected(Denied):
    """A rule of the namespace or repository keeps the tag as it is; nothing was changed."""

    problem = "urn:moorage:problem:tag-protected"
    message = "a rule for tags does not allow this; nothing was changed"


class DigestInvalid(RegistryError):
    """A digest that is malformed, of an unknown algorithm, or not that of the content."""

    code = "DIGEST_INVALID"
    status = 400
    message = "the digest is malformed or does not match the content"


class ManifestBlobUnknown(RegistryError):
    """A manifest names content that the repository does not have."""

    code = "MANIFEST_BLOB_UNKNOWN"
    status = 400
    message = "the manifest names content that this repository does not have"

    def __init__(self, digests: Sequence[str]) -> None:
        """Tell of each missing digest; push them first, then the manifest again."""
        super().__init__()
        self.digests = tuple(digests)

    def entries(self) -> list[dict[str, Any]]:
        """Return one entry for each missing digest (section "Pushing Manifests")."""
        return [
            {
                "code": self.code,
                "message": f"{digest} is not in this repository. Push it before the manifest",
                "detail": {"digest": digest},
            }
            for digest in self.digests
        ]


class ManifestInvalid(RegistryError):
    """A manifest that is not what its media type says."""

    code = "MANIFEST_INVALID"
    status = 400
    message = "the manifest is invalid"


class ManifestUnknown(RegistryError):
    """No such manifest or tag in this repository."""

    code = "MANIFEST_UNKNOWN"
    status = 404
    message = "this repository has no such manifest"


class NameInvalid(RegistryError):
    """A repository name outside the grammar of the specification."""

    code = "NAME_INVALID"
    status = 400
    message = "the repository name is invalid"


class NameUnknown(RegistryError):
    """No such repository, or none that the caller may see."""

    code = "NAME_UNKNOWN"
    status = 404
    message = "there is no such repository"


class NotFound(RegistryError):
    """Of what the management API has: nothing of that name, or nothing that the caller may see."""

    code = "NOT_FOUND"
    status = 404
    message = "there is nothing of that name, or nothing that you may see"


class Conflicting(RegistryError):
    """A change that what is there does not allow: a name that is taken, a last owner."""

    code = "CONFLICT"
    status = 409
    message = "what is there does not allow this; nothing was changed"


class Invalid(RegistryError):
    """A field of a management request that can't be what it is."""

    code = "INVALID"
    status = 422
    message = "a value of the request is not one that can be"


class PaginationNumberInvalid(RegistryError):
    """A page size that is not a whole number from zero."""

    code = "PAGINATION_NUMBER_INVALID"
    status = 400
    message = "the page size n must be a whole number from 0"


class RangeInvalid(RegistryError):
    """Bytes that do not follow those the session has, or that the blob does not have."""

    code = "RANGE_INVALID"
    status = 416
    message = "the range does not fit what is there"


class SizeInvalid(RegistryError):
    """A length that contradicts the content."""

    code = "SIZE_INVALID"
    status = 400
    message = "the length does not match the content"


class ManifestTooLarge(SizeInvalid):
    """A manifest above the limit."""

    status = 413
    message = "the manifest is too large"


class TagInvalid(RegistryError):
    """A tag outside the grammar of the specification."""

    code = "TAG_INVALID"
    status = 400
    message = "the tag is invalid"


class TooManyTags(TagInvalid):
    """More tags in one request than the server takes."""

    status = 414
    message = "the request has too many tags"


class TooManyRequests(RegistryError):
    """The caller must slow down."""

    code = "TOOMANYREQUESTS"
    status = 429
    message = "too many requests at once; try again shortly"


class Unauthorized(RegistryError):
    """The request needs credentials, or better ones."""

    code = "UNAUTHORIZED"
    status = 401
    message = "authentication is required"

    def __init__(
        self,
        message: str | None = None,
        *,
        scope: str = "",
        error: str = "",
        hint: str | None = "Sign in with docker login",
    ) -> None:
        """Keep what the challenge says: the scope to ask for, and what is wrong with the token."""
        super().__init__(message, hint=hint)
        self.scope = scope
        self.error = error


class SignInNeeded(Unauthorized):
    """Nobody has signed in: the client is told to, and nothing was refused to anybody."""

    message = "this needs a signed-in user"


class Unavailable(RegistryError):
    """The server can't do this now, and nothing was changed."""

    code = "UNAVAILABLE"
    status = 503
    message = "the registry can't do this now; nothing was changed, try again shortly"


# For clients and for whoever runs the registry: both may read it.
CHECK_DISK = "Try again; if that fails too, the disk needs care: the registry's log has its error"


class InsufficientStorage(Unavailable):
    """The disk is below its watermark; pulls go on."""

    status = 507
    message = "the registry's disk is full: pushes wait until there is room, pulls go on"


class Unsupported(RegistryError):
    """A method or an operation that this address does not have."""

    code = "UNSUPPORTED"
    status = 405
    message = "the operation is not supported here"


class RouteUnknown(Unsupported):
    """No address of the registry."""

    status = 404
    message = "the registry has no such address"


class QueryTooLong(Unsupported):
    """A query with more parameters than any client has reason to send."""

    status = 414
    message = "the address has too many parameters"


class TokenRequestInvalid(Unsupported):
    """A request for a token that is none; `error` is what OAuth 2 calls that (RFC 6749, 5.2)."""

    status = 400
    message = "the request for a token is malformed"

    def __init__(self, error: str = "invalid_request", message: str | None = None) -> None:
        """Keep what programs are told."""
        super().__init__(message)
        self.error = error


class NotJson(Unsupported):
    """A body of the management API in another form, such as those that any page can send."""

    status = 415
    message = "the body must be JSON, with Content-Type: application/json"


class ExpectationFailed(Unsupported):
    """An `Expect` other than `100-continue` (RFC 9110 section 10.1.1)."""

    status = 417
    message = "the only expectation that can be met is 100-continue"


class Refused(Exception):
    """A command that can't go on: what happened, why, and what to do, for a person.

    `exit_code` follows the table in docs/reference/cli.md: 1 failed, 2 usage, 3 not found, 4 not
    allowed, 5 refused by a rule, 6 partly done, 7 a check found problems, 8 no answer.
    """

    def __init__(self, what: str, *, why: str = "", do: str = "", exit_code: int = 1) -> None:
        """Build it from the three sentences that a person needs."""
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do
        self.exit_code = exit_code
