"""Every reason for which a request is refused or cannot be judged: its slug, its message and its remedy.

The log, the answers, `manage.py resource_server explain` and docs/reasons.md read this table. A slug is stable. A
message is for the caller, in lower case and under 80 characters; a remedy is for the developer, in Markdown. Neither
holds a value of a token. Imports nothing of Django or of this package.
"""

from enum import StrEnum
from typing import Self

__all__ = [
    "CredentialsReason",
    "LogoutReason",
    "NonceReason",
    "ProofReason",
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
        "the Authorization header is not the word Bearer or DPoP, a space and one token",
        "After `Bearer` or `DPoP` come a space and one token, without quotes or line breaks.",
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
            "The token is not a JWT, or is not whole. An opaque token, as Auth0 issues without an `audience`, is none: ask for a token for this "
            "API. If the issuer introspects, set `INTROSPECTION`."
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
        (
            "The token was altered, or signed with another key than the one of its `kid`. An issuer that replaces a key must "
            "give it a new `kid`: one that keeps its `kid`, or has none, is found only with the next refresh."
        ),
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
        (
            "The token does not say for which API it is. Name the audience when you ask for it (Keycloak: an audience mapper). "
            "For an opaque token, see `MAY_LACK` in `INTROSPECTION`."
        ),
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
    EXP_MISSING = (
        "exp_missing",
        "exp is missing",
        "The token has no end. Configure a lifetime at the issuer. For an opaque token, see `MAY_LACK` in `INTROSPECTION`.",
    )
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
        "access token is bound to its sender in a way that is not supported",
        (
            "The token is bound to a key or a certificate (`cnf`). Set `DPOP` to `allowed` for its issuer if `cnf` has `jkt`; "
            "of other members only `x5t#S256` is supported."
        ),
    )
    CNF_MALFORMED = (
        "cnf_malformed",
        "cnf is not an object of thumbprints",
        "`cnf` is an object with `jkt` or `x5t#S256`, each the base64url of a SHA-256 digest.",
    )
    TOKEN_BOUND_TO_KEY = (
        "token_bound_to_key",
        "access token is bound to a key, so it needs the scheme DPoP and a proof",
        "Send `Authorization: DPoP TOKEN` and a proof in the header `DPoP`. As a bearer token it may be a stolen one.",
    )
    TOKEN_NOT_BOUND = (
        "token_not_bound",
        "access token is not bound to a key",
        (
            "A token without `cnf` is sent under `Bearer`. With `DPOP` set to `required` only tokens that are bound to a key "
            "pass: send a proof to the issuer when you ask for the token."
        ),
    )
    PROOF_KEY_DIFFERS = (
        "proof_key_differs",
        "access token is bound to another key than that of the proof",
        "Sign the proof with the key that signed the proof for the issuer, when it issued the token.",
    )
    CERTIFICATE_MISSING = (
        "certificate_missing",
        "access token is bound to a certificate, and the request came without one",
        (
            "Send the request over mutual TLS. If the client does, set `CLIENT_CERTIFICATE`, and look whether the request comes "
            "from one of its `PROXIES` with the header that it reads. A server that rewrites `REMOTE_ADDR`, as uvicorn does "
            "without `--no-proxy-headers`, hides the proxy."
        ),
    )
    CERTIFICATE_DIFFERS = (
        "certificate_differs",
        "access token is bound to another certificate than that of the client",
        "Use the certificate with which the client got the token; after it is renewed, get a new token.",
    )
    # tokens/introspection.py
    TOKEN_INACTIVE = (
        "token_inactive",
        "access token is not active",
        "The issuer says so: the token is revoked, has expired, or is not one of its tokens. Get a new one.",
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
    # tokens/revocations.py
    TOKEN_REVOKED = (
        "token_revoked",
        "access token was revoked",
        "The deny list of `REVOCATION` has this token, its subject, client or session, or all older tokens. Get a new token.",
    )
    TOKEN_LIVES_TOO_LONG = (
        "token_lives_too_long",
        "access token lives longer than a revocation is kept",
        "From `iat` to `exp` are more than `MAX_TOKEN_SECONDS`. Raise it, or have the issuer issue shorter tokens.",
    )
    TOKEN_BEFORE_DENY_LIST = (
        "token_before_deny_list",
        "access token is older than the deny list, so it may have been revoked",
        (
            "The cache of `REVOCATION` was empty when the list began: new, flushed or restarted. Get a new token. If nothing was "
            "lost, run `manage.py resource_server revoke --begin`; a token without `iat` needs that too."
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


class LogoutReason(Reason):
    """Reasons of `InvalidLogoutToken` (400). A logout token is refused for reasons of `InvalidToken` too."""

    LOGOUT_TOKEN_MISSING = (
        "logout_token_missing",
        "the request does not hold one logout_token",
        "The issuer sends a POST of `application/x-www-form-urlencoded` with `logout_token` once.",
    )
    LOGOUT_IAT_MISSING = ("logout_iat_missing", "iat is missing", "A logout token has `iat`. Mend it at the issuer.")
    LOGOUT_EVENT_MISSING = (
        "logout_event_missing",
        "events does not name a back-channel logout",
        "The token is of another kind. `events` has the member `http://schemas.openid.net/event/backchannel-logout`.",
    )
    LOGOUT_NONCE_PRESENT = (
        "logout_nonce_present",
        "a logout token has no nonce",
        "The token has a `nonce`, so it may be an ID token. Send a logout token.",
    )
    LOGOUT_SUBJECT_MISSING = (
        "logout_subject_missing",
        "sub and sid are both missing",
        "The token does not say whose session has ended. Mend it at the issuer.",
    )
    LOGOUT_SID_MALFORMED = (
        "logout_sid_malformed",
        "sid is not a string of 1 to 512 characters",
        "`sid` is a string of 1 to 512 characters. Mend it at the issuer.",
    )
    LOGOUT_JTI_MALFORMED = (
        "logout_jti_malformed",
        "jti is not a string of 1 to 512 characters",
        "A logout token has a `jti` of 1 to 512 characters. Mend it at the issuer.",
    )
    LOGOUT_TOKEN_REPLAYED = (
        "logout_token_replayed",
        "logout token was used before",
        "Each logout token counts once; the first one has revoked the tokens.",
    )


class ProofReason(Reason):
    """Reasons of `InvalidProof` (401)."""

    # tokens/dpop.py
    PROOF_MISSING = (
        "proof_missing",
        "the DPoP proof is missing",
        "Send a proof in the header `DPoP`. A proxy, or CORS without the header in its list, may have removed it.",
    )
    PROOF_REPEATED = (
        "proof_repeated",
        "the request holds more than one DPoP proof",
        "Send one `DPoP` header with one proof; servers join repeated headers with a comma.",
    )
    PROOF_TOO_LARGE = ("proof_too_large", "the DPoP proof is larger than 8 KiB", "The limit is 8 KiB.")
    PROOF_MALFORMED = (
        "proof_malformed",
        "the DPoP proof is not a signed JWT",
        "A proof is a JWT in compact serialisation, without `crit`, `b64` and `zip`.",
    )
    PROOF_TYPE_DIFFERS = (
        "proof_type_differs",
        "typ of the DPoP proof is not dpop+jwt",
        "Set `typ` in the header of the proof to `dpop+jwt`.",
    )
    PROOF_ALG_NOT_ALLOWED = (
        "proof_alg_not_allowed",
        "alg of the DPoP proof is not allowed",
        "Sign with an algorithm of `algs` in the challenge, such as ES256.",
    )
    PROOF_KEY_MALFORMED = (
        "proof_key_malformed",
        "jwk of the DPoP proof is not a public key for its alg",
        "`jwk` holds the public key alone, of the type and curve of `alg`; an RSA key has 2048 bits or more.",
    )
    PROOF_SIGNATURE_INVALID = (
        "proof_signature_invalid",
        "signature of the DPoP proof is not valid",
        "Sign the proof with the private key that belongs to `jwk`.",
    )
    PROOF_JTI_MALFORMED = (
        "proof_jti_malformed",
        "jti of the DPoP proof is not a string of 1 to 512 characters",
        "Give each proof a new random `jti`, such as a UUID.",
    )
    PROOF_METHOD_DIFFERS = (
        "proof_method_differs",
        "htm of the DPoP proof is not the method of the request",
        "`htm` is the method in upper case. Make a new proof for each request.",
    )
    PROOF_URL_DIFFERS = (
        "proof_url_differs",
        "htu of the DPoP proof is not the URL of the request",
        (
            "`htu` is the URL as the client sends it. Set `PUBLIC_ORIGIN` to the scheme and host that clients use, and "
            "`FORCE_SCRIPT_NAME` if a proxy removes the beginning of the path. After a redirect, such as to the path with a "
            "slash, a client needs a new proof."
        ),
    )
    PROOF_NOT_CURRENT = (
        "proof_not_current",
        "iat of the DPoP proof is not a date of the last 60 s",
        (
            "Make a new proof for each request. If it is new, a clock is wrong: it may be 5 s ahead. With `DPOP_NONCE` the "
            "clocks of clients may be wrong."
        ),
    )
    PROOF_TOKEN_DIFFERS = (
        "proof_token_differs",
        "ath of the DPoP proof is not the hash of the access token",
        "`ath` is the base64url of the SHA-256 of the access token.",
    )
    # tokens/used_proofs.py
    PROOF_REPLAYED = (
        "proof_replayed",
        "the DPoP proof was used before",
        "Make a new proof with a new `jti` for each request, for a retry too.",
    )


class NonceReason(Reason):
    """Reasons of `NonceNeeded` (401)."""

    NONCE_MISSING = (
        "nonce_missing",
        "nonce of the DPoP proof is missing",
        "Repeat the request with a new proof that holds the nonce of the header `DPoP-Nonce`.",
    )
    NONCE_NOT_CURRENT = (
        "nonce_not_current",
        "nonce of the DPoP proof is not a current one of this server",
        "As for `nonce_missing`. Each answer with the header `DPoP-Nonce` brings the nonce for the next proof.",
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
            "is absent or malformed gives no right, also under `~`; `CLAIMS` says where roles, groups and permissions are. An action "
            "or a method that is not named is refused to all: name it in the requirement."
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
            "The address of the metadata, of the key set or of introspection does not answer 200 (or 304). Try "
            "`curl ISSUER/.well-known/openid-configuration`; if the issuer has no metadata, set `JWKS_URI`, or `ENDPOINT` in "
            "`INTROSPECTION`."
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
    INTROSPECTION_REFUSED = (
        "introspection_refused",
        "issuer does not accept the credentials of this API",
        (
            "The introspection endpoint refuses this API as a client: compare `CLIENT_ID`, the secret or key and `AUTH` in "
            "`INTROSPECTION` with the issuer, and let the client introspect. An issuer that does not decode the header "
            "(RFC 6749 section 2.3.1) refuses a secret with special characters: then set `AUTH` to `client_secret_post`."
        ),
    )
    INTROSPECTION_NOT_OFFERED = (
        "introspection_not_offered",
        "metadata of the issuer name no introspection endpoint",
        "Set `ENDPOINT` in `INTROSPECTION`, or turn introspection on at the issuer.",
    )
    INTROSPECTION_NOT_SIGNED = (
        "introspection_not_signed",
        "issuer's answer about the token is not signed as it must be",
        (
            "`SIGNED` in `INTROSPECTION` asks for answers that the issuer signs (RFC 9701), for this client and with a key of "
            "its key set; the log says what is missing. Configure the issuer so, or leave `SIGNED` out."
        ),
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
    REVOCATION_STORE_FAILED = (
        "revocation_store_failed",
        "revocations cannot be looked up now",
        (
            "The cache of `REVOCATION` gave no clear answer: it is down, or its client library hides its errors, or it keeps "
            'nothing. Set `REVOCATION_FAILS` to `"open"` to let tokens pass meanwhile.'
        ),
    )
    PROOF_STORE_FAILED = (
        "proof_store_failed",
        "the DPoP proofs cannot be judged now",
        "The cache of `CACHE` gave no clear answer to whether the proof was used. Look at its server and its `BACKEND`.",
    )
    PROOF_LIMIT_REACHED = (
        "proof_limit_reached",
        "the key of the DPoP proof has signed too many proofs",
        "One key may sign 10,000 proofs in 75 s for one process. Use more keys.",
    )
    SETTINGS_INVALID = (
        "settings_invalid",
        "settings of the resource server are invalid; see manage.py check",
        "`manage.py check` says what is wrong; for an answer of the function of `ISSUERS` or of `USERS`, the log does.",
    )
