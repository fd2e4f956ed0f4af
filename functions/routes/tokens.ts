/**
 * Join tokens, API keys, signing keys: for operators.
 *
 * @module
 */

import { CreatedToken, CreateToken, TokenList } from "@kedge/schema";
import { z } from "zod";
import { json, type Route, route } from "../http/route.ts";
import type { Services } from "../services.ts";
import { rotateSigningKeys } from "../store/signing_keys.ts";

const HashParams = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) });

const Rotated = z.object({
  /** Names of the keys that verify now, newest first. */
  keys: z.array(z.string()),
});

/** Rows about secrets. */
export function tokenRoutes(services: Services): Route[] {
  const { tokens } = services;
  return [
    route({
      method: "POST",
      path: "/v1/tokens",
      policy: "operator",
      summary: "Make a join token or an API key; the secret is shown once",
      body: CreateToken,
      answer: {
        status: 201,
        description: "The secret, shown once",
        schema: CreatedToken,
      },
      handle: async ({ body }) =>
        json(201, await tokens.create(body), { "cache-control": "no-store" }),
    }),
    route({
      method: "GET",
      path: "/v1/tokens",
      policy: "operator",
      summary: "All join tokens and API keys, without their secrets",
      answer: { status: 200, description: "All of them", schema: TokenList },
      handle: async () => json(200, { tokens: await tokens.list() }),
    }),
    route({
      method: "DELETE",
      path: "/v1/tokens/:hash",
      policy: "operator",
      summary: "End a join token or an API key",
      params: HashParams,
      answer: { status: 204, description: "It has ended" },
      handle: async ({ params }) => {
        await tokens.delete(params.hash);
        return new Response(null, { status: 204 });
      },
    }),
    rotateRoute(services),
  ];
}

function rotateRoute({ kv, clock, cache }: Services): Route {
  return route({
    method: "POST",
    path: "/v1/signing-keys/rotate",
    policy: "operator",
    summary: "Sign with a new key; replaced ones verify for 30 minutes more",
    answer: { status: 200, description: "Keys now", schema: Rotated },
    handle: async () => {
      const rotated = await rotateSigningKeys(kv, clock.wallMs());
      cache.drop();
      return json(200, { keys: rotated.map(({ id }) => id) });
    },
  });
}
