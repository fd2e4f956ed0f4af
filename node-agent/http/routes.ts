/**
 * Every route of the agent with its policy, and how a request finds its route.
 *
 * A route without a policy cannot be written down (the type wants one) and is a
 * start-up error all the same, for whoever gets around the type.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { CapabilityAction } from "@kedge/schema/capability";
import type { CapabilityClaims } from "@kedge/schema/capability";
import type { Policy } from "./authorize.ts";
import type { Resource } from "./target.ts";

/** A request on its way to a public route. */
export interface Call extends Resource {
  readonly request: Request;
  /** The path, as sent. */
  readonly path: string;
  /** The query, undecoded. */
  readonly rawQuery: string;
  /** The query. */
  readonly query: URLSearchParams;
}

/** A request whose capability was checked. */
export interface AllowedCall extends Call {
  readonly claims: CapabilityClaims;
}

type Answer = Response | Promise<Response>;

/** A route that anybody may use. */
export interface PublicRoute {
  readonly method: string;
  readonly pattern: string;
  readonly policy: Policy & { readonly kind: "public" };
  readonly handle: (call: Call) => Answer;
}

/** A route that needs a capability. */
export interface GuardedRoute {
  readonly method: string;
  readonly pattern: string;
  readonly policy: Policy & { readonly kind: "capability" };
  /**
   * Whether only the owner of the file may do it: everybody else sends the
   * client there.
   */
  readonly ownerOnly: boolean;
  readonly handle: (call: AllowedCall) => Answer;
}

/** A route. */
export type Route = PublicRoute | GuardedRoute;

/** Whether anybody may use a route. */
export function isPublic(route: Route): route is PublicRoute {
  return route.policy.kind === "public";
}

/** Routes by pattern and method. */
export class RouteTable {
  readonly #rows: readonly Route[];
  readonly #methods = new Map<string, Map<string, Route>>();

  /**
   * Check and index the routes.
   *
   * @throws {TypeError} When a route has no policy, or one is there twice.
   */
  constructor(rows: readonly Route[]) {
    this.#rows = rows;
    for (const row of rows) {
      checkPolicy(row);
      const methods = this.#methods.get(row.pattern) ?? new Map();
      if (methods.has(row.method)) {
        throw new TypeError(`Two routes for ${row.method} ${row.pattern}`);
      }
      methods.set(row.method, row);
      this.#methods.set(row.pattern, methods);
    }
  }

  /** Every route, for tests and documents. */
  get rows(): readonly Route[] {
    return this.#rows;
  }

  /**
   * The route of a request.
   *
   * @param method Of the request; `HEAD` uses the route of `GET`.
   * @param pattern From `resourceOf`.
   * @throws {Problem} `not-found`, or `method-not-allowed` with `allow`.
   */
  find(method: string, pattern: string): Route {
    const methods = this.#methods.get(pattern);
    if (methods === undefined) {
      throw new Problem("not-found", "There is nothing at this path");
    }
    const row = methods.get(method) ??
      (method === "HEAD" ? methods.get("GET") : undefined);
    if (row !== undefined) return row;
    throw notAllowed([...methods.keys()]);
  }

  /** The methods of a pattern, for `OPTIONS`. */
  methods(pattern: string): string[] {
    return withHead([...this.#methods.get(pattern)?.keys() ?? []]);
  }
}

/** `405`, with the methods there are. */
export function notAllowed(methods: readonly string[]): Problem {
  const allow = withHead(methods).join(", ");
  return new Problem("method-not-allowed", `Use ${allow}`, { allow });
}

function withHead(methods: readonly string[]): string[] {
  return methods.flatMap((name) => name === "GET" ? ["GET", "HEAD"] : [name]);
}

function checkPolicy({ method, pattern, policy }: Route): void {
  // The type forbids all of this; a row from a cast or from JSON may not know.
  const given: Partial<Policy> | undefined = policy;
  if (given?.kind === "public") return;
  const action = given?.kind === "capability" ? given.action : undefined;
  if (CapabilityAction.safeParse(action).success) return;
  throw new TypeError(`The route ${method} ${pattern} has no policy`);
}
