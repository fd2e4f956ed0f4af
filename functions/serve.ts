/**
 * Entry of a self-hosted tracker with its own listener.
 *
 * ```text
 * deno run -A functions/serve.ts --listen 127.0.0.1:8080
 *   [--tls-cert FILE --tls-key FILE]
 * ```
 *
 * Flags win over `KEDGE_LISTEN`, `KEDGE_TLS_CERT`, `KEDGE_TLS_KEY`; all other
 * settings come from the environment (`schema/config/tracker.ts`). When it
 * listens it writes one line of JSON to stdout: `{"ready":true,"url":URL}`.
 * SIGTERM and SIGINT stop it. Exit codes: 0 stopped, 1 cannot start.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Problem } from "@kedge/schema";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import { isLoopback, urlOf } from "@kedge/schema/config/units";
import type { Fetch } from "./http/router.ts";
import { type RunningServer, serveHttps } from "./https_server.ts";
import { openTracker } from "./open.ts";
import { servePlain } from "./plain_server.ts";

/** Longest wait for requests that are under way, in ms. */
const STOP_MS_MAX = 5000;

/** A tracker that listens. */
export interface ServedTracker {
  /** Its base URL, without a slash at the end. */
  readonly url: string;
  /** Stop listening, finish what is under way, close the store. */
  close(): Promise<void>;
}

/**
 * Open a tracker and listen.
 *
 * @param env Settings.
 * @throws {Problem} As `openTracker`, or when open access meets an address that
 * others can reach.
 */
export async function serveTracker(
  env: Readonly<Record<string, string | undefined>>,
): Promise<ServedTracker> {
  const { tracker, kv, config } = await openTracker(env);
  try {
    if (config.access === "open" && !isLoopback(config.listen.hostname)) {
      throw new Problem(
        "invalid-request",
        `KEDGE_ACCESS: open access needs a loopback address, not ` +
          `${config.listen.hostname}; use KEDGE_ACCESS=key`,
      );
    }
    const server = await listen(tracker.fetch, config);
    const { hostname } = config.listen;
    return {
      url: urlOf({ hostname, port: server.port }, config.tlsCert !== undefined),
      close: async () => {
        await inTime(server.close());
        kv.close();
      },
    };
  } catch (error) {
    kv.close();
    throw error;
  }
}

/** Wait for what is under way, but not for ever. */
async function inTime(done: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_MS_MAX);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}

async function listen(
  fetch: Fetch,
  { listen, tlsCert, tlsKey }: TrackerConfig,
): Promise<RunningServer> {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const [cert, key] = await Promise.all(
      [tlsCert, tlsKey].map((path) => Deno.readTextFile(path)),
    );
    return await serveHttps(fetch, {
      ...listen,
      cert: cert ?? "",
      key: key ?? "",
    });
  }
  return servePlain(fetch, listen, (why) => say(Deno.stderr, why));
}

function settings(): Record<string, string | undefined> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      "listen": { type: "string" },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
    },
  });
  const env = Deno.env.toObject();
  return {
    ...env,
    KEDGE_LISTEN: values.listen ?? env.KEDGE_LISTEN,
    KEDGE_TLS_CERT: values["tls-cert"] ?? env.KEDGE_TLS_CERT,
    KEDGE_TLS_KEY: values["tls-key"] ?? env.KEDGE_TLS_KEY,
  };
}

function say(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  to.writeSync(new TextEncoder().encode(`${text}\n`));
}

async function main(): Promise<void> {
  const served = await serveTracker(settings());
  say(Deno.stdout, JSON.stringify({ ready: true, url: served.url }));
  const stop = async () => {
    await served.close();
    Deno.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => void stop());
  }
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    say(Deno.stderr, `The tracker cannot start: ${text}`);
    Deno.exit(1);
  });
}
