/**
 * Whether a download may be made: the link it carries, and who asks.
 *
 * @module
 */

import { isIP } from "node:net";
import { Problem } from "@kedge/schema";
import type { NodeId } from "@kedge/schema";
import { allowedHosts } from "@kedge/schema/config/allow-hosts";
import type { AllowedHosts } from "@kedge/schema/config/allow-hosts";
import { judgeLink } from "@kedge/schema/download-links";
import type { LinkFault, LinkKey } from "@kedge/schema/download-links";
import { needsLink } from "@kedge/schema/download-rules";
import type { Clock } from "../../ports.ts";

/** Who sent a request. */
export interface Caller {
  /** Address of the other end of the connection; "" is not known. */
  address(): string;
  /** Resolves once the answer, if it is a stream, has left or never will. */
  left?(): Promise<void>;
}

/** Nobody in particular: doors without addresses, and tests. */
export const UNKNOWN_CALLER: Caller = { address: () => "" };

/** Which downloads need a link, and who is in front of us. */
export interface LinkRules {
  readonly schemes: { readonly signed: boolean; readonly fastdfs: boolean };
  /** See `@kedge/schema/download-rules`. */
  readonly rules: readonly string[];
  readonly ttlS: number;
  readonly keys: readonly LinkKey[];
  /** Proxies whose `X-Forwarded-For` counts. */
  readonly trustedProxies: readonly string[];
}

const WORDS: Readonly<Record<LinkFault, string>> = {
  "no-link": "This file is given out by signed links only",
  "malformed": "The link is not whole",
  "unknown-key": "The key of the link is not known here",
  "wrong-signature": "The link was changed, or is for another file",
  "wrong-method": "The link is for HEAD only",
  "wrong-address": "The link is for another address",
  "not-yet": "The time in the link is too far ahead",
  "expired": "The link is too old",
};

const MAPPED = /^::ffff:(?=\d+\.)/i;

/** Judges links. */
export class LinkGate {
  readonly #rules: LinkRules;
  readonly #clock: Clock;
  readonly #proxies: AllowedHosts;
  readonly #isOn: boolean;
  readonly #node: NodeId;

  /** Judge by these rules. */
  constructor(
    rules: LinkRules,
    { clock, node }: { readonly clock: Clock; readonly node: NodeId },
  ) {
    this.#node = node;
    this.#rules = rules;
    this.#clock = clock;
    this.#proxies = allowedHosts(rules.trustedProxies);
    this.#isOn = rules.schemes.signed || rules.schemes.fastdfs;
  }

  /**
   * Judge a read of a file, before anything is looked up.
   *
   * @param id File ID in the path.
   * @param query Undecoded.
   * @returns Seconds for which the answer may be kept; `undefined`: for ever.
   * @throws {Problem} `bad-link`; `reason` says why.
   */
  check(
    request: Request,
    { id, query, caller }: {
      readonly id: string;
      readonly query: string;
      readonly caller: Caller;
    },
  ): number | undefined {
    const { rules, schemes, keys, ttlS } = this.#rules;
    if (!this.#isOn || !needsLink(rules, id)) return undefined;
    const verdict = judgeLink({
      file: id,
      method: request.method,
      query,
      address: () => this.#addressOf(request, caller),
      nowS: Math.floor(this.#clock.wallMs() / 1000),
      schemes,
      keys,
      ttlS,
    });
    if (verdict.ok) return verdict.forS;
    const { fault } = verdict;
    throw new Problem("bad-link", WORDS[fault], { reason: fault });
  }

  /**
   * Whether a proxy that we trust asks, and sends the files of this very node
   * itself: `X-Kedge-Accel` says whose it has.
   */
  maySendFiles(request: Request, caller: Caller): boolean {
    return request.headers.get("x-kedge-accel") === String(this.#node) &&
      this.#proxies.allows(plain(caller.address()));
  }

  /** The client behind a proxy that we trust; else the other end. */
  #addressOf(request: Request, caller: Caller): string {
    const address = plain(caller.address());
    if (!this.#proxies.allows(address)) return address;
    // What stands before the last one was said by somebody else.
    const forwarded = request.headers.get("x-forwarded-for")?.split(",").at(-1);
    const client = plain(forwarded?.trim() ?? "");
    return isIP(client) === 0 ? address : client;
  }
}

function plain(address: string): string {
  return address.replace(MAPPED, "");
}
