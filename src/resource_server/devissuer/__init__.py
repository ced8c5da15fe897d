"""An OAuth 2.0 and OpenID issuer for development: real grants, real signatures, no passwords.

Run it beside the API, in its own process, with `python -m resource_server.devissuer`. It is a Django process with its
own settings: not an app for `INSTALLED_APPS`, and not part of a URL configuration. Nothing in the product imports it.
Anyone who reaches it can get a token for any subject and any scope. It listens on loopback; keep it out of production.
"""
