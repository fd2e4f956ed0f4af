/**
 * Programs to compare with, where they are installed.
 *
 * @module
 */

import { Child, isInstalled } from "../helpers/child.ts";
import { RawHttp, requestBytes } from "../helpers/raw_http.ts";
import type { Scope } from "../helpers/scope.ts";
import { childrenOf } from "../helpers/proc.ts";
import { ROOT } from "../helpers/stack.ts";
import type { Operation } from "./subject.ts";

/** A program that serves or takes files over HTTP. */
export interface Peer {
  readonly url: string;
  readonly pids: readonly number[];
}

/** `Deno.serve` without anything around it. */
export async function startBare(scope: Scope, dir: string): Promise<Peer> {
  const child = Child.start(scope, {
    command: [
      Deno.execPath(),
      ...["run", "-A", "--quiet", `${ROOT}tests/bench/bare_server.ts`, dir],
    ],
  });
  const { url } = JSON.parse(await child.line(/"url"/)) as { url: string };
  return { url, pids: [child.pid] };
}

/** Debian's nginx with one worker, or `undefined` when it is not installed. */
export async function startNginx(
  scope: Scope,
  dir: string,
): Promise<Peer | undefined> {
  if (!await isInstalled("nginx")) return undefined;
  const port = freePort();
  await Deno.writeTextFile(`${dir}/nginx.conf`, nginxConf(dir, port));
  const child = Child.start(scope, {
    command: ["nginx", "-p", dir, "-c", `${dir}/nginx.conf`],
  });
  // Politely: a killed master would leave its worker behind.
  scope.defer(() => child.stop("SIGTERM"));
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer !== undefined) {
      return { url, pids: [child.pid, ...childrenOf(child.pid)] };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

/** A worker that downloads one file from a peer. */
export async function peerDownloader(
  peer: Peer,
  path: string,
  sizeBytes: number,
): Promise<Operation> {
  const raw = await RawHttp.open(peer.url);
  const { host } = new URL(peer.url);
  const request = requestBytes("GET", path, { host });
  return async () => {
    const { status, bodyBytes } = await raw.ask(request);
    if (status !== 200 || bodyBytes !== sizeBytes) throw new Error(`${status}`);
  };
}

/** A worker that uploads to a peer. */
export async function peerUploader(
  peer: Peer,
  path: string,
  body: Uint8Array,
): Promise<Operation> {
  const raw = await RawHttp.open(peer.url);
  const { host } = new URL(peer.url);
  const request = requestBytes("PUT", path, { host, body });
  return async () => {
    const { status } = await raw.ask(request);
    if (status !== 201) throw new Error(`${status}`);
  };
}

/** A port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function nginxConf(dir: string, port: number): string {
  return `daemon off; user root; worker_processes 1; pid ${dir}/nginx.pid;
error_log ${dir}/nginx.error.log;
events { worker_connections 2048; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2;
  fastcgi_temp_path ${dir}/t3; uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;
  server { listen 127.0.0.1:${port}; root ${dir}; }
}
`;
}
