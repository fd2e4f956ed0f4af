/** A world for commands in tests: no terminal, no network, no waiting. */

import type { CommandContext, Fetch, Output } from "../context.ts";
import { runCommand } from "../command.ts";
import { COMMANDS } from "../registry.ts";

/** What a command printed and returned. */
export interface Ran {
  readonly code: number;
  /** Standard output. */
  readonly out: string;
  /** Standard error. */
  readonly err: string;
}

/** What a test may choose. */
export interface FakeWorld {
  readonly env?: Record<string, string>;
  readonly fetch?: Fetch;
  readonly stdin?: string;
  /** Columns of the terminal; none when missing. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
}

/**
 * Run a command line as `main.ts` does.
 *
 * @param argv Words after "kedge".
 * @param world What it may touch.
 */
export async function run(
  argv: readonly string[],
  world: FakeWorld = {},
): Promise<Ran> {
  const { context, printed } = fakeContext(world);
  const code = await runCommand(COMMANDS, argv, context);
  return { code, out: printed.out(), err: printed.err() };
}

/** A context, and what was printed through it. */
export function fakeContext(world: FakeWorld = {}): {
  context: CommandContext;
  printed: { out(): string; err(): string };
} {
  const out = recorder(world.columns);
  const err = recorder(world.columns);
  const answer = world.fetch ??
    (() => Promise.reject(new TypeError("there is no network in this test")));
  let nowMs = 0;
  const context: CommandContext = {
    // No data directory beside us: a `kedge-data` here must not be found.
    env: { KEDGE_DATA: "/nonexistent", ...world.env },
    out: out.output,
    err: err.output,
    stdin: new Blob([world.stdin ?? ""]).stream(),
    signal: world.signal ?? new AbortController().signal,
    network: () => ({
      fetch: answer,
      stream: async ({ url, method, headers, body }, signal) =>
        await answer(url, {
          method,
          headers,
          body: await new Response(
            body as ReadableStream<Uint8Array<ArrayBuffer>>,
          )
            .bytes(),
          signal,
        }),
    }),
    openLog: () => ({ info() {}, warn() {} }),
    nowMs: () => nowMs += 5,
    sleep(ms, signal) {
      signal?.throwIfAborted();
      nowMs += ms;
      return Promise.resolve();
    },
  };
  return { context, printed: { out: out.text, err: err.text } };
}

function recorder(
  columns: number | undefined,
): { output: Output; text: () => string } {
  const parts: Uint8Array[] = [];
  const encoder = new TextEncoder();
  const write = (text: string) => {
    parts.push(encoder.encode(text));
  };
  return {
    text: () => new TextDecoder().decode(concat(parts)),
    output: {
      line: (text) => write(text + "\n"),
      write,
      bytes(chunk) {
        parts.push(chunk.slice());
        return Promise.resolve();
      },
      columns,
    },
  };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
