"""An OAuth 2.0 and OpenID issuer for development: real grants, real signatures, no passwords.

Run it beside the API, in its own process, with ``python -m resource_server.devissuer``. It is a
Django process with settings of its own, so it is neither an app for ``INSTALLED_APPS`` nor a part
of any URL configuration, and nothing in the product imports it. Whoever reaches it can have a
token for any subject and any scope: it listens on loopback, and belongs nowhere near production.
"""
