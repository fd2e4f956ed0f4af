/**
 * What a heartbeat must be beyond its schema.
 *
 * @module
 */

import { type Heartbeat, Problem } from "@kedge/schema";

/**
 * Check the address that clients will be sent to, and bring it into one form.
 *
 * @returns The heartbeat with a base URL that is an origin and a path without
 * a slash at the end.
 * @throws {Problem} `invalid-request` when the URL has a user, a query or a
 * fragment: these would end up in redirects.
 */
export function saneHeartbeat(heartbeat: Heartbeat): Heartbeat {
  const { username, password, search, hash, origin, pathname } = new URL(
    heartbeat.url,
  );
  if (username + password + search + hash !== "") {
    const message = "must have no user, query or fragment";
    throw new Problem("invalid-request", `Heartbeat: url ${message}`, {
      issues: [{ path: "url", message }],
    });
  }
  return { ...heartbeat, url: origin + pathname.replace(/\/+$/, "") };
}
