"""Tokens as the vendors document them, with made-up values: one dict for each provider.

`issuer` and `audience` are the settings. A token is (header, claims, scopes, client_id); the keys, the dates and `iss`
are added by the test. `others` are tokens of another kind from the same issuer, with the reason of the refusal.
`wrong_issuers` are (ISSUER, what the warning says to write); `right_issuers` are further ones without a warning.
"""

GUID = "6731de76-14a6-49ae-97bc-6eba6914391e"
TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
JWT = {"typ": "JWT"}
AT_JWT = {"typ": "at+jwt"}
UNTYPED = {"typ": None}

AUTH0 = {
    "issuer": "https://tenant.eu.auth0.com/",
    "audience": "https://api.example.com",
    "persons": {
        "default profile": (
            JWT,
            {
                "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "aud": ["https://api.example.com", "https://tenant.eu.auth0.com/userinfo"],
                "azp": "my_client_id",
                "scope": "openid profile read:orders",
            },
            {"openid", "profile", "read:orders"},
            "my_client_id",
        ),
        "RFC 9068 profile": (
            AT_JWT,
            {
                "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "aud": "https://api.example.com",
                "client_id": "my_client_id",
                "jti": "nRbQ4yNNQ7IrnBZ1tHKYEb",
                "scope": "read:orders",
                "permissions": ["read:orders"],
            },
            {"read:orders"},
            "my_client_id",
        ),
    },
    "machines": {
        "default profile": (
            JWT,
            {
                "sub": "my_client_id@clients",
                "aud": "https://api.example.com",
                "azp": "my_client_id",
                "gty": "client-credentials",
                "scope": "read:orders",
            },
            {"read:orders"},
            "my_client_id",
        ),
        "old tokens without azp": (
            JWT,
            {"sub": "my_client_id@clients", "aud": "https://api.example.com", "gty": "client-credentials"},
            set(),
            None,
        ),
        "RFC 9068 profile": (
            AT_JWT,
            {"sub": "my_client_id@clients", "aud": "https://api.example.com", "client_id": "my_client_id", "jti": "x"},
            set(),
            "my_client_id",
        ),
    },
    "others": {
        "an ID token": (
            JWT,
            {"sub": "auth0|5f7c", "aud": "my_client_id", "nonce": "n", "sid": "s", "name": "Ada"},
            "audience_not_accepted",
        ),
        "an ID token, should the API be named like the client": (
            JWT,
            {"sub": "auth0|5f7c", "aud": "https://api.example.com", "sid": "s", "name": "Ada"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://tenant.eu.auth0.com": "https://tenant.eu.auth0.com/",
        "https://login.example.com": "https://login.example.com/",
    },
    "right_issuers": ["https://login.example.com/"],
}

OKTA = {
    "issuer": "https://example.okta.com/oauth2/default",
    "audience": "api://default",
    "persons": {
        "documented": (
            UNTYPED,
            {
                "ver": 1,
                "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
                "aud": "api://default",
                "cid": "0oabskvc6442nkvQO0h7",
                "uid": "00u0abcd1234ABCD0x7",
                "scp": ["openid", "read:orders"],
                "auth_time": 1467145000,
                "sub": "ada@example.com",
            },
            {"openid", "read:orders"},
            "0oabskvc6442nkvQO0h7",
        ),
        "who is named like the client": (
            UNTYPED,
            {"aud": "api://default", "cid": "client", "uid": "00u0", "scp": ["a"], "sub": "client"},
            {"a"},
            "client",
        ),
    },
    "machines": {
        "client credentials": (
            UNTYPED,
            {
                "ver": 1,
                "jti": "AT.X",
                "aud": "api://default",
                "cid": "0oabskvc6442nkvQO0h7",
                "scp": ["read:orders"],
                "sub": "0oabskvc6442nkvQO0h7",
            },
            {"read:orders"},
            "0oabskvc6442nkvQO0h7",
        ),
    },
    "others": {
        "an ID token": (
            UNTYPED,
            {
                "ver": 1,
                "aud": "api://default",
                "sub": "00u0",
                "amr": ["pwd"],
                "idp": "00o1",
                "auth_time": 1,
                "jti": "ID.X",
            },
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://example.okta.com": "an issuer such as https://example.okta.com/oauth2/default",
        "https://example.okta.com/oauth2/default/": "https://example.okta.com/oauth2/default",
    },
    "right_issuers": ["https://login.example.com/oauth2/aus9o8wzkhckw9TLa0h7"],
}

ENTRA = {
    "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "audience": GUID,
    "persons": {
        "version 2.0": (
            {"typ": "JWT", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY"},
            {
                "aud": GUID,
                "aio": "AXQAi/8TAAAA",
                "azp": "a7f4b2c1-0000-4000-8000-000000000001",
                "azpacr": "0",
                "name": "Ada",
                "oid": "00000000-0000-0000-66f3-3332eca7ea81",
                "preferred_username": "ada@contoso.com",
                "rh": "I",
                "scp": "access_as_user orders.read",
                "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
                "tid": TENANT,
                "uti": "fqiBqXLPj0eQa82S-IYFAA",
                "ver": "2.0",
                # A person's roles are not scopes.
                "roles": ["admin"],
            },
            {"access_as_user", "orders.read"},
            "a7f4b2c1-0000-4000-8000-000000000001",
        ),
    },
    "machines": {
        "app-only": (
            JWT,
            {
                "aud": GUID,
                "azp": "a7f4b2c1-0000-4000-8000-000000000001",
                "azpacr": "1",
                "oid": "1b4d6f8a-0000-4000-8000-000000000002",
                "roles": ["Orders.Read.All"],
                "sub": "1b4d6f8a-0000-4000-8000-000000000002",
                "tid": TENANT,
                "ver": "2.0",
            },
            {"Orders.Read.All"},
            "a7f4b2c1-0000-4000-8000-000000000001",
        ),
        "app-only with the optional claim idtyp": (
            JWT,
            {"aud": GUID, "azp": "client", "idtyp": "app", "oid": "o", "sub": "o", "ver": "2.0"},
            set(),
            "client",
        ),
    },
    "others": {
        "an ID token of the same application": (
            JWT,
            {"aud": GUID, "sub": "s", "oid": "o", "tid": TENANT, "ver": "2.0", "roles": ["admin"], "name": "Ada"},
            "not_an_access_token",
        ),
        "an ID token with its nonce": (
            JWT,
            {"aud": GUID, "sub": "s", "oid": "o", "azp": "client", "nonce": "678910"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        f"https://login.microsoftonline.com/{TENANT}/v2.0/": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        f"https://sts.windows.net/{TENANT}": f"https://sts.windows.net/{TENANT}/",
        "https://login.microsoftonline.com/common/v2.0": "an issuer such as https://login.microsoftonline.com/",
        f"https://login.microsoftonline.com/{TENANT}": "an issuer such as https://login.microsoftonline.com/",
    },
    "right_issuers": [f"https://sts.windows.net/{TENANT}/", f"https://{TENANT}.ciamlogin.com/{TENANT}/v2.0"],
}

ENTRA_V1 = {
    "provider": "entra",
    "issuer": f"https://sts.windows.net/{TENANT}/",
    "audience": "api://orders",
    "persons": {
        "version 1.0": (
            JWT,
            {
                "aud": "api://orders",
                "acr": "1",
                "amr": ["pwd"],
                "appid": "04b07795-0000-4000-8000-000000000001",
                "appidacr": "0",
                "oid": "o",
                "scp": "user_impersonation",
                "sub": "pairwise",
                "tid": TENANT,
                "upn": "ada@contoso.com",
                "ver": "1.0",
            },
            {"user_impersonation"},
            "04b07795-0000-4000-8000-000000000001",
        ),
    },
    "machines": {
        "app-only": (
            JWT,
            {
                "aud": "api://orders",
                "appid": "client",
                "appidacr": "1",
                "oid": "o",
                "sub": "o",
                "roles": ["A"],
                "ver": "1.0",
            },
            {"A"},
            "client",
        ),
    },
    "others": {
        "an ID token": (
            JWT,
            {"aud": "api://orders", "sub": "s", "upn": "ada@contoso.com", "ver": "1.0"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {},
    "right_issuers": [],
}

KEYCLOAK = {
    "issuer": "https://login.example.com/realms/staff",
    "audience": "orders",
    "persons": {
        "default": (
            JWT,
            {
                "jti": "onrtac:4fa0f7e6",
                "aud": ["orders", "account"],
                "sub": "c2b0b8a1-9d8a-4b0e-9b0e-2f4f7f6d8c11",
                "typ": "Bearer",
                "nonce": "n-0S6_WzA2Mj",
                "azp": "spa",
                "sid": "f1a2",
                "acr": "1",
                "allowed-origins": ["https://spa.example.com"],
                "realm_access": {"roles": ["offline_access"]},
                "resource_access": {"account": {"roles": ["view-profile"]}},
                "scope": "openid profile orders",
                "preferred_username": "ada",
            },
            {"openid", "profile", "orders"},
            "spa",
        ),
        "the client's type at+jwt": (
            AT_JWT,
            {"jti": "x", "aud": "orders", "sub": "c2b0", "typ": "Bearer", "azp": "spa", "scope": "orders"},
            {"orders"},
            "spa",
        ),
        "who registered under the name of a service account": (
            JWT,
            {
                "aud": "orders",
                "sub": "c2b0",
                "typ": "Bearer",
                "azp": "spa",
                "preferred_username": "service-account-spa",
            },
            set(),
            "spa",
        ),
    },
    "machines": {
        "a service account": (
            JWT,
            {
                "jti": "trrtcc:1",
                "aud": "orders",
                "sub": "9e1f",
                "typ": "Bearer",
                "azp": "Batch",
                "acr": "1",
                "scope": "orders",
                "clientHost": "10.0.0.7",
                "clientAddress": "10.0.0.7",
                "client_id": "Batch",
                "preferred_username": "service-account-batch",
            },
            {"orders"},
            "Batch",
        ),
    },
    "others": {
        "an ID token": (
            JWT,
            {"aud": "orders", "sub": "c2b0", "typ": "ID", "azp": "spa", "sid": "f1a2"},
            "not_an_access_token",
        ),
        "a refresh token": (
            JWT,
            {"aud": "orders", "sub": "c2b0", "typ": "Refresh", "azp": "spa"},
            "not_an_access_token",
        ),
        "a token without a kind": (JWT, {"aud": "orders", "sub": "c2b0", "azp": "spa"}, "not_an_access_token"),
    },
    "wrong_issuers": {
        "https://login.example.com/realms/staff/": "https://login.example.com/realms/staff",
        "https://login.example.com": "an issuer such as https://login.example.com/realms/staff",
    },
    "right_issuers": ["https://login.example.com/auth/realms/staff"],
}

COGNITO = {
    "issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
    "audience": "6q0example2k3",
    "persons": {
        "documented": (
            UNTYPED,
            {
                "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                "cognito:groups": ["customers"],
                "version": 2,
                "client_id": "6q0example2k3",
                "origin_jti": "aaaaaaaa-1111",
                "event_id": "bbbbbbbb-1111",
                "token_use": "access",
                "scope": "openid https://api.example.com/orders.read",
                "auth_time": 1676313851,
                "jti": "cccccccc-1111",
                "username": "ada",
            },
            {"openid", "https://api.example.com/orders.read"},
            "6q0example2k3",
        ),
    },
    "machines": {
        "client credentials": (
            UNTYPED,
            {
                "sub": "6q0example2k3",
                "token_use": "access",
                "scope": "https://api.example.com/orders.read",
                "auth_time": 1676313851,
                "version": 2,
                "jti": "dddddddd-1111",
                "client_id": "6q0example2k3",
            },
            {"https://api.example.com/orders.read"},
            "6q0example2k3",
        ),
    },
    "others": {
        "an ID token": (
            UNTYPED,
            {"sub": "aaaaaaaa", "aud": "6q0example2k3", "token_use": "id", "cognito:username": "ada"},
            "aud_missing",
        ),
        "an ID token with the client": (
            UNTYPED,
            {"sub": "aaaaaaaa", "client_id": "6q0example2k3", "token_use": "id"},
            "not_an_access_token",
        ),
        "the token of another client": (
            UNTYPED,
            {"sub": "aaaaaaaa", "client_id": "another", "token_use": "access"},
            "audience_not_accepted",
        ),
    },
    "wrong_issuers": {
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
        "https://orders.auth.eu-west-1.amazoncognito.com": "an issuer such as https://cognito-idp.",
    },
    "right_issuers": ["https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEfGhI"],
}

GOOGLE = {
    "issuer": "https://accounts.google.com",
    "audience": "https://orders-abc-ew.a.run.app",
    "persons": {},
    "machines": {
        "a service account with a key file": (
            JWT,
            {
                "aud": "https://orders-abc-ew.a.run.app",
                "azp": "caller@project.iam.gserviceaccount.com",
                "email": "caller@project.iam.gserviceaccount.com",
                "email_verified": True,
                "sub": "104029292853099978293",
            },
            set(),
            "caller@project.iam.gserviceaccount.com",
        ),
        "a service account": (
            JWT,
            {
                "aud": "https://orders-abc-ew.a.run.app",
                "azp": "104029292853099978293",
                "email": "caller@project.iam.gserviceaccount.com",
                "email_verified": True,
                "sub": "104029292853099978293",
            },
            set(),
            "104029292853099978293",
        ),
    },
    "others": {
        "a sign-in by the code flow": (
            JWT,
            {"aud": "https://orders-abc-ew.a.run.app", "azp": "client", "sub": "110169", "at_hash": "HK6E"},
            "not_an_access_token",
        ),
        "a sign-in on a telephone, whose client is another than the audience": (
            JWT,
            {
                "aud": "https://orders-abc-ew.a.run.app",
                "azp": "telephone.apps.googleusercontent.com",
                "email": "ada@example.com",
                "email_verified": True,
                "sub": "110169",
            },
            "not_an_access_token",
        ),
        "a sign-in by the button": (
            JWT,
            {"aud": "https://orders-abc-ew.a.run.app", "azp": "client", "sub": "110169", "name": "Ada", "jti": "x"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://accounts.google.com/": "https://accounts.google.com",
        "https://oauth2.googleapis.com": "an issuer such as https://accounts.google.com",
    },
    "right_issuers": [],
}

ZITADEL = {
    "issuer": "https://example-a1b2c3.zitadel.cloud",
    "audience": "252855702316398078",
    "persons": {
        "documented": (
            JWT,
            {
                "aud": ["252856053933356542@orders", "252855702316398078"],
                "client_id": "252856053933356542@orders",
                "jti": "V2_252862212748621310-at_252862212748621311",
                "sub": "165460784409546753",
                "urn:zitadel:iam:org:project:roles": {"reader": {"165460784409546700": "example.org"}},
            },
            set(),
            "252856053933356542@orders",
        ),
        "a service user, who is not told apart": (
            JWT,
            {"aud": ["252855702316398078"], "client_id": "batch", "jti": "V2_1-at_2", "sub": "165460784409546799"},
            set(),
            "batch",
        ),
    },
    "machines": {},
    "others": {
        "an ID token, whose audience has the project": (
            JWT,
            {
                "aud": ["252856053933356542@orders", "252855702316398078"],
                "azp": "252856053933356542@orders",
                "sub": "165460784409546753",
                "amr": ["pwd"],
                "auth_time": 1,
            },
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {"https://example-a1b2c3.zitadel.cloud/": "https://example-a1b2c3.zitadel.cloud"},
    "right_issuers": ["https://login.example.com"],
}

AUTHENTIK = {
    "issuer": "https://login.example.com/application/o/orders/",
    "audience": "k3exampleclientid",
    "persons": {
        "documented": (
            JWT,
            {
                "sub": "7d0a5c1fb5a1b3c2",
                "aud": "k3exampleclientid",
                "auth_time": 1700000000,
                "acr": "goauthentik.io/providers/oauth2/default",
                "amr": ["pwd"],
                "nonce": "n-0S6_WzA2Mj",
                "sid": "a0b1",
                "preferred_username": "ada",
                "azp": "k3exampleclientid",
                "uid": "W0Tt9xVQ",
                "scope": "openid orders",
            },
            {"openid", "orders"},
            "k3exampleclientid",
        ),
        "whose username is the public client id": (
            JWT,
            {"sub": "k3exampleclientid", "aud": "k3exampleclientid", "azp": "k3exampleclientid", "uid": "W0Tt9xVQ"},
            set(),
            "k3exampleclientid",
        ),
    },
    "machines": {},
    "others": {
        "an ID token": (
            JWT,
            {"sub": "7d0a", "aud": "k3exampleclientid", "auth_time": 1700000000, "acr": "default", "amr": ["pwd"]},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://login.example.com/application/o/orders": "https://login.example.com/application/o/orders/"
    },
    "right_issuers": ["https://login.example.com/"],
}

ADFS = {
    "issuer": "http://adfs.example.com/adfs/services/trust",
    "audience": "microsoft:identityserver:https://api.example.com",
    "key_set": "https://adfs.example.com/adfs/discovery/keys",
    "persons": {
        "with a claim rule for sub": (
            {"typ": "JWT", "x5t": "qN8ENOO1h0LwxMiAZny00jNpI1o"},
            {
                "aud": "microsoft:identityserver:https://api.example.com",
                "sub": "S-1-5-21-1111111111-1111111111-1111",
                "apptype": "Confidential",
                "appid": "97fec0e9-d322-4922-83e6-4b8208415ddf",
                "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
                "auth_time": "2020-05-27T07:02:58.916Z",
                "ver": "1.0",
                "scp": "openid orders",
            },
            {"openid", "orders"},
            "97fec0e9-d322-4922-83e6-4b8208415ddf",
        ),
    },
    "machines": {
        "with a claim rule that issues the client as sub": (
            JWT,
            {
                "aud": "microsoft:identityserver:https://api.example.com",
                "sub": "97fec0e9-d322-4922-83e6-4b8208415ddf",
                "apptype": "Confidential",
                "appid": "97fec0e9-d322-4922-83e6-4b8208415ddf",
                "ver": "1.0",
                "scp": "orders",
            },
            {"orders"},
            "97fec0e9-d322-4922-83e6-4b8208415ddf",
        ),
    },
    "others": {
        "an ID token, which has an issuer of its own": (
            JWT,
            {
                "iss": "https://adfs.example.com/adfs",
                "aud": "microsoft:identityserver:https://api.example.com",
                "sub": "Jq3b",
                "appid": "97fec0e9",
            },
            "issuer_not_trusted",
        ),
        "a token without its client": (
            JWT,
            {"aud": "microsoft:identityserver:https://api.example.com", "sub": "Jq3b", "upn": "ada@example.com"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://adfs.example.com/adfs": "an issuer such as http://adfs.example.com/adfs/services/trust",
        "http://adfs.example.com/adfs/services/trust/": None,
    },
    "right_issuers": ["https://adfs.example.com/adfs/services/trust"],
}

DJANGO_OAUTH_TOOLKIT = {
    "issuer": "https://login.example.com/o",
    "audience": "https://api.example.com",
    "persons": {
        "of a generator of the project's own": (
            JWT,
            {"aud": "https://api.example.com", "sub": "42", "client_id": "spa", "scope": "read", "jti": "x"},
            {"read"},
            "spa",
        ),
        "a client, by a generator that writes RFC 9068": (
            AT_JWT,
            {"aud": "https://api.example.com", "sub": "batch", "client_id": "batch", "scope": "read", "jti": "x"},
            {"read"},
            "batch",
        ),
    },
    "machines": {},
    "others": {
        "an ID token": (
            JWT,
            {"aud": "https://api.example.com", "sub": "42", "auth_time": 1, "jti": "x", "at_hash": "h"},
            "not_an_access_token",
        ),
        "an ID token of the implicit flow": (
            JWT,
            {"aud": "https://api.example.com", "sub": "42", "auth_time": 1, "jti": "x"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {"https://login.example.com/o/": "https://login.example.com/o"},
    "right_issuers": ["https://login.example.com"],
}

GITHUB_ACTIONS = {
    "issuer": "https://token.actions.githubusercontent.com",
    "audience": "https://api.example.com",
    "persons": {},
    "machines": {
        "documented": (
            {"typ": "JWT", "x5t": "example-thumbprint"},
            {
                "jti": "example-id",
                "sub": "repo:octo-org/octo-repo:environment:prod",
                "environment": "prod",
                "aud": "https://api.example.com",
                "ref": "refs/heads/main",
                "sha": "example-sha",
                "repository": "octo-org/octo-repo",
                "repository_owner": "octo-org",
                "actor_id": "12",
                "repository_visibility": "private",
                "repository_id": "74",
                "repository_owner_id": "65",
                "run_id": "example-run-id",
                "runner_environment": "github-hosted",
                "actor": "octocat",
                "workflow": "example-workflow",
                "event_name": "workflow_dispatch",
                "ref_type": "branch",
                "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
            },
            set(),
            None,
        ),
    },
    "others": {
        "a token of no repository": (JWT, {"aud": "https://api.example.com", "sub": "repo:a/b"}, "not_an_access_token"),
        "a sign-in": (
            JWT,
            {"aud": "https://api.example.com", "sub": "1", "repository": "a/b", "nonce": "n"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://token.actions.githubusercontent.com/": "https://token.actions.githubusercontent.com",
        "https://github.com": "an issuer such as https://token.actions.githubusercontent.com",
    },
    "right_issuers": [
        "https://token.actions.githubusercontent.com/octocat-inc",
        "https://github.example.com/_services/token",
        "https://token.actions.octocorp.ghe.com",
    ],
}

GITLAB_CI = {
    "issuer": "https://gitlab.com",
    "audience": "https://api.example.com",
    "persons": {},
    "machines": {
        "documented": (
            JWT,
            {
                "namespace_id": "72",
                "namespace_path": "my-group",
                "project_id": "20",
                "project_path": "my-group/my-project",
                "user_id": "1",
                "user_login": "sample-user",
                "user_email": "sample-user@example.com",
                "pipeline_id": "574",
                "pipeline_source": "push",
                "job_id": "302",
                "ref": "feature-branch-1",
                "ref_type": "branch",
                "ref_path": "refs/heads/feature-branch-1",
                "ref_protected": "false",
                "runner_id": 1,
                "runner_environment": "self-hosted",
                "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
                "ci_config_ref_uri": "gitlab.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
                "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
                "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
                "aud": "https://api.example.com",
            },
            set(),
            None,
        ),
    },
    "others": {
        "a sign-in of a person": (
            JWT,
            {
                "aud": "https://api.example.com",
                "sub": "1",
                "sub_legacy": "a0b1",
                "auth_time": 1,
                "preferred_username": "ada",
            },
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {"https://gitlab.com/": "https://gitlab.com"},
    "right_issuers": ["https://example.com/gitlab"],
}

KUBERNETES = {
    "issuer": "https://kubernetes.default.svc.cluster.local",
    "audience": "orders",
    "persons": {},
    "machines": {
        "documented": (
            UNTYPED,
            {
                "aud": ["orders", "https://kubernetes.default.svc.cluster.local"],
                "jti": "ed3d4d5c-0000-4000-8000-000000000001",
                "kubernetes.io": {
                    "namespace": "shop",
                    "node": {"name": "127.0.0.1", "uid": "58456cb0"},
                    "pod": {"name": "batch-7f5d", "uid": "5e0bd49b"},
                    "serviceaccount": {"name": "batch", "uid": "14ee3fa4"},
                    "warnafter": 1729605240,
                },
                "sub": "system:serviceaccount:shop:batch",
            },
            set(),
            None,
        ),
    },
    "others": {
        "a sign-in, should the cluster's issuer be one for persons too": (
            UNTYPED,
            {"aud": "orders", "sub": "system:serviceaccount:shop:batch"},
            "not_an_access_token",
        ),
    },
    "wrong_issuers": {
        "https://kubernetes.default.svc/": "https://kubernetes.default.svc",
        "https://westeurope.oic.prod-aks.azure.com/a/b": "https://westeurope.oic.prod-aks.azure.com/a/b/",
    },
    "right_issuers": [
        "https://kubernetes.default.svc",
        "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
        "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
        "https://westeurope.oic.prod-aks.azure.com/a/b/",
    ],
}

SHAPES = {
    "auth0": AUTH0,
    "okta": OKTA,
    "entra": ENTRA,
    "entra version 1.0": ENTRA_V1,
    "keycloak": KEYCLOAK,
    "cognito": COGNITO,
    "google": GOOGLE,
    "zitadel": ZITADEL,
    "authentik": AUTHENTIK,
    "adfs": ADFS,
    "django-oauth-toolkit": DJANGO_OAUTH_TOOLKIT,
    "github-actions": GITHUB_ACTIONS,
    "gitlab-ci": GITLAB_CI,
    "kubernetes": KUBERNETES,
}
