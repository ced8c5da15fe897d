"""From the Authorization header to verified claims, without Django: the files in the order of a request.

`credentials` finds the token, `jwt` parses and judges it, `issuer` finds the key for it (`keys` reads key sets, PEM and
secrets, `signatures` is what they verify with, `http` fetches key sets), `access_token` is the result, `verifier` puts
the steps in order, `policy` is what one issuer is trusted with, `flow` runs the steps for sync and for async callers.
"""
