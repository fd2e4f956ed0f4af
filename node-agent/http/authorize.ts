/**
 * Whether a request may do what it asks, decided from its capability alone,
 * before a byte of its body is read.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { NodeId, SigningKey } from "@kedge/schema";
import { verifyCapability } from "@kedge/schema/capability";
import type {
  CapabilityAction,
  CapabilityClaims,
} from "@kedge/schema/capability";

/** What a route demands. */
export type Policy =
  | { readonly kind: "public" }
  | { readonly kind: "capability"; readonly action: CapabilityAction };

/** What is asked, and of whom. */
export interface Wanted {
  /** What the route does. */
  readonly action: CapabilityAction;
  /** Group of this agent. */
  readonly group: string;
  /** File that the path names; "" where it names none. */
  readonly id: string;
}

/** What the agent knows when it decides. */
export interface Authority {
  /** Keys that count now. */
  readonly keys: readonly SigningKey[];
  /** Wall clock, in ms since the Unix epoch. */
  readonly nowMs: number;
}

const SCHEME = "kedge ";

/**
 * The capability that a request carries.
 *
 * @param authorization The `Authorization` header.
 * @param query The query, undecoded.
 * @returns The header's when both are there; `undefined` when there is none.
 */
export function capabilityText(
  authorization: string | null,
  query: string,
): string | undefined {
  if (authorization?.slice(0, SCHEME.length).toLowerCase() === SCHEME) {
    return authorization.slice(SCHEME.length).trim();
  }
  if (query === "") return undefined;
  for (const pair of query.split("&")) {
    if (pair.startsWith("cap=")) return pair.slice(4);
  }
  return undefined;
}

/**
 * Check everything that does not depend on the node: signature, expiry, action,
 * group, file.
 *
 * @param text From {@linkcode capabilityText}.
 * @throws {Problem} `unauthorized` without one, else `bad-capability`, whose
 * `reason` says what does not fit.
 */
export function authorize(
  text: string | undefined,
  wanted: Wanted,
  authority: Authority,
): CapabilityClaims {
  if (text === undefined) {
    throw new Problem(
      "unauthorized",
      `This needs a capability to ${wanted.action}: ?cap= or Authorization: Kedge`,
    );
  }
  if (authority.keys.length === 0) {
    throw new Problem("unavailable", "No tracker has told the keys yet");
  }
  const verified = verifyCapability(text, authority.keys, authority.nowMs);
  if (!verified.ok) throw refusal(verified.fault);
  const { claims } = verified;
  if (claims.a !== wanted.action) throw refusal("wrong-action");
  if (claims.g !== wanted.group) throw refusal("wrong-group");
  if (wanted.id !== "" && claims.f !== wanted.id) throw refusal("wrong-file");
  if (wanted.id === "" && claims.f !== undefined) throw refusal("wrong-file");
  return claims;
}

/** Whether the capability binds another node than this one. */
export function isForOther(claims: CapabilityClaims, node: NodeId): boolean {
  return claims.n !== undefined && claims.n !== node;
}

/** A capability that does not allow this, with a reason for programs. */
export function refusal(reason: string): Problem {
  const words = reason.replaceAll("-", " ");
  return new Problem(
    "bad-capability",
    `The capability does not allow this: ${words}`,
    { reason },
  );
}
