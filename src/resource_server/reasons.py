"""Every reason for which a request is refused or cannot be judged: its slug, its message and its remedy.

The log, the answers, `manage.py resource_server explain` and docs/reasons.md read this table. A slug is stable. A
message is for the caller, in lower case and under 80 characters; a remedy is for the developer, in Markdown. Neither
holds a value of a token. Imports nothing of Django or of this package.
"""

from enum import StrEnum
from typing import Self

__all__ = [
    "CredentialsReason",
    "Reason",
    "RequestReason",
    "ScopeReason",
    "StepUpReason",
    "TokenReason",
    "UnavailableReason",
]


class Reason(StrEnum):
    """A stable slug with its `message` and its `remedy`. One subclass for each class of error."""

    message: str
    remedy: str

    def __new__(cls, slug: str, message: str, remedy: str) -> Self:
        reason = str.__new__(cls, slug)
        reason._value_ = slug
        reason.message, reason.remedy = message, remedy
        return reason

    @classmethod
    def of(cls, slug: str) -> Self:
        """The reason with this slug. Raises KeyError for a slug that this class does not list."""
        reason: Self = cls._value2member_map_[slug]  # type: ignore[assignment] # a member of this class
        return reason


class RequestReason(Reason):
    """Reasons of `InvalidRequest` (400)."""

    CREDENTIALS_REPEATED = (
        "credentials_repeated",
        "the Authorization header holds more than one credential",
        "Send one `Authorization` header with one token; servers join repeated headers with a comma.",
    )


class CredentialsReason(Reason):
    """Reasons of `NoCredentials` (401)."""

    CREDENTIALS_MISSING = (
        "credentials_missing",
        "no access token was sent",
        (
            "Send `Authorization: Bearer TOKEN`. Tokens in the query or the body are not read. Behind Apache, set "
            "`WSGIPassAuthorization On`. REST framework's own `IsAuthenticated` answers in its own words."
        ),
    )


