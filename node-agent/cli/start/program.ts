/** One child process: started, watched, told to stop. */

import { TextLineStream } from "@std/streams";
import { keepLog } from "./log_file.ts";

/** How to start a program. */
export interface ProgramSpec {
  /** For messages and the name of its log, such as `node-1`. */
  readonly name: string;
  /** Arguments for `deno`. */
  readonly args: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** File that its output is appended to. */
  readonly logFile: string;
  /** Gets each line of its standard output. */
  readonly onLine?: (line: string) => void;
}

/** A running program. */
export interface Program {
  /** Its process number. */
  readonly pid: number;
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  /** Send a signal; nothing happens when it is gone already. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/**
 * For the allocator of glibc; others ignore it. Very long buffers are mapped on
 * their own and so go back to the system when they are freed, and so does what is
 * free at the top; without this a node keeps the memory of its busiest moment for
 * ever. A body of a record is not mapped on its own: that cost an upload of 200 kB
 * a hundred page faults, a tenth of its CPU. The room at the top spares the many
 * small buffers a system call each.
 */
const MEMORY = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "2097152",
  MALLOC_TRIM_THRESHOLD_: "67108864",
  MALLOC_TOP_PAD_: "1048576",
};

/**
 * Start a program. It ends when this process dies (`stop_with_parent.ts`). It
 * has a process group of its own, so that Ctrl-C reaches only the supervisor,
 * which stops its programs in order.
 */
export function startProgram(spec: ProgramSpec): Program {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...spec.args],
    env: {
      ...spec.env,
      ...MEMORY,
      KEDGE_SUPERVISOR_PID: String(Deno.pid),
    },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const logged = keepLog(child.stderr, spec.logFile);
  const read = readLines(child.stdout, spec.onLine ?? (() => {}));
  const ended = (async () => {
    const status = await child.status;
    await Promise.all([logged, read]);
    return status.signal === null
      ? `exit code ${status.code}`
      : `signal ${status.signal}`;
  })();
  return {
    pid: child.pid,
    ended,
    kill(signal) {
      try {
        child.kill(signal);
      } catch {
        // It has ended; `ended` tells.
      }
    },
  };
}

async function readLines(
  output: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<void> {
  const lines = output.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) onLine(line);
}

/**
 * The last lines of a log, for a message about a program that cannot start.
 *
 * @param path The log file.
 * @param count How many lines.
 */
export async function lastLines(
  path: string,
  count: number,
): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.trimEnd().split("\n").slice(-count);
}
