/** The real world for commands: this process, its terminal, its network. */

import type { CommandContext, Network, Output } from "./context.ts";
import { ReaderGone } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { streamRequest } from "./stream_request.ts";

/** What is needed of `Deno.stdout` and `Deno.stderr`. */
interface Sink {
  writeSync(bytes: Uint8Array): number;
  write(bytes: Uint8Array): Promise<number>;
  isTerminal(): boolean;
}

/**
 * The context of this process.
 *
 * @param openLog Makes the log of a long-running program.
 * @returns The context. Ctrl-C and SIGTERM abort its signal; one that comes more
 * than a second later ends the process at once.
 */
export function systemContext(
  openLog: CommandContext["openLog"],
): CommandContext {
  const networks = new Map<string | undefined, Network>();
  return {
    env: Deno.env.toObject(),
    out: output(Deno.stdout),
    err: output(Deno.stderr),
    stdin: Deno.stdin.readable,
    signal: interruptSignal(),
    network(caPem) {
      const known = networks.get(caPem) ?? openNetwork(caPem);
      networks.set(caPem, known);
      return known;
    },
    openLog,
    nowMs: () => performance.now(),
    sleep,
  };
}

/**
 * Wait.
 *
 * @throws The signal's reason, when it aborts first.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function openNetwork(caPem: string | undefined): Network {
  const client = caPem === undefined
    ? undefined
    : Deno.createHttpClient({ caCerts: [caPem] });
  return {
    fetch: (input, init) =>
      fetch(input, client === undefined ? init : { ...init, client }),
    stream: (request, signal) => streamRequest(request, caPem, signal),
  };
}

function output(sink: Sink): Output {
  const encoder = new TextEncoder();
  const write = (text: string) => {
    const bytes = encoder.encode(text);
    try {
      for (let done = 0; done < bytes.length;) {
        done += sink.writeSync(bytes.subarray(done));
      }
    } catch (error) {
      throw gone(error);
    }
  };
  return {
    line: (text) => write(text + "\n"),
    write,
    async bytes(chunk) {
      for (let done = 0; done < chunk.length;) {
        done += await sink.write(chunk.subarray(done))
          .catch((error) => {
            throw gone(error);
          });
      }
    },
    columns: sink.isTerminal() ? columns() : undefined,
  };
}

function gone(error: unknown): unknown {
  return error instanceof Deno.errors.BrokenPipe ? new ReaderGone() : error;
}

function columns(): number {
  try {
    // Some terminals do not know their size and say 0.
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

/**
 * A Ctrl-C often arrives twice: from the terminal, and passed on by `deno task`.
 * Only a later one is a person who is out of patience.
 */
const SAME_SIGNAL_MS = 1000;

function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  let firstMs: number | undefined;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      if (nowMs - firstMs > SAME_SIGNAL_MS) Deno.exit(EXIT.interrupted);
      controller.abort(new DOMException(`Stopped by ${name}`, "AbortError"));
    });
  }
  return controller.signal;
}
