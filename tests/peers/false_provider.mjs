// A provider that lies: what its token says, and how it is signed, is what the code asks for (`KIND.NONCE`). Prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const jose = await import(pathToFileURL(require.resolve("jose")).href);

const ours = await jose.generateKeyPair("ES256", { extractable: true });
const theirs = await jose.generateKeyPair("ES256", { extractable: true });
const published = await jose.exportJWK(ours.publicKey);
const now = () => Math.floor(Date.now() / 1000);
const encoded = (value) => jose.base64url.encode(JSON.stringify(value));
const server = createServer(answer);
let issuer;

const KINDS = {
  good: {},
  expired: { exp: now() - 3600, iat: now() - 7200 },
  future: { iat: now() + 7200, exp: now() + 9000 },
  "other-client": { aud: "other" },
  "other-party": { aud: ["relais", "other"], azp: "other" },
  shared: { aud: ["relais", "other"] },
  "other-issuer": { iss: "https://login.example.org" },
  "other-sign-in": { nonce: "another" },
  "no-nonce": { nonce: undefined },
  nobody: { sub: "" },
};

async function token(kind, nonce) {
  const claims = { iss: issuer, aud: "relais", sub: "7", nonce, iat: now(), exp: now() + 60, preferred_username: "mallory", groups: ["relais-admins"], ...KINDS[kind] };
  const head = { alg: "ES256", kid: "1" };
  switch (kind) {
    case "unsigned": return `${encoded({ alg: "none" })}.${encoded(claims)}.`;
    case "shared-secret": return new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(JSON.stringify(published)));
    case "other-key": return new jose.SignJWT(claims).setProtectedHeader(head).sign(theirs.privateKey);
    case "key-in-token": return new jose.SignJWT(claims).setProtectedHeader({ ...head, jwk: await jose.exportJWK(theirs.publicKey) }).sign(theirs.privateKey);
    case "changed": {
      const [first, , last] = (await new jose.SignJWT({ ...claims, groups: [] }).setProtectedHeader(head).sign(ours.privateKey)).split(".");
      return [first, encoded(claims), last].join(".");
    }
    default: return new jose.SignJWT(claims).setProtectedHeader(head).sign(ours.privateKey);
  }
}

async function answer(request, response) {
  const say = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  let body = "";
  for await (const piece of request) body += piece;
  const { pathname } = new URL(request.url, issuer);
  if (pathname === "/.well-known/openid-configuration") {
    return say(200, { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys` });
  }
  if (pathname === "/another/.well-known/openid-configuration") {
    return say(200, { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys` });
  }
  if (pathname === "/keys") return say(200, { keys: [{ ...published, kid: "1", use: "sig", alg: "ES256" }] });
  if (pathname !== "/token") return say(404, {});
  const form = new URLSearchParams(body);
  const [kind, nonce] = form.get("code").split(".");
  if (!/^[0-9a-f]{64}$/.test(form.get("code_verifier") ?? "")) return say(400, { error: "invalid_grant" });
  return say(200, { access_token: "x", token_type: "Bearer", id_token: await token(kind, nonce) });
}

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  issuer = `http://127.0.0.1:${port}`;
  console.log(port);
});
