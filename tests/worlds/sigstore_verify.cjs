// Ask Sigstore's own verifier, offline: argv = folder of node_modules, bundle, public key in PEM.
// Prints what was signed; exits 1 with the reason where it refuses.
const { createRequire } = require("node:module");
const { createPublicKey, createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");

const [folder, bundleFile, keyFile] = process.argv.slice(2);
const load = createRequire(`${folder}/x.js`);
const { bundleFromJSON } = load("@sigstore/bundle");
const { TrustedRoot } = load("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = load("@sigstore/verify");

const publicKey = createPublicKey(readFileSync(keyFile));
const der = publicKey.export({ format: "der", type: "spki" });
const own = createHash("sha256").update(der).digest("base64");
const find = (hint) => {
  if (hint !== own) throw new Error(`the bundle names the key ${hint}`);
  return { publicKey, validFor: () => true };
};

try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile)));
  const trusted = toTrustMaterial(TrustedRoot.fromJSON({}), find);
  // A key of our own: no certificate, no log, no time stamp is asked for.
  const policy = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 };
  new Verifier(trusted, policy).verify(toSignedEntity(bundle));
  process.stdout.write(bundle.content.dsseEnvelope.payload);
} catch (error) {
  process.stderr.write(`${error.code ?? ""} ${error.message}\n`);
  process.exitCode = 1;
}
