// oauth4webapi walks the development issuer: node oauth_client.mjs ISSUER. It prints what it learned as JSON.
// The library checks every answer by the RFC of its request, and throws if one is wrong.

import * as oauth from "oauth4webapi";

const issuer = new URL(process.argv[2]);
const audience = process.argv[3];
const insecure = { [oauth.allowInsecureRequests]: true };
const redirectUri = "http://127.0.0.1:53682/callback";

const as = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));

const register = (metadata) => oauth.dynamicClientRegistrationRequest(as, metadata, insecure)
  .then(oauth.processDynamicClientRegistrationResponse);

// A person at the sign-in page, who agrees to everything.
const signIn = async (url) => {
  const page = await fetch(url);
  const text = await page.text();
  if (page.status !== 200) throw new Error(text);
  const form = new URLSearchParams({ subject: "auth0|ada", decision: "allow" });
  form.append("csrfmiddlewaretoken", /name="csrfmiddlewaretoken" value="([^"]*)"/.exec(text)[1]);
  for (const [, name] of text.matchAll(/name="agreed" value="([^"]*)"/g)) form.append("agreed", name);
  for (const [, acr] of text.matchAll(/name="acr" value="([^"]*)" checked/g)) form.append("acr", acr);
  const headers = { Cookie: page.headers.get("Set-Cookie").split(";")[0], Origin: issuer.origin };
  const answer = await fetch(url, { method: "POST", body: form, headers, redirect: "manual" });
  if (answer.status !== 303) throw new Error(await answer.text());
  return new URL(answer.headers.get("Location"));
};

// A request that the issuer asks to repeat with its nonce is repeated once (RFC 9449 section 8).
let nonceErrors = 0;
const withNonce = async (attempt) => {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonceErrors += 1;
    return attempt();
  }
};

const validated = (tokens, handle) => {
  const request = async () => {
    const url = new URL("https://api.test/things");
    const headers = new Headers({ Authorization: `${handle ? "DPoP" : "Bearer"} ${tokens.access_token}` });
    if (handle) await handle.addProof(url, headers, "GET", tokens.access_token);
    return new Request(url, { headers });
  };
  return request().then((made) => oauth.validateJwtAccessToken(as, made, audience, insecure));
};

const client = await register({
  client_name: "oauth4webapi",
  redirect_uris: ["http://127.0.0.1/callback"],
  grant_types: ["authorization_code", "refresh_token"],
  token_endpoint_auth_method: "none",
});

const handle = oauth.DPoP(client, await oauth.generateKeyPair("ES256", { extractable: true }));
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: client.client_id,
  redirect_uri: redirectUri,
  response_type: "code",
  scope: "openid example:scope",
  state,
  nonce,
  resource: `${audience}/`,
  acr_values: "urn:example:gold",
  max_age: "60",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  dpop_jkt: await handle.calculateThumbprint(),
});
const callback = oauth.validateAuthResponse(as, client, await signIn(url), state); // state and iss (RFC 9207)

const options = { DPoP: handle, additionalParameters: { resource: `${audience}/` }, ...insecure };
const tokens = await withNonce(() =>
  oauth.authorizationCodeGrantRequest(as, client, oauth.None(), callback, redirectUri, verifier, options)
    .then((response) =>
      oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, maxAge: 60 })));
const claims = await validated(tokens, handle);

const refreshed = await withNonce(() =>
  oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, options)
    .then((response) => oauth.processRefreshTokenResponse(as, client, response)));
const claimsAfterRefresh = await validated(refreshed, handle);

// A machine, by the secret that it got when it registered; a JWT without a proof.
const machine = await register({ grant_types: ["client_credentials"] });
const secret = oauth.ClientSecretBasic(machine.client_secret);
const machineTokens = await oauth.clientCredentialsGrantRequest(as, machine, secret, { scope: "example:scope" }, insecure)
  .then((response) => oauth.processClientCredentialsResponse(as, machine, response));
const machineClaims = await validated(machineTokens);

// An opaque token, introspected by the API: plain, signed, and after it is revoked.
const opaque = { client_id: "demo-opaque" };
const opaqueSecret = oauth.ClientSecretPost("demo-opaque-secret");
const opaqueTokens = await oauth.clientCredentialsGrantRequest(as, opaque, opaqueSecret, {}, insecure)
  .then((response) => oauth.processClientCredentialsResponse(as, opaque, response));
const api = { client_id: "demo-api", introspection_signed_response_alg: "RS256" };
const introspect = async (requestJwtResponse) => {
  const asked = { requestJwtResponse, ...insecure };
  const response = await oauth.introspectionRequest(
    as, api, oauth.ClientSecretBasic("demo-api-secret"), opaqueTokens.access_token, asked);
  const answer = await oauth.processIntrospectionResponse(as, requestJwtResponse ? api : { client_id: "demo-api" }, response);
  if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, insecure);
  return answer;
};
const introspected = [await introspect(false), await introspect(true)];
await oauth.revocationRequest(as, opaque, opaqueSecret, opaqueTokens.access_token, insecure)
  .then(oauth.processRevocationResponse);
introspected.push(await introspect(false));

console.log(JSON.stringify({
  client_id: client.client_id,
  thumbprint: await handle.calculateThumbprint(),
  nonceErrors,
  tokens,
  claims,
  idToken: oauth.getValidatedIdTokenClaims(tokens),
  claimsAfterRefresh,
  machineClaims,
  introspected,
}));
