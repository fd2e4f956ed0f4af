/**
 * Who counts as "a caller on this machine" when `access` is `open`. Pure.
 *
 * A page in a browser on this machine is not one, so all of these must hold:
 * the connection comes from a loopback address; no proxy stands in between; the
 * `Host` is a loopback name, because a foreign name may be made to point here
 * (DNS rebinding); and the browser, if it is one, says that the request is not
 * from another site (`Sec-Fetch-Site`, `Origin`).
 *
 * @module
 */

import { isLoopback } from "@kedge/schema/config/units";

/** What decides. */
export interface LocalCall {
  /** Address of the other end of the connection; `undefined` is not known. */
  readonly remote: string | undefined;
  /** URL of the request, with the host that the caller named. */
  readonly url: string;
  /** Headers of the request. */
  readonly headers: Headers;
}

/** Headers that a proxy adds. They never grant anything; here they deny. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/**
 * Say why a caller without a key is not let in.
 *
 * @returns A sentence, or `undefined` when the caller is local.
 */
export function whyNotLocal(call: LocalCall): string | undefined {
  const { headers, remote } = call;
  if (remote === undefined || !isLocal(remote)) {
    return "Open access is for callers on the tracker's own machine";
  }
  const proxy = PROXY_HEADERS.find((name) => headers.has(name));
  if (proxy !== undefined) {
    return `Open access is not for callers behind a proxy ("${proxy}")`;
  }
  const { host, hostname, protocol } = new URL(call.url);
  const named = headers.get("host") ?? host;
  if (named !== host || !isLocal(hostname)) {
    return `Open access needs a loopback address in the URL, not "${named}"`;
  }
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") {
    return `Open access is not for requests from another site ("${site}")`;
  }
  const origin = headers.get("origin");
  if (origin !== null && origin !== `${protocol}//${host}`) {
    return `Open access is not for requests from another origin ("${origin}")`;
  }
  return undefined;
}

/** Without the brackets of IPv6 and the prefix of an IPv4 address in IPv6. */
function isLocal(name: string): boolean {
  return isLoopback(name.replace(/^\[|\]$/g, "").replace(/^::ffff:/i, ""));
}
