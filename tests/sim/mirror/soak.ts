/**
 * Runs the simulator of the mirror with fresh seeds, or one seed again.
 *
 * @module
 */

import { drawPlan } from "./plan.ts";
import { runMirror } from "./run.ts";

if (import.meta.main) Deno.exitCode = mirrorMain(Deno.args);

/** `[SECONDS [FIRST_SEED]] | --seed N`; returns the exit code. */
export function mirrorMain(args: readonly string[]): number {
  const [first = "30", second] = args;
  if (first === "--seed" && second !== undefined) {
    return replay(Number(second), args[2]);
  }
  return soak(Number(first), second === undefined ? undefined : Number(second));
}

function soak(seconds: number, from: number | undefined): number {
  const startedMs = performance.now();
  let seed = from ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  let [runs, events, answers] = [0, 0, 0];
  const found = new Map<
    string,
    { count: number; seed: number; text: string }
  >();
  while (performance.now() - startedMs < seconds * 1000) {
    const result = runMirror(seed);
    runs++;
    events += result.events;
    answers += result.answers;
    const { violation } = result;
    if (violation !== undefined) {
      const kind = violation.message.split("\n")[0]
        ?.replace(/at [0-9.]+ ms/, "").replace(/[0-9a-f]{6,}/g, "G")
        .replace(/[0-9]+/g, "N").slice(0, 60) ?? "";
      const known = found.get(kind);
      if (known === undefined) {
        found.set(kind, { count: 1, seed, text: violation.message });
      } else known.count++;
    }
    seed++;
  }
  const spent = (performance.now() - startedMs) / 1000;
  print(
    `${runs} seeds in ${spent.toFixed(1)} s: ` +
      `${(runs / spent).toFixed(0)} seeds/s, ` +
      `${(events / spent / 1000).toFixed(0)}k events/s, ` +
      `${answers} answers`,
  );
  for (const { count, seed, text } of found.values()) {
    print(`${count} × seed ${seed}: ${text.slice(0, 400)}`);
  }
  return found.size === 0 ? 0 : 1;
}

function replay(seed: number, watched?: string): number {
  const { faults, ...rest } = drawPlan(seed);
  print(JSON.stringify(rest));
  for (const fault of faults) print(`  ${JSON.stringify(fault)}`);
  const result = runMirror(seed, {
    trace: print,
    ...(watched === undefined ? {} : { watched: Number(watched) }),
  });
  print(result.violation?.message ?? `seed ${seed} keeps every promise`);
  return result.violation === undefined ? 0 : 1;
}

function print(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) {
    done += Deno.stdout.writeSync(bytes.subarray(done));
  }
}
