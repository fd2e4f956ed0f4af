/**
 * Redirects to agents: the agent's address, our capability, the caller's query.
 *
 * @module
 */

/**
 * `307` to an agent.
 *
 * @param base Base URL of the agent, as it reported.
 * @param path Path there, encoded, with its leading slash.
 * @param options The caller's URL, whose query goes along without any `cap` of
 * its own, and the capability to add.
 * @returns The redirect. Never cached: nodes and capabilities change.
 */
export function redirect(
  base: string,
  path: string,
  options: { readonly from: string; readonly capability?: string },
): Response {
  const query = queryOf(options.from);
  const all = options.capability === undefined
    ? query
    : [`cap=${options.capability}`, ...query];
  const location = `${base}${path}${all.length > 0 ? "?" : ""}${all.join("&")}`;
  return new Response(null, {
    status: 307,
    headers: { location, "cache-control": "no-store" },
  });
}

function queryOf(url: string): string[] {
  const start = url.indexOf("?");
  if (start < 0) return [];
  return url.slice(start + 1).split("&")
    .filter((part) => part !== "" && !isCapability(part));
}

/** Percent-encoded spellings count too, such as `%63ap`. */
function isCapability(part: string): boolean {
  const [name = ""] = part.split("=", 1);
  return name === "cap" || new URLSearchParams(part).has("cap");
}
