"""From the credentials of a request to a verified access token, without Django.

In the order of a request: `credentials` (the header), `verified_tokens` (a remembered verdict), `verifier` (the order of
the steps), `jwt_authority` or `introspection` (who judges the token), `jws` (the form and the signature), `rules` (header
and claims), `issuers` (who is trusted), `proofs` (bound tokens), `access_token` (the result). `policy` is what one issuer
is trusted with, `authority` the seam between the verifier and the kinds of tokens.
"""
