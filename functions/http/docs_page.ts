/**
 * The API as one page for people: no script, nothing from elsewhere.
 *
 * @module
 */

import { PROBLEMS } from "@kedge/schema";
import { z } from "zod";
import { openApiPath } from "./openapi.ts";
import type { Route } from "./route.ts";

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: .875rem/1.4 ui-monospace, monospace }
pre { overflow-x: auto; padding: .75rem; background: #8882; border-radius: 6px }
details { border-bottom: 1px solid #8884; padding: .5rem 0 }
summary { cursor: pointer }
summary b { display: inline-block; min-width: 4.5rem }
summary i { float: right; opacity: .7 }
td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
`;

/**
 * Write the page.
 *
 * @param routes Every row.
 * @returns HTML with a policy that lets nothing but its own style in.
 */
export async function docsPage(routes: readonly Route[]): Promise<Response> {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Kedge tracker</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style>
</head><body>
<h1>Kedge tracker</h1>
<p>Where files are and where they go. File bytes never pass through a tracker:
it redirects to the agents. The same as data: <a href="/openapi.json"
>/openapi.json</a>.</p>
<p>Callers: <b>public</b> anybody; <b>client</b> an API key
(<code>Authorization: Bearer KEY</code>); <b>operator</b> the admin key, or an
API key with that role; <b>node</b> an agent
(<code>Authorization: Kedge-Node N:CREDENTIAL</code>). With open access, callers
on the tracker's own machine need no key.</p>
<h2>Requests</h2>
${routes.map(describe).join("\n")}
<h2>Refusals</h2>
<p><code>application/problem+json</code> with <code>type title status detail next
instance</code>; <code>next</code> names the next step.</p>
<table><tr><th>type</th><th>status</th><th>what</th><th>next step</th></tr>
${
    Object.entries(PROBLEMS).map(([slug, { status, title, next }]) =>
      `<tr><td><code>${escape(slug)}</code></td><td>${status}</td><td>${
        escape(title)
      }</td><td>${escape(next)}</td></tr>`
    ).join("\n")
  }
</table></body></html>
`;
  return new Response(html, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        `default-src 'none'; style-src '${await styleHash()}'; ` +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    },
  });
}

async function styleHash(): Promise<string> {
  const bytes = new TextEncoder().encode(STYLE);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return `sha256-${new Uint8Array(digest).toBase64()}`;
}

function describe(row: Route): string {
  const { method, path, policy, summary, answer } = row;
  return `<details><summary><b>${method}</b> <code>${
    escape(openApiPath(path))
  }</code> <i>${policy}</i><br>${escape(summary)}</summary>
${block("Query", row.query, "input")}
${block("Body", row.body, "input")}
<p>${answer.status}: ${escape(answer.description)}</p>
${block("Answer", answer.schema, "output")}
</details>`;
}

function block(
  title: string,
  schema: z.ZodType | undefined,
  io: "input" | "output",
): string {
  if (schema === undefined) return "";
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
  });
  const text = JSON.stringify(rest, null, 1);
  return `<p>${title}</p><pre>${escape(text)}</pre>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
