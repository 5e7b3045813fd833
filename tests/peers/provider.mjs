// A provider of accounts: npm's oidc-provider, with its own pages for signing in. Prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, back] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

/** Of whom it knows what; a name that stands here twice is another person's. */
const PEOPLE = {
  ada: { preferred_username: "ada", groups: ["staff", "relais-operators"] },
  eve: { preferred_username: "eve", groups: ["staff"] },
  twin: { preferred_username: "ada", groups: ["relais-admins"] },
  odd: { preferred_username: "o d d", groups: ["relais-admins"] },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      { client_id: "relais", client_secret: "shh & more", redirect_uris: [back] },
      { client_id: "other", client_secret: "other", redirect_uris: [back] },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...PEOPLE[sub] }) }),
    cookies: { keys: ["a key of cookies"] },
    pkce: { required: () => true },
  });
  server.on("request", provider.callback());
  console.log(port);
});
