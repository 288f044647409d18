"""What can be done by a page can be done by the API: which operation does what each form does."""

from moorage.api.routes import ROUTES
from moorage.ui.pages import PAGES

# The page's theme is a cookie of the browser's, and nothing that the registry knows.
OF_THE_BROWSER = {("theme", "theme")}
DONE_BY = {
    ("repository", "delete-tag"): "delete-tag",
    ("repository-tags", "delete-tag"): "delete-tag",
    ("delete-tags", "delete"): "delete-tags",
    ("delete-tags", "undo"): "restore-tags",
    ("history", "restore"): "restore-tag",
    ("about", "change"): "put-about",
    ("settings", "visibility"): "change-repository",
    ("settings", "rename"): "rename-repository",
    ("settings", "add-rule"): "create-repository-rule",
    ("settings", "remove-rule"): "delete-repository-rule",
    ("settings", "restore"): "restore-manifest",
    ("settings", "delete"): "delete-repository",
    ("image", "delete"): "delete-manifest",
    ("image", "undo"): "restore-manifest",
    ("namespaces", "create"): "create-namespace",
    ("namespace", "visibility"): "change-namespace",
    ("namespace", "restore"): "restore-repository",
    ("namespace", "delete"): "delete-namespace",
    ("teams", "create"): "create-team",
    ("team", "add"): "add-member",
    ("team", "remove"): "remove-member",
    ("team", "delete"): "delete-team",
    ("robots", "create"): "create-robot",
    ("robot", "create-token"): "create-robot-token",
    ("robot", "rotate"): "rotate-token",
    ("robot", "revoke"): "revoke-token",
    ("robot", "enable"): "change-robot",
    ("robot", "delete"): "delete-robot",
    ("trusts", "create"): "create-trust",
    ("trusts", "enable"): "change-trust",
    ("trusts", "remove"): "delete-trust",
    ("grants", "grant"): "put-grant",
    ("grants", "revoke"): "revoke-grant",
    ("tokens", "create"): "create-token",
    ("tokens", "rotate"): "rotate-token",
    ("tokens", "revoke"): "revoke-token",
    ("account", "password"): "change-password",
    ("account", "begin-totp"): "begin-totp",
    ("account", "confirm-totp"): "confirm-totp",
    ("account", "remove-totp"): "remove-totp",
    ("account", "end-session"): "revoke-token",
    ("clean-up", "start"): "start-collection",
    ("storage", "resume"): "resume-collection",
    ("jobs", "retry"): "retry-job",
    ("jobs", "cancel"): "cancel-job",
    ("admin", "link"): "create-link",
    ("admin", "withdraw"): "withdraw-link",
    ("admin", "change"): "change-account",
    ("accounts", "link"): "create-link",
    ("accounts", "withdraw"): "withdraw-link",
    ("accounts", "change"): "change-account",
    ("providers", "create"): "create-provider",
    ("providers", "change"): "change-provider",
    ("providers", "remove"): "delete-provider",
    ("issuers", "create"): "create-issuer",
    ("issuers", "change"): "change-issuer",
    ("issuers", "remove"): "delete-issuer",
    ("sign-in", "sign-in"): "begin-session",
    ("sign-out", "sign-out"): "end-session",
}


def test_every_form_has_its_operation() -> None:
    forms = {(page.name, act) for page in PAGES for act in page.acts}
    assert forms - OF_THE_BROWSER == set(DONE_BY)
    assert set(DONE_BY.values()) <= {route.name for route in ROUTES}
