/**
 * A process under test: its output by line, its signals, its end.
 *
 * @module
 */

import { eventually, within } from "./eventually.ts";
import type { Scope } from "./scope.ts";

/** How to start a process. */
export interface ChildOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** Working directory. */
  readonly cwd?: string;
  /** More environment variables. */
  readonly env?: Record<string, string>;
}

/** Lines of output kept for error messages. */
const LINES_MAX = 2_000;

/** A running process of a test. */
export class Child {
  /** Process ID. */
  readonly pid: number;
  /** What it has printed on standard output, line by line. */
  readonly out: string[] = [];
  /** What it has printed on standard error, line by line. */
  readonly err: string[] = [];
  /** Resolves when it has ended. */
  readonly status: Promise<Deno.CommandStatus>;
  #ended = false;

  private constructor(process: Deno.ChildProcess) {
    this.pid = process.pid;
    this.status = process.status.then((status) => {
      this.#ended = true;
      return status;
    });
    collect(process.stdout, this.out);
    collect(process.stderr, this.err);
  }

  /**
   * Start a process that ends with the scope at the latest.
   *
   * @param scope Kills it if it still runs at the end.
   * @param options What to run.
   */
  static start(scope: Scope, options: ChildOptions): Child {
    const [program, ...args] = options.command;
    const process = new Deno.Command(program, {
      args,
      env: scope.environment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const child = new Child(process);
    scope.defer(() => child.kill());
    return child;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Everything that it printed, for messages. */
  get text(): string {
    return [...this.out, ...this.err].join("\n");
  }

  /**
   * Wait for a line that fits.
   *
   * @returns The first such line, of standard output or error.
   */
  line(pattern: RegExp, deadlineMs = 20_000): Promise<string> {
    const look = () => {
      const fits = (line: string) => pattern.test(line);
      const found = this.out.find(fits) ?? this.err.find(fits);
      if (found === undefined && this.#ended) return new Ended(this.text);
      return found;
    };
    return eventually(look, { what: `a line like ${pattern}`, deadlineMs })
      .then((found) => {
        if (typeof found === "string") return found;
        throw new Error(
          `it ended before a line like ${pattern}:\n${this.text}`,
        );
      }, (error) => {
        throw new Error(`${error.message}; it printed:\n${this.text}`);
      });
  }

  /** Send a signal; nothing happens when it has ended. */
  signal(name: Deno.Signal): void {
    if (this.#ended) return;
    try {
      Deno.kill(this.pid, name);
    } catch {
      // It ended between the check and the signal.
    }
  }

  /** End it politely. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    this.signal(signal);
    const what = `process ${this.pid} to end after ${signal}`;
    return await within(this.status, { what, deadlineMs: 15_000 });
  }

  /** End it as a power cut would: no instruction more. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.status;
  }
}

/** What a finished command gave. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Run a command to its end.
 *
 * @param command Program and arguments.
 * @param stdin Text for its standard input.
 */
export async function run(
  command: readonly [string, ...string[]],
  options: { stdin?: string; cwd?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  const [program, ...args] = command;
  const { stdin, ...rest } = options;
  const process = new Deno.Command(program, {
    args,
    ...rest,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (stdin !== undefined) {
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await process.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Whether a program is installed. */
export async function isInstalled(program: string): Promise<boolean> {
  return (await run(["sh", "-c", `command -v ${program}`])).code === 0;
}

class Ended {
  constructor(readonly text: string) {}
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  lines: string[],
): Promise<void> {
  let rest = "";
  const text = stream.pipeThrough(new TextDecoderStream() as never);
  for await (const piece of text as ReadableStream<string>) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    if (lines.length > LINES_MAX) lines.splice(0, lines.length - LINES_MAX);
  }
  if (rest !== "") lines.push(rest);
}
