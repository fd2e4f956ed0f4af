/**
 * The door for commands of this host: HTTP on a Unix socket that only its
 * owner may open (`schema/mirror/control_api.ts` lists the requests).
 *
 * @module
 */

import {
  CommandRequest,
  OptionsRequest,
  ResourceRequest,
} from "@kedge/schema/mirror/control-api";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { EventStreams } from "./event_streams.ts";
import type { MirrorHost } from "./mirror_host.ts";
import { inUse, isAnswering } from "./run_folder.ts";

/** The longest body of a request, in bytes. */
const BODY_BYTES_MAX = 1024 * 1024;
/** How long requests that are under way may take when it closes, in ms. */
const CLOSE_MS = 2_000;

/** A door that is open. */
export interface ControlServer {
  readonly path: string;
  /** Resolves when somebody asked the daemon to stop. */
  readonly stopAsked: Promise<void>;
  close(): Promise<void>;
}

/**
 * Open the door.
 *
 * @param path Socket; an old one that nobody listens on is replaced.
 * @param closeMs How long requests that are under way may take when it closes.
 * @throws {Deno.errors.AddrInUse} When another daemon listens there.
 */
export async function serveControl(
  host: MirrorHost,
  path: string,
  closeMs: number = CLOSE_MS,
): Promise<ControlServer> {
  if (await isAnswering(path)) throw inUse(path);
  await Deno.remove(path).catch(() => {});
  const stop = Promise.withResolvers<void>();
  const streams = new EventStreams(host);
  const pending = new Set<(response: Response) => void>();
  const server = Deno.serve({
    path,
    transport: "unix",
    onListen: () => Deno.chmodSync(path, 0o600),
    onError: (error) =>
      problem(500, error instanceof Error ? error.message : String(error)),
  }, (request) =>
    new Promise((resolve, reject) => {
      pending.add(resolve);
      handle({ host, streams, stop: stop.resolve }, request)
        .then(resolve, reject)
        .finally(() => pending.delete(resolve));
    }));
  return {
    path,
    stopAsked: stop.promise,
    close: async () => {
      streams.close();
      const alarm = setTimeout(() => {
        const late = "The mirror daemon ends; what was begun is not waited for";
        for (const answer of pending) answer(problem(503, late));
      }, closeMs);
      // A client that takes no answer is not waited for either.
      await Promise.race([server.shutdown(), pause(2 * closeMs)]);
      clearTimeout(alarm);
      await Deno.remove(path).catch(() => {});
    },
  };
}

async function handle(
  { host, streams, stop }: {
    readonly host: MirrorHost;
    readonly streams: EventStreams;
    readonly stop: () => void;
  },
  request: Request,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  const [, version, area, name, verb] = pathname.split("/").map(
    decodeURIComponent,
  );
  if (version !== "v1") return problem(404, `No such request: ${pathname}`);
  const key = `${request.method} ${area}${name === undefined ? "" : "/NAME"}${
    verb === undefined ? "" : `/${verb}`
  }`;
  switch (key) {
    case "GET alive":
      return Response.json({});
    case "GET resources":
      return Response.json(await host.status());
    case "GET resources/NAME": {
      const config = host.configOf(name ?? "");
      return config === undefined
        ? problem(404, `${name} does not run here`)
        : Response.json({ config });
    }
    case "PUT resources/NAME": {
      const body = ResourceRequest.parse(await bodyOf(request));
      // Only the owner of the socket gets here, with what drbdadm resolved.
      const config = body.config as ResourceConfig;
      const { exportAddress, deviceNodes } = body;
      return Response.json(
        await host.create(config, { exportAddress, deviceNodes }),
      );
    }
    case "DELETE resources/NAME":
      return Response.json(await host.remove(name ?? ""));
    case "POST resources/NAME/options": {
      const body = OptionsRequest.parse(await bodyOf(request));
      const config = body.config as ResourceConfig;
      return config.name === name
        ? Response.json(await host.configure(config))
        : problem(400, `The configuration is not of ${name}`);
    }
    case "POST resources/NAME/reconnect":
      return Response.json(await host.reconnect(name ?? ""));
    case "POST resources/NAME/commands":
      return Response.json(
        await host.command(
          name ?? "",
          CommandRequest.parse(await bodyOf(request)),
        ),
      );
    case "GET events":
      return new Response(streams.open(), {
        headers: { "content-type": "application/x-ndjson" },
      });
    case "POST stop": {
      const held = await host.heldBy();
      if (held !== undefined) return problem(409, held);
      stop();
      return Response.json({ code: 1 });
    }
    default:
      return problem(404, `No such request: ${request.method} ${pathname}`);
  }
}

async function bodyOf(request: Request): Promise<unknown> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > BODY_BYTES_MAX) throw new Error("The request is too long");
  return await request.json();
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => Deno.unrefTimer(Number(setTimeout(done, ms))));
}

function problem(status: number, detail: string): Response {
  return Response.json({ status, title: "Refused", detail }, { status });
}
