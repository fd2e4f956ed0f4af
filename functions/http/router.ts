/**
 * From the route table to a `fetch`: find the row, authenticate, parse, handle;
 * everything that is thrown on the way becomes a problem with a request id.
 *
 * @module
 */

import { Problem, problemResponse } from "@kedge/schema";
import { Hono } from "hono";
import { authenticate, type Identities } from "./authenticate.ts";
import { POLICIES, type Route } from "./route.ts";

/** What the server knows of a connection: `Deno.ServeHandlerInfo` or less. */
export interface ConnectionInfo {
  /** The other end. */
  readonly remoteAddr?: Deno.Addr;
}

/** A refused request, for the log. */
export interface Refusal {
  /** The request. */
  readonly request: Request;
  /** What the caller was told. */
  readonly problem: Problem;
  /** Request id, which the caller was told too. */
  readonly instance: string;
  /** What was thrown; not a {@linkcode Problem} when it is a bug. */
  readonly error: unknown;
}

/** What mounting needs. */
export interface RouterOptions {
  /** Who is who. */
  readonly identities: Identities;
  /** Told every refusal. */
  readonly onRefusal?: (refusal: Refusal) => void;
}

/** Answers requests. */
export type Fetch = (
  request: Request,
  info?: ConnectionInfo,
) => Response | Promise<Response>;

/**
 * Mount the rows.
 *
 * @param routes The table.
 * @param options Who is who, and who is told.
 * @returns The handler.
 * @throws {TypeError} At start-up, when a row has no policy, or is there twice.
 */
export function createRouter(
  routes: readonly Route[],
  options: RouterOptions,
): Fetch {
  const app = new Hono<{ Bindings: ConnectionInfo }>();
  for (const row of routes) mustBeSound(row, routes);
  for (const row of routes) {
    app.on(row.method, row.path, async (c) => {
      const request = c.req.raw;
      const remote = addressOf(c.env);
      const caller = await authenticate(
        row.policy,
        { request, remote },
        options.identities,
      );
      return await row.run({ request, caller, params: c.req.param() });
    });
  }
  for (const path of new Set(routes.map((row) => row.path))) {
    const methods = methodsOf(path, routes);
    app.all(path, () => {
      throw new Problem("method-not-allowed", `Use ${methods}`, {
        allow: methods,
      });
    });
  }
  app.notFound((c) => {
    throw new Problem("not-found", `There is nothing at ${c.req.path}`);
  });
  app.onError((error, c) => refuse(error, c.req.raw, options));
  return (request, info = {}) => app.fetch(request, info);
}

function mustBeSound(row: Route, routes: readonly Route[]): void {
  const name = `${row.method} ${row.path}`;
  if (!POLICIES.includes(row.policy)) {
    throw new TypeError(`Cannot mount ${name}: it has no policy`);
  }
  const same = routes.filter(({ method, path }) =>
    method === row.method && path === row.path
  );
  if (same.length > 1) throw new TypeError(`Cannot mount ${name} twice`);
}

function methodsOf(path: string, routes: readonly Route[]): string {
  const methods = routes.filter((row) => row.path === path)
    .flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]);
  return methods.sort().join(", ");
}

/** Render anything that was thrown. A bug becomes a bare 500. */
function refuse(
  error: unknown,
  request: Request,
  { onRefusal }: RouterOptions,
): Response {
  const problem = error instanceof Problem
    ? error
    : new Problem("internal", "Kedge failed; nothing was decided");
  const instance = `/requests/${crypto.randomUUID()}`;
  onRefusal?.({ request, problem, instance, error });
  const { allow } = problem.facts;
  return problemResponse(
    new Problem(problem.slug, problem.message, { ...problem.facts, instance }),
    {
      "cache-control": "no-store",
      ...(problem.status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(typeof allow === "string" ? { allow } : {}),
    },
  );
}

function addressOf(info: ConnectionInfo | undefined): string | undefined {
  const address = info?.remoteAddr;
  if (address === undefined) return undefined;
  return "hostname" in address ? address.hostname : undefined;
}
