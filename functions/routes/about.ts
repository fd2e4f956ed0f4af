/**
 * What the tracker says about itself: health, OpenAPI, the page for people.
 *
 * @module
 */

import { z } from "zod";
import { docsPage } from "../http/docs_page.ts";
import { openApiOf } from "../http/openapi.ts";
import { json, type Route, route } from "../http/route.ts";

/**
 * Rows about the API.
 *
 * @param routes All other rows; these are added to them.
 */
export function aboutRoutes(routes: readonly Route[]): Route[] {
  const all = [...routes];
  let document: string | undefined;
  let page: Promise<Response> | undefined;
  const about = [
    route({
      method: "GET",
      path: "/health",
      policy: "public",
      summary: "Whether the tracker runs",
      answer: {
        status: 200,
        description: "It runs",
        schema: z.object({ ok: z.literal(true) }),
      },
      handle: () => json(200, { ok: true }),
    }),
    route({
      method: "GET",
      path: "/openapi.json",
      policy: "public",
      summary: "This API as OpenAPI 3.1",
      answer: { status: 200, description: "OpenAPI 3.1" },
      handle: () => {
        document ??= JSON.stringify(openApiOf(all));
        return new Response(document, {
          headers: { "content-type": "application/json" },
        });
      },
    }),
    route({
      method: "GET",
      path: "/docs",
      policy: "public",
      summary: "This API as a page",
      answer: { status: 200, description: "HTML" },
      handle: async () => {
        page ??= docsPage(all);
        return (await page).clone();
      },
    }),
  ];
  all.push(...about);
  return about;
}
