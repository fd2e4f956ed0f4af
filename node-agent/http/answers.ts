/**
 * Answers that every route gives: refusals and JSON.
 *
 * @module
 */

import { Problem, problemResponse } from "@kedge/schema";
import type { Log } from "../ports.ts";

/** A JSON answer. */
export function json(
  body: unknown,
  init: { status?: number; headers?: Record<string, string> } = {},
): Response {
  return new Response(JSON.stringify(body), {
    status: init.status ?? 200,
    headers: {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "access-control-allow-origin": "*",
      ...init.headers,
    },
  });
}

/**
 * Turn whatever was thrown into an answer. What is not a {@linkcode Problem} is
 * told to the log under a number that the client gets, and to nobody else.
 *
 * @param error What was thrown.
 * @param log Where failures of Kedge itself go.
 */
export function answerTo(error: unknown, log: Log): Response {
  const problem = error instanceof Problem ? error : failure(error, log);
  return problemResponse(problem, headersOf(problem));
}

function failure(error: unknown, log: Log): Problem {
  const instance = crypto.randomUUID();
  const why = error instanceof Error ? error.stack ?? error.message : error;
  log.warn("a request failed", { instance, why: String(why) });
  return new Problem("internal", "This request failed", { instance });
}

function headersOf({ slug, facts }: Problem): Record<string, string> {
  const headers: Record<string, string> = {
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
  };
  if (slug === "method-not-allowed") headers["allow"] = String(facts["allow"]);
  if (slug === "unauthorized") headers["www-authenticate"] = "Kedge";
  if (slug === "range-not-satisfiable" && "sizeBytes" in facts) {
    headers["content-range"] = `bytes */${facts["sizeBytes"]}`;
  }
  return headers;
}
