// oauth4webapi calls an API with a DPoP-bound token: node dpop_client.mjs ISSUER AUDIENCE URL. It prints what it learned.

import * as oauth from "oauth4webapi";

const issuer = new URL(process.argv[2]);
const audience = process.argv[3];
const url = new URL(process.argv[4]);
const insecure = { [oauth.allowInsecureRequests]: true };

const as = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));
const client = await oauth.dynamicClientRegistrationRequest(as, { grant_types: ["client_credentials"] }, insecure)
  .then(oauth.processDynamicClientRegistrationResponse);

const outcome = async (attempt) => {
  try {
    return (await attempt()).status;
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    return error.cause.map(({ scheme, parameters }) => [scheme, parameters.error ?? null]);
  }
};

const learned = {};
for (const algorithm of ["ES256", "RS256", "PS256", "Ed25519"]) {
  const handle = oauth.DPoP(client, await oauth.generateKeyPair(algorithm));
  const tokens = await oauth.clientCredentialsGrantRequest(
    as, client, oauth.ClientSecretBasic(client.client_secret), { scope: "read", audience }, { DPoP: handle, ...insecure })
    .then((response) => oauth.processClientCredentialsResponse(as, client, response));
  const call = (DPoP) => outcome(() => oauth.protectedResourceRequest(
    tokens.access_token, "GET", url, new Headers(), null, { DPoP, ...insecure }));
  // The library keeps the nonce of each answer, so the call after the first has it.
  learned[algorithm] = {
    tokenType: tokens.token_type,
    calls: [await call(handle), await call(handle), await call(handle)],
    asBearer: await call(undefined),
    byAnotherKey: await call(oauth.DPoP(client, await oauth.generateKeyPair(algorithm))),
  };
}
console.log(JSON.stringify(learned));
