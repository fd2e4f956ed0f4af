/**
 * HTTPS for a local cluster: an authority and a server certificate, made here.
 *
 * ```text
 * DIR/ca.pem, ca.key           the authority: 10 years; the key is 0600
 * DIR/server.pem, server.key   this machine: 1 year, made anew in time
 * DIR/names.json               what the server certificate is for, until when
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { join } from "node:path";
import { writeWhole } from "./layout.ts";
import type { TlsFiles } from "./programs.ts";
import { pem } from "./der.ts";
import { authorityToSign, certificate, ipBytes, serverToSign } from "./x509.ts";

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Longest life that browsers accept is 398 days. */
const SERVER_DAYS = 365;
/** A certificate is made anew this long before its end, in days. */
const RENEW_DAYS = 30;
/** Clocks differ: a certificate counts from an hour before it was made. */
const SKEW_MS = 3_600_000;
const AUTHORITY_NAME = "Kedge local authority";

interface Authority {
  readonly certificate: string;
  readonly key: KeyObject;
}

/**
 * Make certificates, or go on with those of an earlier start.
 *
 * @param dir Folder for them; made when missing.
 * @param hostnames Names and addresses of this machine that clients use;
 * localhost and the loopback addresses are added.
 * @returns The files.
 */
export async function makeLocalTls(
  dir: string,
  hostnames: readonly string[],
): Promise<TlsFiles> {
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const names = [...new Set([...hostnames, "localhost", "127.0.0.1", "::1"])]
    .filter((name) => name !== "0.0.0.0" && name !== "::").sort();
  const files = {
    caFile: join(dir, "ca.pem"),
    certFile: join(dir, "server.pem"),
    keyFile: join(dir, "server.key"),
  };
  const authority = await loadAuthority(dir) ?? await makeAuthority(dir);
  if (!await isGood(dir, files.certFile, names)) {
    await makeServer(authority, { ...files, dir, names });
  }
  return files;
}

async function loadAuthority(dir: string): Promise<Authority | undefined> {
  try {
    return {
      certificate: await Deno.readTextFile(join(dir, "ca.pem")),
      key: createPrivateKey(await Deno.readTextFile(join(dir, "ca.key"))),
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function makeAuthority(dir: string): Promise<Authority> {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const facts = factsFor(key, key, AUTHORITY_NAME, AUTHORITY_DAYS);
  const signed = authorityToSign(facts);
  const text = pem(
    "CERTIFICATE",
    certificate(signed, signatureOf(signed, key)),
  );
  // The key first: a certificate without its key would be trusted in vain.
  await writeWhole(join(dir, "ca.key"), keyText(key), 0o600);
  await writeWhole(join(dir, "ca.pem"), text, 0o644);
  return { certificate: text, key };
}

async function makeServer(
  authority: Authority,
  files: {
    readonly dir: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly names: readonly string[];
  },
): Promise<void> {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const subject = "Kedge local server";
  const facts = factsFor(key, authority.key, subject, SERVER_DAYS);
  const ip = files.names.flatMap((name) => ipBytes(name) ?? []);
  const dns = files.names.filter((name) => ipBytes(name) === undefined);
  const signed = serverToSign(facts, { dns, ip });
  const text = pem(
    "CERTIFICATE",
    certificate(signed, signatureOf(signed, authority.key)),
  );
  const { names } = files;
  await Deno.remove(join(files.dir, "names.json")).catch(() => {});
  await writeWhole(files.keyFile, keyText(key), 0o600);
  await writeWhole(files.certFile, text + authority.certificate, 0o644);
  // Last: without it everything is made anew at the next start.
  await writeWhole(
    join(files.dir, "names.json"),
    JSON.stringify(names),
    0o644,
  );
}

/** Whether the certificate there is for these names and ends late enough. */
async function isGood(
  dir: string,
  certFile: string,
  names: readonly string[],
): Promise<boolean> {
  try {
    const known = await Deno.readTextFile(join(dir, "names.json"));
    if (known !== JSON.stringify(names)) return false;
    const text = await Deno.readTextFile(certFile);
    const { validTo } = new X509Certificate(text);
    return Date.parse(validTo) > Date.now() + RENEW_DAYS * DAY_MS;
  } catch {
    return false;
  }
}

function factsFor(
  key: KeyObject,
  issuerKey: KeyObject,
  subject: string,
  days: number,
) {
  const nowMs = Date.now();
  const serial = Uint8Array.from(randomBytes(16));
  serial[0] = (serial[0] ?? 0) & 0x7f;
  return {
    serial,
    subject,
    issuer: AUTHORITY_NAME,
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    publicKey: publicKeyOf(key),
    keyId: keyIdOf(key),
    issuerKeyId: keyIdOf(issuerKey),
  };
}

function publicKeyOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

/** Only a name for the key; SHA-1 protects nothing here (RFC 5280 §4.2.1.2). */
function keyIdOf(key: KeyObject): Uint8Array {
  return createHash("sha1").update(publicKeyOf(key)).digest();
}

function keyText(key: KeyObject): string {
  return String(key.export({ type: "pkcs8", format: "pem" }));
}

function signatureOf(signed: Uint8Array, key: KeyObject): Uint8Array {
  return sign("sha256", Buffer.from(signed), key);
}
