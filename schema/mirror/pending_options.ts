/**
 * Options that are said in the greeting of a connection: a change counts from
 * the next one on, and the connection that stands goes on as it began. Pure.
 *
 * @module
 */

/** The options of a connection that are said in its greeting. */
export interface GreetingOptions {
  readonly protocol: "A" | "B" | "C";
  readonly sharedSecret: string | undefined;
  readonly cramHmacAlg: string | undefined;
  readonly dataIntegrityAlg: string | undefined;
}

/** States without a connection: what is changed counts for the one that comes. */
const APART: ReadonlySet<string> = new Set([
  "StandAlone",
  "Unconnected",
  "WFConnection",
]);

/** Whether a state of a volume has a connection that stands. */
export function hasConnection(connection: string): boolean {
  return !APART.has(connection);
}

/** Names of the options that a connection does not run by yet. */
export function pendingOptions(
  begun: GreetingOptions,
  wanted: GreetingOptions,
): string[] {
  const isNew = (name: keyof GreetingOptions) => begun[name] !== wanted[name];
  return [
    // The peer must not believe that it has every answered write.
    ...isNew("protocol") && wanted.protocol === "A" ? ["protocol"] : [],
    ...isNew("sharedSecret") ? ["shared-secret"] : [],
    ...isNew("cramHmacAlg") ? ["cram-hmac-alg"] : [],
    ...isNew("dataIntegrityAlg") ? ["data-integrity-alg"] : [],
  ];
}
