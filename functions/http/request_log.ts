/**
 * One line of JSON per request: never a query (capabilities and user data are
 * there), a header or a body.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import type { Clock, LogLine } from "../ports.ts";
import type { Fetch, Refusal } from "./router.ts";

/** What the log needs. */
export interface RequestLogDeps {
  /** Which requests: `requestLog`. */
  readonly config: Pick<TrackerConfig, "requestLog">;
  /** Time. */
  readonly clock: Clock;
  /** Where lines go. */
  readonly log: LogLine;
}

/**
 * Make the two hooks of the log.
 *
 * @returns `onRefusal` for the router, and `logged`, which puts a line per
 * request around a handler when all requests are wanted.
 */
export function requestLog({ config, clock, log }: RequestLogDeps): {
  readonly onRefusal: (refusal: Refusal) => void;
  readonly logged: (fetch: Fetch) => Fetch;
} {
  const line = (request: Request, facts: Record<string, unknown>) =>
    log(JSON.stringify({
      time: new Date(clock.wallMs()).toISOString(),
      method: request.method,
      path: pathOf(request.url),
      ...facts,
    }));
  const onRefusal = ({ request, problem, instance, error }: Refusal) => {
    const isBug = !(error instanceof Problem);
    if (config.requestLog === "off" && !isBug) return;
    line(request, {
      status: problem.status,
      problem: problem.slug,
      detail: problem.message,
      instance,
      ...(isBug ? { bug: stackOf(error) } : {}),
    });
  };
  const logged = (fetch: Fetch): Fetch => {
    if (config.requestLog !== "all") return fetch;
    return async (request, info) => {
      const startMs = clock.monotonicMs();
      const response = await fetch(request, info);
      const tookMs = Number((clock.monotonicMs() - startMs).toFixed(2));
      if (response.status < 400) {
        line(request, { status: response.status, tookMs });
      }
      return response;
    };
  };
  return { onRefusal, logged };
}

/** Path of a URL without parsing it: everything from the host to the query. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.indexOf("?", start);
  return start < 0 ? "/" : url.slice(start, end < 0 ? undefined : end);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
