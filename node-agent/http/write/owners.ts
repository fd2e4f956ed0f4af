/**
 * Who may change a file, and where to send a client that asked somebody else.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { NodeId } from "@kedge/schema";
import type { CapabilityClaims } from "@kedge/schema/capability";
import type { AgentHttpDeps } from "../deps.ts";
import type { Finder } from "../read/finder.ts";

/** The part of a request that is sent on. */
export interface OwnerCall {
  /** The file. */
  readonly id: string;
  /** The path, as sent. */
  readonly path: string;
  /** The query, undecoded. */
  readonly rawQuery: string;
  /** The capability as text. */
  readonly capability: string;
}

/** Knows the owners of files. */
export class Owners {
  readonly #deps: AgentHttpDeps;
  readonly #finder: Finder;

  /** Ask these. */
  constructor(deps: AgentHttpDeps, finder: Finder) {
    this.#deps = deps;
    this.#finder = finder;
  }

  /**
   * Where a change of a file must be made.
   *
   * @returns `undefined` when it is here, else a `307` to the owner.
   * @throws {Problem} `wrong-node` when the capability binds a node that is not
   * the owner, `not-in-sync` when nobody owns the file now.
   */
  async redirect(
    call: OwnerCall,
    claims: CapabilityClaims,
  ): Promise<Response | undefined> {
    const { node, replicator } = this.#deps;
    const entry = await this.#finder.find(call.id);
    const owner = replicator.ownerOf(entry.origin);
    if (owner === undefined) {
      throw new Problem("not-in-sync", "Nobody is in sync in this group now");
    }
    const isBoundElsewhere = claims.n !== undefined && claims.n !== owner;
    if (isBoundElsewhere) throw this.wrongNode(owner);
    if (owner === node) return undefined;
    const url = this.#urlOf(owner);
    if (url === undefined) throw this.wrongNode(owner);
    return redirectTo(url, call);
  }

  /** `421`: this capability is for another node. */
  wrongNode(node: NodeId | undefined): Problem {
    const url = node === undefined ? undefined : this.#urlOf(node);
    return new Problem("wrong-node", `Node ${node} must do this`, {
      node,
      ...(url === undefined ? {} : { url }),
    });
  }

  #urlOf(node: NodeId): string | undefined {
    const peer = this.#deps.replicator.peers()
      .find((known) => known.node === node);
    return peer?.url.replace(/\/+$/, "");
  }
}

/** Same path and query; clients drop `Authorization` when the host changes. */
function redirectTo(url: string, call: OwnerCall): Response {
  const { path, rawQuery, capability } = call;
  const hasCapability = rawQuery.split("&")
    .some((pair) => pair.startsWith("cap="));
  const query = [rawQuery, hasCapability ? "" : `cap=${capability}`]
    .filter((part) => part !== "").join("&");
  return new Response(null, {
    status: 307,
    headers: {
      "location": `${url}${path}?${query}`,
      "cache-control": "no-store",
      "access-control-allow-origin": "*",
    },
  });
}
