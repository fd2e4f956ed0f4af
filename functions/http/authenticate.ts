/**
 * Who is calling, decided before a byte of the body is read.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { whyNotLocal } from "./local_access.ts";
import type { Caller, Policy } from "./route.ts";

/** What is asked to find out who is calling. */
export interface Identities {
  /** Role of the key that a caller sent; the admin key is an operator. */
  roleOf(secret: string): Promise<"client" | "operator" | undefined>;
  /** Whether this is the credential of this node. */
  isNode(node: number, credential: string): Promise<boolean>;
  /** Whether this is the credential of this host that mirrors volumes. */
  isMirrorNode(node: number, credential: string): Promise<boolean>;
  /** Whether callers on this machine need no key. */
  readonly isOpen: boolean;
}

/** Longest `Authorization` that is looked at, in characters. */
const AUTHORIZATION_LENGTH_MAX = 1024;

/**
 * Let a caller in, or refuse.
 *
 * @param policy Of the row.
 * @param request Only its URL and headers are used.
 * @param remote Address of the other end of the connection, if known.
 * @returns Who it is.
 * @throws {Problem} `unauthorized` when it is not known who, `forbidden` when
 * it is known and not enough, `kv-unavailable`
 */
export async function authenticate(
  policy: Policy,
  call: { readonly request: Request; readonly remote: string | undefined },
  identities: Identities,
): Promise<Caller> {
  if (policy === "public") return { kind: "public" };
  const text = call.request.headers.get("authorization");
  if (text !== null && text.length > AUTHORIZATION_LENGTH_MAX) {
    throw unauthorized("The Authorization header is too long");
  }
  if (policy === "node" || policy === "mirror") {
    return await nodeOf(text, policy, identities);
  }
  const role = text === null
    ? localRole(call, identities)
    : await bearerRole(text, identities);
  if (policy === "operator" && role !== "operator") {
    throw new Problem("forbidden", "This needs a key with the role `operator`");
  }
  return { kind: role };
}

async function nodeOf(
  text: string | null,
  policy: "node" | "mirror",
  identities: Identities,
): Promise<Caller> {
  const match = /^Kedge-Node ([1-9]\d{0,7}):([\w.~+/-]{16,256})$/i
    .exec(text ?? "");
  const node = Number(match?.[1]);
  const credential = match?.[2];
  const isKnown = credential !== undefined &&
    (await identities.isNode(node, credential) ||
      policy === "mirror" && await identities.isMirrorNode(node, credential));
  if (isKnown) return { kind: "node", node };
  throw unauthorized(
    "This is for nodes: send `Authorization: Kedge-Node N:CREDENTIAL`",
  );
}

async function bearerRole(
  text: string,
  identities: Identities,
): Promise<"client" | "operator"> {
  const secret = /^Bearer +(\S+)$/i.exec(text)?.[1];
  const role = secret && await identities.roleOf(secret);
  if (role) return role;
  throw unauthorized("The key is not known, or it has ended");
}

function localRole(
  call: { readonly request: Request; readonly remote: string | undefined },
  identities: Identities,
): "operator" {
  if (!identities.isOpen) throw unauthorized("A key is needed");
  const { url, headers } = call.request;
  const why = whyNotLocal({ remote: call.remote, url, headers });
  if (why === undefined) return "operator";
  throw unauthorized(`${why}; a key is needed`);
}

function unauthorized(detail: string): Problem {
  return new Problem("unauthorized", detail);
}