class TokenReason(Reason):
    """Reasons of `InvalidToken` (401)."""

    # tokens/credentials.py
    CREDENTIALS_MALFORMED = (
        "credentials_malformed",
        "the Authorization header is not the word Bearer, a space and one token",
        "After `Bearer` come a space and one token, without quotes or line breaks.",
    )
    TOKEN_TOO_LARGE = (
        "token_too_large",
        "access token is larger than 16 KiB",
        "The limit is 16 KiB; ask the issuer for fewer claims.",
    )
    # tokens/jws.py
    TOKEN_MALFORMED = (
        "token_malformed",
        "access token is not a JWT in compact serialisation",
        (
            "The token is not a JWT. An opaque token, as Auth0 issues without an `audience`, is none: ask for a token for this "
            "API."
        ),
    )
    TOKEN_ENCRYPTED = (
        "token_encrypted",
        "access token is encrypted, which is not supported",
        "The token has five parts, so it is encrypted (JWE). Configure the issuer to sign its tokens and not encrypt them.",
    )
    HEADER_MALFORMED = (
        "header_malformed",
        "header of the access token is not one well-formed JSON object",
        "The header is not one JSON object: a name twice, NaN, bytes that are not UTF-8, or more than 32 levels.",
    )
    PAYLOAD_MALFORMED = (
        "payload_malformed",
        "payload of the access token is not one well-formed JSON object",
        "The payload is not one JSON object: a name twice, NaN, bytes that are not UTF-8, or more than 32 levels.",
    )
    SIGNATURE_INVALID = (
        "signature_invalid",
        "signature is not valid",
        "The token was altered, or signed with another key than the one of its `kid`.",
    )
    # tokens/rules.py: header
    HEADER_NOT_SUPPORTED = (
        "header_not_supported",
        "crit, b64 and zip are not supported",
        "The token's header has `crit`, `b64` or `zip`. Configure the issuer without them.",
    )
    ALG_NOT_ALLOWED = (
        "alg_not_allowed",
        "alg is not allowed",
        "The issuer signs with an algorithm outside `ALGORITHMS`; HS256 needs `SECRET`. In Auth0, set the API to RS256.",
    )
    TYP_NOT_ACCEPTED = (
        "typ_not_accepted",
        "typ is not accepted",
        (
            "If `typ` in the access token's header is `JWT` or absent, set `PROVIDER`, or `TOKEN_TYPE` to `JWT`. An ID "
            "token is never accepted."
        ),
    )
    KID_MALFORMED = (
        "kid_malformed",
        "kid is not a string of 1 to 512 characters",
        "The `kid` in the token's header is not a string of 1 to 512 characters. Mend it at the issuer.",
    )
    # tokens/rules.py: claims
    ISS_MISSING = ("iss_missing", "iss is missing", "The token does not name its issuer. Is it an access token?")
    ISS_MALFORMED = ("iss_malformed", "iss is not a string", "The token's `iss` is not a string.")
    ISSUER_NOT_TRUSTED = (
        "issuer_not_trusted",
        "issuer is not trusted",
        "The token's `iss` must equal `ISSUER` exactly. Compare the slash at the end.",
    )
    AUD_MISSING = (
        "aud_missing",
        "aud is missing",
        "The token does not say for which API it is. Name the audience when you ask for it (Keycloak: an audience mapper).",
    )
    AUD_MALFORMED = (
        "aud_malformed",
        "aud is not a string or a list of strings",
        "The token's `aud` is neither a string nor a list of strings.",
    )
    AUDIENCE_NOT_ACCEPTED = (
        "audience_not_accepted",
        "audience is not accepted",
        "The token is for another API. Ask for it with this API's identifier, or correct `AUDIENCE`.",
    )
    EXP_MISSING = ("exp_missing", "exp is missing", "The token has no end. Configure a lifetime at the issuer.")
    EXP_MALFORMED = (
        "exp_malformed",
        "exp is not a date",
        "A date is a JSON number: seconds since 1970, up to the year 9999.",
    )
    TOKEN_EXPIRED = (
        "token_expired",
        "access token has expired",
        "Get a new token. If it is new, a clock is wrong.",
    )
    NBF_MALFORMED = (
        "nbf_malformed",
        "nbf is not a date",
        "A date is a JSON number: seconds since 1970, up to the year 9999.",
    )
    TOKEN_NOT_YET_VALID = (
        "token_not_yet_valid",
        "nbf is in the future",
        "The clock of this machine is behind the issuer's by more than `CLOCK_SKEW_SECONDS`.",
    )
    IAT_MALFORMED = (
        "iat_malformed",
        "iat is not a date",
        "A date is a JSON number: seconds since 1970, up to the year 9999.",
    )
    TOKEN_ISSUED_IN_FUTURE = (
        "token_issued_in_future",
        "iat is in the future",
        "The clock of this machine is behind the issuer's by more than `CLOCK_SKEW_SECONDS`.",
    )
    SUB_MISSING = (
        "sub_missing",
        "sub is missing",
        (
            "The token does not say for whom it is. Configure the issuer to add `sub`, or name the claim in `CLAIMS`: "
            '`{"subject": ["sub", "client_id"]}` if machines alone have no `sub`.'
        ),
    )
    SUB_MALFORMED = (
        "sub_malformed",
        "sub is not a string of 1 to 255 printable characters",
        "`sub` has 1 to 255 characters, none of them a control character.",
    )
    CLIENT_ID_MALFORMED = (
        "client_id_malformed",
        "client_id is not a printable string",
        "The claim that names the client is not a string without control characters.",
    )
    SCOPE_MALFORMED = (
        "scope_malformed",
        "scope is not a string or a list of strings",
        "The claim that holds the scopes is neither a string nor a list of strings.",
    )
    NOT_AN_ACCESS_TOKEN = (
        "not_an_access_token",
        "the token is of another kind than an access token",
        (
            "Send the access token. This is an ID, refresh or logout token, or it lacks a claim that each access token of "
            "`PROVIDER` has."
        ),
    )
    # tokens/proofs.py
    PROOF_NOT_SUPPORTED = (
        "proof_not_supported",
        "access token is bound to a key (cnf), and no proof of it is supported",
        "The token is bound to a key (`cnf`: DPoP, mutual TLS). Ask for a bearer token.",
    )
    # keys/issuer_keys.py
    KID_MISSING = (
        "kid_missing",
        "kid is missing, and the issuer has more than one key for this alg",
        "Configure the issuer to name the key (`kid`) in its tokens.",
    )
    KEY_UNKNOWN = (
        "key_unknown",
        "the issuer has no key with this kid for this alg",
        (
            "The issuer has no such key now: it was withdrawn, belongs to another tenant, is seconds old, or stands in the key "
            "set without its `kid`. Get a new token, and look at the key set."
        ),
    )
    # users/
    USER_UNKNOWN = (
        "user_unknown",
        "no user is known for this subject",
        "`USERS` found no user for `sub`. With `lookup`, a user's username must equal `sub`.",
    )
    USER_INACTIVE = ("user_inactive", "user is inactive", "The user was deactivated in this project.")
    USER_NOT_STORABLE = (
        "user_not_storable",
        "user cannot be stored with the values of this token",
        (
            "The database or the user model refuses a value that comes from the token: a `sub` that the column's character set "
            "cannot hold, an address that another user has, a field without a value. The log names the cause. `CREATE` and "
            "`UPDATE` in `USERS` choose the values."
        ),
    )


