// An issuer of JWT access tokens (RFC 9068) for client credentials and a resource indicator (RFC 8707): oidc-provider.
//
//     node issuer.mjs PORT
//
// A resource names the algorithm of its tokens in its path: https://api.test/ES256. Those of https://api.test/opaque
// are opaque, and introspected by the clients `api-*`; API_JWK is the public key of `api-key`. A proof (RFC 9449) binds
// a token to its key, and for `machine-tls` the header Client-Cert (RFC 9440) to the certificate in it. SIGHUP rotates: tokens are signed
// with new keys, and those before are still published. SIGUSR2 withdraws all keys but the newest.

import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';

import Provider, { errors } from 'oidc-provider';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
const SCOPES = 'read write';

const port = Number(process.argv[2]);

function jwk(type, options) {
  return generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
}

function newKeys() {
  return [
    // Without `alg`, so that RS256 and PS256 share it; the provider itself writes ES256 to the second.
    jwk('rsa', { modulusLength: 2048 }),
    jwk('ec', { namedCurve: 'P-256' }),
    jwk('ed25519'),
  ];
}

function resourceServer(ctx, resource) {
  const alg = new URL(resource).pathname.slice(1);
  if (alg === 'opaque') return { scope: SCOPES, audience: resource, accessTokenTTL: 600, accessTokenFormat: 'opaque' };
  if (!ALGORITHMS.includes(alg)) throw new errors.InvalidTarget();
  return { scope: SCOPES, audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
}

function certificate(ctx) {
  const value = ctx.get('client-cert');
  return value ? new X509Certificate(Buffer.from(value.slice(1, -1), 'base64')) : undefined;
}

// A client of its own token requests.
function machine(client_id, more) {
  return {
    client_id,
    client_secret: 'of-the-tests-guards-nothing-at-all',
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: SCOPES,
    introspection_signed_response_alg: 'RS256',
    ...more,
  };
}

// An API that introspects, by each way in which it may prove who it is.
function api(name, token_endpoint_auth_method, more) {
  return {
    client_id: `api-${name}`,
    token_endpoint_auth_method,
    grant_types: [],
    redirect_uris: [],
    response_types: [],
    ...more,
  };
}

const secret = { client_secret: 'of an API, with: signs & spaces' };
const key = { jwks: { keys: [JSON.parse(process.env.API_JWK)] }, token_endpoint_auth_signing_alg: 'ES256' };

// The provider takes its keys when it is made, so that a rotation is a new one behind the same address.
function provider(keys) {
  return new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys },
    scopes: SCOPES.split(' '),
    clients: [
      machine('machine'),
      machine('machine-tls', { tls_client_certificate_bound_access_tokens: true }),
      api('basic', 'client_secret_basic', secret),
      api('post', 'client_secret_post', secret),
      api('key', 'private_key_jwt', key),
      api('signed', 'client_secret_basic', { ...secret, introspection_signed_response_alg: 'RS256' }),
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate: certificate },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, defaultResource: () => undefined },
    },
  }).callback();
}

let generations = [newKeys()];
let answer = provider(generations.flat());

// Of two keys that fit, the provider signs with the first.
process.on('SIGHUP', () => {
  generations = [newKeys(), ...generations];
  answer = provider(generations.flat());
});
process.on('SIGUSR2', () => {
  generations = generations.slice(0, 1);
  answer = provider(generations.flat());
});

createServer((request, response) => answer(request, response)).listen(port, '127.0.0.1');
