/** HTTPS for a local cluster: an authority and a certificate, made here. */

import type { TlsFiles } from "./programs.ts";

/** Make, or reuse, the certificates in `dir`. */
export function makeLocalTls(
  _dir: string,
  _hostnames: readonly string[],
): Promise<TlsFiles> {
  return Promise.reject(new Error("not built yet"));
}
