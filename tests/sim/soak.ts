/**
 * Runs the simulator with fresh seeds for some seconds, or one seed again.
 *
 * ```text
 * deno task sim [SECONDS]      fresh seeds (default 30 s)
 * deno task sim --seed N       one seed, with its trace
 * deno task sim mirror …       the same for the mirror
 * ```
 *
 * @module
 */

import { mirrorMain } from "./mirror/soak.ts";
import { drawConfig, type Fault } from "./plan.ts";
import { runSeed } from "./run.ts";
import { shrinkFaults } from "./shrink.ts";

if (import.meta.main) Deno.exitCode = main(Deno.args);

function main(args: readonly string[]): number {
  const [first = "30", second] = args;
  if (first === "mirror") return mirrorMain(args.slice(1));
  if (first === "--seed" && second !== undefined) return replay(Number(second));
  const seconds = Number(first);
  if (!(seconds > 0)) {
    print("usage: deno task sim [mirror] [SECONDS] | --seed N");
    return 2;
  }
  return soak(seconds);
}

function soak(seconds: number): number {
  const startedMs = performance.now();
  let seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  let [runs, events, acknowledged] = [0, 0, 0];
  print(`fresh seeds from ${seed}`);
  while (performance.now() - startedMs < seconds * 1000) {
    const result = runSeed(seed);
    runs++;
    events += result.events;
    acknowledged += result.acknowledged;
    if (result.violation !== undefined) {
      report(seed, result.violation.message);
      return 1;
    }
    seed++;
  }
  const spent = (performance.now() - startedMs) / 1000;
  print(
    `${runs} seeds kept every promise in ${spent.toFixed(1)} s: ` +
      `${(runs / spent).toFixed(0)} seeds/s, ` +
      `${(events / spent / 1000).toFixed(0)}k events/s, ` +
      `${acknowledged} acknowledged changes`,
  );
  return 0;
}

function report(seed: number, message: string): void {
  print(`seed ${seed} breaks ${message}`);
  print("looking for the faults that are needed …");
  const config = drawConfig(seed);
  for (const fault of shrinkFaults(seed, config)) print(`  ${lineOf(fault)}`);
  print(`replay with: deno task sim --seed ${seed}`);
}

function replay(seed: number): number {
  const { faults, ...rest } = drawConfig(seed);
  print(JSON.stringify(rest));
  for (const fault of faults) print(`  ${lineOf(fault)}`);
  const result = runSeed(seed, { trace: print });
  if (result.violation === undefined) {
    print(`seed ${seed} keeps every promise`);
    return 0;
  }
  report(seed, result.violation.message);
  return 1;
}

function lineOf({ atMs, kind, a, b, ms }: Fault): string {
  return `${atMs} ms: ${kind}, node ${a + 1}, other +${b}, for ${ms} ms`;
}

function print(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) {
    done += Deno.stdout.writeSync(bytes.subarray(done));
  }
}
