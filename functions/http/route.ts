/**
 * One row of the route table: what a request may be, who may send it, and what
 * answers. The OpenAPI document and `/docs` are made from the same rows.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { z } from "zod";
import { readJson } from "./body.ts";

/** Who may call: see `docs/protocols.md`. There is no default. */
export const POLICIES = [
  "public",
  "client",
  "operator",
  /** A node of the file store. */
  "node",
  /** A node of the file store, or a host that only mirrors volumes. */
  "mirror",
] as const;
/** Who may call. */
export type Policy = typeof POLICIES[number];

/** Who is calling, once that is known. */
export type Caller =
  | { readonly kind: "public" }
  | { readonly kind: "client" }
  | { readonly kind: "operator" }
  | { readonly kind: "node"; readonly node: number };

/** HTTP methods that rows may have; HEAD comes with GET. */
export type Method = "DELETE" | "GET" | "PATCH" | "POST" | "PUT";

/** What a handler gets: parsed, of its types. */
export interface Call<Params, Query, Body> {
  /** The request; its body is read already, or is not meant for the tracker. */
  readonly request: Request;
  /** Who is calling. */
  readonly caller: Caller;
  /** Parts of the path. */
  readonly params: Params;
  /** Query. */
  readonly query: Query;
  /** JSON body. */
  readonly body: Body;
}

/** What a row answers when all is well. */
export interface Answer {
  /** HTTP status. */
  readonly status: number;
  /** For people. */
  readonly description: string;
  /** The JSON body, if there is one. */
  readonly schema?: z.ZodType;
}

/** What every row says about itself. */
export interface RouteFacts {
  /** HTTP method. */
  readonly method: Method;
  /** Path with `:name` and `:name{pattern}` parts. */
  readonly path: string;
  /** Who may call. */
  readonly policy: Policy;
  /** What it does, in one line. */
  readonly summary: string;
  /** Answer when all is well. */
  readonly answer: Answer;
  /** Parts of the path. */
  readonly params?: z.ZodType | undefined;
  /** Query. */
  readonly query?: z.ZodType | undefined;
  /** JSON body; a request without a body counts as `{}`. */
  readonly body?: z.ZodType | undefined;
}

/** A row with its handler; build it with {@linkcode route}. */
export interface RouteRow<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
> extends RouteFacts {
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  /** Do it. Refuse by throwing a {@linkcode Problem}. */
  readonly handle: (
    call: Call<z.output<Params>, z.output<Query>, z.output<Body>>,
  ) => Response | Promise<Response>;
}

/** A request that was authenticated but not parsed. */
export interface RawCall {
  /** The request. */
  readonly request: Request;
  /** Who is calling. */
  readonly caller: Caller;
  /** Parts of the path, decoded. */
  readonly params: Record<string, string>;
}

/** A row as the table holds it. */
export interface Route extends RouteFacts {
  /** Parse and handle. Throws {@linkcode Problem}s. */
  readonly run: (call: RawCall) => Response | Promise<Response>;
}

/**
 * Make a row.
 *
 * @param row What it is and does.
 * @returns The row for the table.
 */
export function route<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
>(row: RouteRow<Params, Query, Body>): Route {
  const { handle, ...facts } = row;
  return {
    ...facts,
    run: async ({ request, caller, params }) =>
      await handle(
        {
          request,
          caller,
          params: parsePart("path", row.params, params),
          query: row.query &&
            parsePart("query", row.query, queryOf(request.url)),
          body: row.body &&
            parsePart("body", row.body, await readJson(request)),
        } as Parameters<typeof handle>[0],
      ),
  };
}

function parsePart(
  part: string,
  schema: z.ZodType | undefined,
  value: unknown,
): unknown {
  const parsed = schema?.safeParse(value);
  if (parsed === undefined || parsed.success) return parsed?.data;
  throw new Problem("invalid-request", z.prettifyError(parsed.error), {
    part,
    issues: parsed.error.issues.map(({ path, message }) => ({
      path: path.join("."),
      message,
    })),
  });
}

function queryOf(url: string): Record<string, string> {
  const start = url.indexOf("?");
  if (start < 0) return {};
  return Object.fromEntries(new URLSearchParams(url.slice(start + 1)));
}

/** A JSON answer. */
export function json(
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}