class ScopeReason(Reason):
    """Reasons of `InsufficientScope` (403). The names of the missing scopes or rights follow the message."""

    SCOPE_MISSING = (
        "scope_missing",
        "access token lacks a scope: ",
        (
            "Ask the issuer for the scopes in the challenge. In Auth0, authorise the application for the permission, or turn "
            'on RBAC with permissions in the access token and set `CLAIMS` to `{"scope": "permissions"}`.'
        ),
    )
    SCOPE_MISSING_ANY = (
        "scope_missing_any",
        "access token has none of the scopes: ",
        "Ask the issuer for one of the scopes in the challenge; for Auth0, see `scope_missing`.",
    )
    RIGHT_MISSING = (
        "right_missing",
        "access token lacks a right: ",
        (
            "No other scope helps: the token lacks a role, a claim or another right that the view requires. A claim that "
            "is absent or malformed gives no right, also under `~`; `CLAIMS` says where roles, groups and permissions are."
        ),
    )
    TOKEN_MISSING = (
        "token_missing",
        "an access token is needed here: another credential has no scopes",
        "The request is signed in by a session or a password, which have no scopes. Send an access token.",
    )


class StepUpReason(Reason):
    """Reasons of `InsufficientUserAuthentication` (401)."""

    AUTHENTICATION_CONTEXT_MISSING = (
        "authentication_context_missing",
        "sign-in of the person was not in a required authentication context",
        "Let the person sign in again, with the `acr_values` of the challenge. The issuer must send `acr`.",
    )
    AUTHENTICATION_TOO_OLD = (
        "authentication_too_old",
        "sign-in of the person is too old",
        "Let the person sign in again, with the `max_age` of the challenge. The issuer must send `auth_time`.",
    )


class UnavailableReason(Reason):
    """Reasons of `Unavailable` (503)."""

    FETCH_FAILED = (
        "fetch_failed",
        "issuer cannot be reached",
        "This machine cannot reach the issuer: check the name look-up, the firewall, the proxy and the certificate.",
    )
    FETCH_TIMEOUT = (
        "fetch_timeout",
        "issuer did not answer in time",
        "The issuer did not answer within 5 s: check the name look-up, the firewall and the proxy.",
    )
    FETCH_STATUS = (
        "fetch_status",
        "issuer answered with another status than 200",
        (
            "The address of the metadata or of the key set does not answer 200 or 304. Try "
            "`curl ISSUER/.well-known/openid-configuration`; set `JWKS_URI` if the issuer has no metadata."
        ),
    )
    ADDRESS_NOT_ALLOWED = (
        "address_not_allowed",
        "an address of the issuer is not an https address",
        (
            "The issuer's metadata give a `jwks_uri` that is not https, or that leads to this machine or its link while the "
            "issuer is elsewhere."
        ),
    )
    DOCUMENT_TOO_LARGE = (
        "document_too_large",
        "a document of the issuer is too large",
        "The answer is larger than 256 KiB, so it is probably not the issuer's: a login page, a proxy.",
    )
    DOCUMENT_MALFORMED = (
        "document_malformed",
        "a document of the issuer is malformed",
        "The answer is not the issuer's: a login page, a proxy.",
    )
    METADATA_ISSUER_MISMATCH = (
        "metadata_issuer_mismatch",
        "metadata of the issuer name another issuer",
        "The metadata's `issuer` must equal `ISSUER` exactly. Compare the slash at the end.",
    )
    KEY_SET_WITHOUT_KEYS = (
        "key_set_without_keys",
        "key set of the issuer holds no usable key",
        "No key in the set can be used; the log says why for each. Look at the set with `curl`.",
    )
    USER_LOOKUP_FAILED = (
        "user_lookup_failed",
        "user cannot be looked up now",
        (
            "The users' database gave no answer, to `USERS` or to a function that it names; the log has the whole error. The "
            "database is down, locked or read-only, or a table is missing: run `manage.py migrate`."
        ),
    )
    THROTTLE_FAILED = (
        "throttle_failed",
        "requests cannot be counted now",
        "The cache of REST framework's throttles failed or answered nonsense; the log has the whole error.",
    )
    ISSUER_LOOKUP_FAILED = (
        "issuer_lookup_failed",
        "settings of the issuer cannot be looked up now",
        "The function of `ISSUERS` raised an error; the log has the whole error.",
    )
    SETTINGS_INVALID = (
        "settings_invalid",
        "settings of the resource server are invalid; see manage.py check",
        "`manage.py check` says what is wrong; for an answer of the function of `ISSUERS` or of `USERS`, the log does.",
    )
