/**
 * Lines of tests and benches for people.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Print a line on standard error. */
export function say(line: string): void {
  Deno.stderr.writeSync(encoder.encode(`${line}\n`));
}
